/**
 * The end of the log that the driver has not confirmed to be kept: new entries, and perhaps a snapshot before them.
 *
 * What has been handed to the driver is "in progress": it isn't handed out a second time, and still counts as unstable until confirmed.
 *
 * Upstream: log_unstable.go
 */
import { InvariantError } from "../base/assert.ts";
import { countWithin } from "./entry-size.ts";
import type { Logger } from "./logger.ts";
import type { Entry, Snapshot } from "./types.ts";

const NO_ENTRIES: readonly Entry[] = [];

export class Unstable {
  /** A snapshot that replaces the whole log before `offset`. */
  snapshot: Snapshot | undefined;
  /** `entries[i]` has the index `offset + i`. */
  entries: Entry[] = [];
  offset: number;
  #snapshotInProgress = false;
  /** Entries before this index have been handed out. Lies between `offset` and the end. */
  #offsetInProgress: number;
  readonly #logger: Logger;

  constructor(offset: number, logger: Logger) {
    this.offset = offset;
    this.#offsetInProgress = offset;
    this.#logger = logger;
  }

  get offsetInProgress(): number {
    return this.#offsetInProgress;
  }

  /** The first index of the log, if it is known here. */
  firstIndex(): number | undefined {
    return this.snapshot === undefined ? undefined : this.snapshot.metadata.index + 1;
  }

  lastIndex(): number | undefined {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1;
    return this.snapshot?.metadata.index;
  }

  term(index: number): number | undefined {
    if (index >= this.offset) return this.entries[index - this.offset]?.term;
    return this.snapshot?.metadata.index === index ? this.snapshot.metadata.term : undefined;
  }

  get hasNextEntries(): boolean {
    return this.#offsetInProgress < this.offset + this.entries.length;
  }

  nextEntries(): readonly Entry[] {
    return this.hasNextEntries ? this.entries.slice(this.#offsetInProgress - this.offset) : NO_ENTRIES;
  }

  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.snapshot;
  }

  /** Everything so far has been handed out. */
  acceptInProgress(): void {
    this.#offsetInProgress = this.offset + this.entries.length;
    if (this.snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /** Entries up to `index` are kept, unless the one there isn't the one of `term` any more: then the confirmation is an old one. */
  stableTo(index: number, term: number): void {
    const known = this.term(index);
    if (known === undefined) {
      this.#logger.info(`entry at index ${index} missing from unstable log; ignoring`);
    } else if (index < this.offset) {
      this.#logger.info(`entry at index ${index} matched unstable snapshot; ignoring`);
    } else if (known !== term) {
      this.#logger.info(
        `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${known}) in unstable log; ignoring`,
      );
    } else {
      const count = index + 1 - this.offset;
      this.entries = count === this.entries.length ? [] : this.entries.slice(count);
      this.offset = index + 1;
      this.#offsetInProgress = Math.max(this.#offsetInProgress, this.offset);
    }
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot?.metadata.index !== index) return;
    this.snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1;
    this.#offsetInProgress = this.offset;
    this.entries = [];
    this.snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Puts entries at their place; whatever was there or behind them goes. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = entries[0]!.index;
    if (from <= this.offset) {
      if (from < this.offset || this.entries.length > 0)
        this.#logger.info(`replace the unstable entries from index ${from}`);
      this.entries = [];
      this.offset = from;
      this.#offsetInProgress = from;
    } else if (from < this.offset + this.entries.length) {
      this.#logger.info(`truncate the unstable entries before index ${from}`);
      this.entries.length = from - this.offset;
      this.#offsetInProgress = Math.min(this.#offsetInProgress, from);
    } else if (from > this.offset + this.entries.length) {
      throw new InvariantError(
        `unstable.slice[${this.offset},${from}) out of bound [${this.offset},${this.offset + this.entries.length}]`,
      );
    }
    for (let i = 0; i < entries.length; i++) this.entries.push(entries[i]!);
  }

  /** Entries from `lo` up to and without `hi`, as many as fit in `maxBytes`, and one at least. */
  slice(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    const from = lo - this.offset;
    const to = hi - this.offset;
    if (from < 0 || to > this.entries.length)
      throw new InvariantError(
        `unstable.slice[${lo},${hi}) out of bound [${this.offset},${this.offset + this.entries.length}]`,
      );
    return this.entries.slice(from, from + countWithin(this.entries, from, to, maxBytes));
  }
}
