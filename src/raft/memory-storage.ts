/**
 * A log in memory. A driver that keeps its log in a file loads it into one of these at start and appends to both.
 *
 * Upstream: MemoryStorage in storage.go
 */
import { assert, InvariantError } from "../base/assert.ts";
import { countWithin } from "./entry-size.ts";
import { RaftError } from "./errors.ts";
import { EMPTY_CONF_STATE, type Storage } from "./storage.ts";
import { NONE, type ConfState, type Entry, type HardState, type Snapshot } from "./types.ts";

const NO_DATA = new Uint8Array(0);

export class MemoryStorage implements Storage {
  #hardState: HardState = { term: 0, vote: NONE, commit: 0 };
  #snapshot: Snapshot = { data: NO_DATA, metadata: { confState: EMPTY_CONF_STATE, index: 0, term: 0 } };
  /** `#entries[i]` has the index `#offset + 1 + i`; the entry at `#offset` is compacted, but its term is known. */
  #entries: Entry[] = [];
  #offset = 0;
  #offsetTerm = 0;

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    if (lo <= this.#offset) throw new RaftError("compacted");
    if (hi > this.lastIndex() + 1)
      throw new InvariantError(`entries' hi(${hi}) is out of bound lastindex(${this.lastIndex()})`);
    if (this.#entries.length === 0) throw new RaftError("unavailable");
    const from = lo - this.#offset - 1;
    const count = countWithin(this.#entries, from, hi - this.#offset - 1, maxBytes);
    return this.#entries.slice(from, from + count);
  }

  term(index: number): number {
    if (index < this.#offset) throw new RaftError("compacted");
    if (index === this.#offset) return this.#offsetTerm;
    const entry = this.#entries[index - this.#offset - 1];
    if (entry === undefined) throw new RaftError("unavailable");
    return entry.term;
  }

  firstIndex(): number {
    return this.#offset + 1;
  }

  lastIndex(): number {
    return this.#offset + this.#entries.length;
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Replaces everything by a snapshot that came from elsewhere. Throws `RaftError` "snapshot out of date" for an older one. */
  applySnapshot(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    // An index of zero means that only the members were put there, before the first start.
    const current = this.#snapshot.metadata.index;
    if (current !== 0 && current >= index) throw new RaftError("snapshot out of date");
    this.#snapshot = snapshot;
    this.#entries = [];
    this.#offset = index;
    this.#offsetTerm = term;
  }

  /** Makes a snapshot of the state at `index`. `confState` is what the last applied change of members gave, if there was one since. */
  createSnapshot(index: number, confState: ConfState | undefined, data: Uint8Array): Snapshot {
    const { metadata } = this.#snapshot;
    if (index <= metadata.index) throw new RaftError("snapshot out of date");
    assert(index <= this.lastIndex(), `snapshot ${index} is out of bound lastindex(${this.lastIndex()})`);
    this.#snapshot = {
      data,
      metadata: { confState: confState ?? metadata.confState, index, term: this.term(index) },
    };
    return this.#snapshot;
  }

  /** Forgets the entries up to and with `index`, which must have been applied. */
  compact(index: number): void {
    if (index <= this.#offset) throw new RaftError("compacted");
    assert(index <= this.lastIndex(), `compact ${index} is out of bound lastindex(${this.lastIndex()})`);
    const term = this.term(index);
    this.#entries = this.#entries.slice(index - this.#offset);
    this.#offset = index;
    this.#offsetTerm = term;
  }

  /** Appends entries that follow one another; those already there from the first one's index on are replaced. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const position = first.index - this.#offset - 1;
    if (position > this.#entries.length)
      throw new InvariantError(`missing log entry [last: ${this.lastIndex()}, append at: ${first.index}]`);
    if (position === this.#entries.length) {
      for (const entry of entries) this.#entries.push(entry);
      return;
    }
    if (position + entries.length <= 0) return; // All of them are compacted already.
    this.#entries.length = Math.max(position, 0);
    for (let i = Math.max(-position, 0); i < entries.length; i++) this.#entries.push(entries[i]!);
  }
}
