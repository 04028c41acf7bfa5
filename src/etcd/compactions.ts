/** A member's compactions: those that are requested, the one that the last run left unfinished, and the hashes that they found. */
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { World } from "../world/world.ts";
import { duration } from "./duration.ts";
import * as counted from "./metrics.ts";
import { CompactionHashes } from "./mvcc/compaction-hashes.ts";
import { CompactionQueue, type CompactionPace, type CompactionWork } from "./mvcc/compaction-queue.ts";
import type { Store } from "./mvcc/store.ts";

export interface CompactionsDeps extends Pick<World, "clock"> {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly pace: CompactionPace;
  /** Whether they may be compared with other members'. */
  readonly areHashed: () => boolean;
}

export class Compactions {
  readonly hashes: CompactionHashes;
  readonly #deps: CompactionsDeps;
  readonly #queue: CompactionQueue;
  /** The end of the last one asked for. */
  #last: Promise<void> = Promise.resolve();

  constructor(deps: CompactionsDeps) {
    const { clock, log, metrics, store } = deps;
    this.#deps = deps;
    this.hashes = new CompactionHashes(log);
    this.#queue = new CompactionQueue(clock, deps.pace, {
      onStep: (ms) => metrics.observe(counted.compactionPause, {}, ms),
      onFinished: (revision, ms) => {
        metrics.observe(counted.compactionTotal, {}, ms);
        metrics.set(counted.compactionLast, {}, Math.trunc(clock.now() / 1000));
        log.info("finished scheduled compaction", {
          "compact-revision": revision,
          took: duration(ms),
          "current-db-size-bytes": store.backend.sizeBytes,
          "current-db-size-in-use-bytes": store.backend.inUseBytes,
        });
      },
    });
  }

  /** Takes the work that a compaction leaves to do; `before` is where the compaction before went. */
  add(work: CompactionWork, before: number): void {
    // What a compaction that isn't done leaves behind, others need not find.
    const isHashed = this.#deps.areHashed() && this.#queue.isEmpty;
    this.#last = this.#queue.add(isHashed ? this.hashes.around(work, this.#deps.store, before) : work);
  }

  /** The db file is from a moment in the middle of a compaction: of this member's last life, or of the member that sent it. */
  resume(revision: number | undefined): void {
    if (revision === undefined) return;
    this.#deps.log.info("resume scheduled compaction", { "scheduled-compact-revision": revision });
    this.#last = this.#queue.add(this.#deps.store.compact(revision));
  }

  /** Resolves when every compaction so far has dropped its rows. */
  get done(): Promise<void> {
    return this.#last;
  }

  /** Another state takes the place of the one that they were about. */
  clear(): void {
    this.#queue.clear();
    this.hashes.clear();
  }

  stop(): void {
    this.#queue.stop();
  }
}
