/**
 * How much of the log is kept in memory for members that lag behind. A member that needs more is sent a snapshot; during that transfer and for a
 * while after it nothing is discarded, because the receiver needs the entries that follow the snapshot.
 * Upstream: server/etcdserver/server.go (compactRaftLog, sendMergedSnap)
 */
import type { MemoryStorage } from "../raft/memory-storage.ts";
import type { ConfState } from "../raft/types.ts";
import type { Clock } from "../world/world.ts";

const NO_DATA = new Uint8Array(0);
/** Of a member alone in its cluster: nobody will ask for its old entries. */
const ENTRIES_ALONE = 100;
/** The log is cut when it is this much longer than it has to be. */
const CUT_EVERY = 100;
/** A follower that was sent a snapshot is given so long to ask for what comes after it. */
const GRACE_MS = 30_000;

export class CatchUp {
  readonly #clock: Clock;
  readonly #storage: MemoryStorage;
  readonly #entries: number;
  #snapshots = 0;
  readonly #graces = new Set<Disposable>();
  #cutAfter = 0;

  constructor(clock: Clock, storage: MemoryStorage, entries: number) {
    this.#clock = clock;
    this.#storage = storage;
    this.#entries = entries;
  }

  /** A snapshot is on its way until the result is called. One that was not taken gets no grace: the next has what is newer in it. */
  snapshotBegins(): (isTaken: boolean) => void {
    this.#snapshots++;
    return (isTaken) => {
      if (!isTaken) return void this.#snapshots--;
      const grace = this.#clock.after(GRACE_MS, () => {
        this.#graces.delete(grace);
        this.#snapshots--;
      });
      this.#graces.add(grace);
    };
  }

  /** Cuts what is applied and kept, but for what a slow follower may still need. `confState` is who belongs by then. */
  cut(appliedTo: number, confState: ConfState): void {
    const applied = Math.min(appliedTo, this.#storage.lastIndex());
    if (applied < this.#cutAfter || this.#snapshots > 0) return;
    this.#cutAfter = applied + CUT_EVERY;
    const isAlone = confState.voters.length + confState.learners.length === 1;
    const keep = isAlone ? Math.min(ENTRIES_ALONE, this.#entries) : this.#entries;
    if (applied - keep < this.#storage.firstIndex()) return;
    // What raft offers to those for whom the log is gone. The state itself is put behind it when it is sent.
    this.#storage.createSnapshot(applied, confState, NO_DATA);
    this.#storage.compact(applied - keep);
  }

  stop(): void {
    for (const grace of this.#graces) grace[Symbol.dispose]();
    this.#graces.clear();
  }
}
