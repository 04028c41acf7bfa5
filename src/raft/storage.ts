/** What raft requires of its storage: to read back what a `Ready` told it to store. Every read is synchronous. Upstream: storage.go */
import type { ConfState, Entry, HardState, Snapshot } from "./types.ts";

/** Nobody belongs: what a log without a snapshot starts from. */
export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

export interface Storage {
  /** What was kept when the member started; a hard state of zeros when nothing was. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState };
  /**
   * Entries from `lo` up to and without `hi`, as many as fit in `maxBytes`, and one at least.
   * Throws `RaftError` "compacted" or "unavailable".
   */
  entries(lo: number, hi: number, maxBytes: number): readonly Entry[];
  /** The term of an entry; also known for the one just before `firstIndex()`. Throws `RaftError` "compacted" or "unavailable". */
  term(index: number): number;
  /** The first entry that may still be read; those before it live in the snapshot. */
  firstIndex(): number;
  lastIndex(): number;
  /** The newest snapshot. Throws `RaftError` "snapshot temporarily unavailable" while there is none yet: raft asks again later. */
  snapshot(): Snapshot;
}
