/**
 * The log as raft sees it: what the storage has, then what is unstable; and how far it is committed and applied.
 *
 *     applied <= applying <= committed <= lastIndex
 *
 * Upstream: log.go
 */
import { InvariantError } from "../base/assert.ts";
import { encodedSizes } from "./entry-size.ts";
import type { Logger } from "./logger.ts";
import type { Storage } from "./storage.ts";
import type { Entry, Snapshot } from "./types.ts";
import { Unstable } from "./unstable.ts";

const NO_ENTRIES: readonly Entry[] = [];

export class RaftLog {
  readonly unstable: Unstable;
  /** The highest entry known to be kept by a quorum. */
  committed: number;
  readonly #storage: Storage;
  readonly #logger: Logger;
  /** The highest entry handed out to be applied, and the highest that has been. */
  #applying: number;
  #applied: number;
  /** Bytes that may be, and that are, handed out to be applied and not confirmed. */
  readonly #maxApplyingBytes: number;
  #applyingBytes = 0;
  #applyingPaused = false;

  constructor(storage: Storage, logger: Logger, maxApplyingBytes: number) {
    this.#storage = storage;
    this.#logger = logger;
    this.#maxApplyingBytes = maxApplyingBytes;
    this.unstable = new Unstable(storage.lastIndex() + 1, logger);
    this.committed = this.#applying = this.#applied = storage.firstIndex() - 1;
  }

  get applied(): number {
    return this.#applied;
  }

  get applying(): number {
    return this.#applying;
  }

  firstIndex(): number {
    return this.unstable.firstIndex() ?? this.#storage.firstIndex();
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.#storage.lastIndex();
  }

  /** The term of an entry, or undefined where the log doesn't reach: it is compacted, or not there yet. */
  term(index: number): number | undefined {
    const term = this.unstable.term(index);
    if (term !== undefined) return term;
    // The entry before the first is the snapshot's last, and its term still known.
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return undefined;
    return this.#storage.term(index);
  }

  lastTerm(): number {
    const index = this.lastIndex();
    const term = this.term(index);
    if (term === undefined) throw new InvariantError(`unexpected error when getting the last term at ${index}`);
    return term;
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends at `index` in `term` has all that this one has (paper, section 5.4.1). */
  isUpToDate(index: number, term: number): boolean {
    const ours = this.lastTerm();
    return term > ours || (term === ours && index >= this.lastIndex());
  }

  /**
   * Takes entries that follow `prevIndex`, if the log agrees there, and learns how far its leader has committed.
   * Returns the index up to which the log now agrees with the leader's, or undefined.
   */
  maybeAppend(prevIndex: number, prevTerm: number, entries: readonly Entry[], committed: number): number | undefined {
    if (!this.matchTerm(prevIndex, prevTerm)) return undefined;
    const last = prevIndex + entries.length;
    const from = this.#firstNew(entries);
    if (from < entries.length) {
      const conflict = prevIndex + 1 + from;
      if (conflict <= this.committed)
        throw new InvariantError(`entry ${conflict} conflict with committed entry [committed(${this.committed})]`);
      this.append(from === 0 ? entries : entries.slice(from));
    }
    this.commitTo(Math.min(committed, last));
    return last;
  }

  /** The position of the first entry that isn't in the log, because the log ends or says something else. */
  #firstNew(entries: readonly Entry[]): number {
    for (let i = 0; i < entries.length; i++) {
      const { index, term } = entries[i]!;
      const ours = this.term(index);
      if (ours === term) continue;
      if (index <= this.lastIndex())
        this.#logger.info(`found conflict at index ${index} [existing term: ${ours ?? 0}, conflicting term: ${term}]`);
      return i;
    }
    return entries.length;
  }

  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    if (first.index - 1 < this.committed)
      throw new InvariantError(`after(${first.index - 1}) is out of range [committed(${this.committed})]`);
    this.unstable.truncateAndAppend(entries);
  }

  /**
   * The highest place, at `index` or before it, where this log has a term of at most `term`; the other log can't agree with this one
   * behind that. With it a leader and a follower find where their logs part in a step for each term, not for each entry.
   */
  findConflictByTerm(index: number, term: number): { readonly index: number; readonly term: number } {
    for (let i = index; i > 0; i--) {
      const ours = this.term(i);
      if (ours === undefined) return { index: i, term: 0 };
      if (ours <= term) return { index: i, term: ours };
    }
    return { index: 0, term: 0 };
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    if (index > this.lastIndex())
      throw new InvariantError(
        `tocommit(${index}) is out of range [lastIndex(${this.lastIndex()})]. Was the raft log corrupted, truncated, or lost?`,
      );
    this.committed = index;
  }

  /** Commits up to `index` if the entry there is of `term`: older ones are committed only along with one of the leader's own term. */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committed || !this.matchTerm(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  /** Entries from `index` to the end, as many as fit in `maxBytes`; undefined when they are compacted. */
  entriesFrom(index: number, maxBytes: number): readonly Entry[] | undefined {
    const end = this.lastIndex() + 1;
    return index >= end ? NO_ENTRIES : this.slice(index, end, maxBytes);
  }

  slice(lo: number, hi: number, maxBytes: number): readonly Entry[] | undefined {
    if (lo > hi) throw new InvariantError(`invalid slice ${lo} > ${hi}`);
    if (lo < this.firstIndex()) return undefined;
    if (hi > this.lastIndex() + 1)
      throw new InvariantError(`slice[${lo},${hi}) out of bound [${this.firstIndex()},${this.lastIndex()}]`);
    if (lo === hi) return NO_ENTRIES;
    const { offset } = this.unstable;
    if (lo >= offset) return this.unstable.slice(lo, hi, maxBytes);

    const cut = Math.min(hi, offset);
    const stable = this.#storage.entries(lo, cut, maxBytes);
    if (hi <= offset || stable.length < cut - lo) return stable;
    const room = maxBytes - (maxBytes === Infinity ? 0 : encodedSizes(stable));
    if (room <= 0) return stable;
    const rest = this.unstable.slice(offset, hi, room);
    // A slice gives one entry at least, which may be more than there is room for.
    if (rest.length === 1 && room !== Infinity && encodedSizes(rest) > room) return stable;
    return [...stable, ...rest];
  }

  /** Whether one of the entries from `lo` up to and without `hi` has a property, read page by page. */
  some(lo: number, hi: number, has: (entry: Entry) => boolean): boolean {
    for (let next = lo; next < hi;) {
      const page = this.slice(next, hi, this.#maxApplyingBytes);
      if (page === undefined || page.length === 0)
        throw new InvariantError(`error scanning unapplied entries [${lo}, ${hi}): got 0 entries in [${next}, ${hi})`);
      if (page.some(has)) return true;
      next += page.length;
    }
    return false;
  }

  snapshot(): Snapshot {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    this.#logger.info(`log [${this.describe()}] starts to restore snapshot [index: ${index}, term: ${term}]`);
    this.committed = index;
    this.unstable.restore(snapshot);
  }

  /** Whether there are committed entries to hand out. `allowUnstable` tells whether they may be applied before they are known to be kept. */
  hasNextCommitted(allowUnstable: boolean): boolean {
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.#applying < this.#maxAppliable(allowUnstable);
  }

  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return NO_ENTRIES;
    const room = this.#maxApplyingBytes - this.#applyingBytes;
    const entries = this.slice(this.#applying + 1, this.#maxAppliable(allowUnstable) + 1, room);
    if (entries === undefined) throw new InvariantError("unexpected error when getting unapplied entries (compacted)");
    return entries;
  }

  #maxAppliable(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    if (index > this.committed)
      throw new InvariantError(
        `applying(${index}) is out of range [prevApplying(${this.#applying}), committed(${this.committed})]`,
      );
    this.#applying = index;
    this.#applyingBytes += bytes;
    // Either the limit is reached, or the next entry was too large for what was left of it: nothing more until something is confirmed.
    this.#applyingPaused = this.#applyingBytes >= this.#maxApplyingBytes || index < this.#maxAppliable(allowUnstable);
  }

  appliedTo(index: number, bytes: number): void {
    if (index > this.committed || index < this.#applied)
      throw new InvariantError(
        `applied(${index}) is out of range [prevApplied(${this.#applied}), committed(${this.committed})]`,
      );
    this.#applied = index;
    this.#applying = Math.max(this.#applying, index);
    this.#applyingBytes = Math.max(this.#applyingBytes - bytes, 0);
    this.#applyingPaused = this.#applyingBytes >= this.#maxApplyingBytes;
  }

  describe(): string {
    const { offset, offsetInProgress, entries } = this.unstable;
    return (
      `committed=${this.committed}, applied=${this.#applied}, applying=${this.#applying}, unstable.offset=${offset}, ` +
      `unstable.offsetInProgress=${offsetInProgress}, len(unstable.Entries)=${entries.length}`
    );
  }
}
