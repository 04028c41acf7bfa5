/**
 * The hashes that recent compactions computed. A hash covers one interval between two compactions, so that members can be compared whenever each of
 * them gets there, and long after.
 * Upstream: server/storage/mvcc/hash.go (HashStorage)
 */
import type { Logger } from "../../observe/log.ts";
import type { CompactionWork } from "./compaction-queue.ts";
import { hashOfCompaction, ROWS_A_SLICE, type KeysHash } from "./hash.ts";
import type { Store } from "./store.ts";

/** As many as upstream keeps. */
const KEPT = 10;

export class CompactionHashes {
  readonly #log: Logger;
  #hashes: readonly KeysHash[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Oldest first. */
  get all(): readonly KeysHash[] {
    return this.#hashes;
  }

  at(revision: number): KeysHash | undefined {
    return this.#hashes.find(({ hashRevision }) => hashRevision === revision);
  }

  clear(): void {
    this.#hashes = [];
  }

  /** The same work, which hashes what is there before it begins, and is remembered for it when it is done. */
  around(work: CompactionWork, store: Store, before: number): CompactionWork {
    const { revision } = work;
    let hashing: ReturnType<typeof hashOfCompaction> | undefined;
    let found: KeysHash | undefined;
    let isHashed = false;
    return {
      revision,
      step: (rows, isTime = () => false) => {
        hashing ??= hashOfCompaction(store, revision, before);
        for (let done = 0; !isHashed && done < rows; done += ROWS_A_SLICE) {
          const next = hashing.next();
          if (next.done === true) {
            isHashed = true;
            found = next.value;
          }
          if (isTime()) return false;
        }
        if (!isHashed || !work.step(rows, isTime)) return false;
        if (found !== undefined) this.#remember(found);
        return true;
      },
    };
  }

  #remember(found: KeysHash): void {
    this.#log.info("storing new hash", {
      hash: found.hash,
      revision: found.hashRevision,
      "compact-revision": found.compactRevision,
    });
    this.#hashes = [...this.#hashes, found].slice(-KEPT);
  }
}
