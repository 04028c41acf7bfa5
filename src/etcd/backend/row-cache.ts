/**
 * Rows in memory, by revision: all that is not on disk yet, and of the rest that was written since the start as much as fits, what was asked for of
 * late first.
 *
 * Main revisions are dense until compaction thins them out, so they index arrays of a fixed length directly; what is dropped is dropped by
 * the array.
 */
import type { KeyValue } from "./backend.ts";

const CHUNK = 1024;

/** What one transaction wrote: a lone row (nearly always), or rows by sub revision, with holes where compaction took some. */
type Slot = KeyValue | (KeyValue | undefined)[] | undefined;

interface Chunk {
  readonly number: number;
  readonly slots: Slot[];
  rows: number;
  bytes: number;
  /** It has every row of its revisions that there is. */
  readonly isComplete: boolean;
  /** The last commit that will write some of it. */
  batch: number;
  isTouched: boolean;
}

/** What a row costs beside its bytes: an object, two arrays. */
const ROW_OVERHEAD_BYTES = 300;

export class RowCache {
  /** By `main / CHUNK`. */
  readonly #chunks = new Map<number, Chunk>();
  readonly #mostBytes: number;
  #bytes = 0;
  /** Chunks up to this number may have rows on disk alone. */
  #dropped: number;
  /** The last one written to: asked for again and again. */
  #last: Chunk | undefined;

  /** Rows up to `revision` are on disk and not in here. */
  constructor(mostBytes: number, revision: number) {
    this.#mostBytes = mostBytes;
    this.#dropped = revision === 0 ? -1 : Math.floor(revision / CHUNK);
  }

  get hasDropped(): boolean {
    return this.#dropped >= 0;
  }
  get bytes(): number {
    return this.#bytes;
  }

  put(row: KeyValue, sub: number, batch: number): void {
    const number = Math.floor(row.mod_revision / CHUNK);
    let chunk = this.#last;
    if (chunk === undefined || chunk.number !== number || chunk.rows === 0) chunk = this.#last = this.#chunkFor(number);
    chunk.batch = batch;
    this.#set(chunk, row, sub);
  }

  #chunkFor(number: number): Chunk {
    let chunk = this.#chunks.get(number);
    if (chunk === undefined) {
      const isComplete = number > this.#dropped;
      chunk = { number, slots: [], rows: 0, bytes: 0, isComplete, batch: 0, isTouched: false };
      this.#chunks.set(number, chunk);
    }
    return chunk;
  }

  #set(chunk: Chunk, row: KeyValue, sub: number): void {
    const at = row.mod_revision % CHUNK;
    const { slots } = chunk;
    while (slots.length < at) slots.push(undefined); // Holes would make the array slow for good.
    const slot = slots[at];
    if (slot === undefined && sub === 0) slots[at] = row;
    else {
      const rows = Array.isArray(slot) ? slot : [slot];
      while (rows.length < sub) rows.push(undefined);
      rows[sub] = row;
      slots[at] = rows;
    }
    chunk.rows++;
    const bytes = sizeOf(row);
    chunk.bytes += bytes;
    this.#bytes += bytes;
  }

  get(main: number, sub: number): KeyValue | undefined {
    const chunk = this.#chunks.get(Math.floor(main / CHUNK));
    if (chunk === undefined) return undefined;
    chunk.isTouched = true;
    const slot = chunk.slots[main % CHUNK];
    return Array.isArray(slot) ? slot[sub] : sub === 0 ? slot : undefined;
  }

  /** Whether what is not in here at `main` is nowhere. */
  isComplete(main: number): boolean {
    const number = Math.floor(main / CHUNK);
    return number > this.#dropped || this.#chunks.get(number)?.isComplete === true;
  }

  /** The last revision of those from `main` on that are alike in this. */
  completeUntil(main: number): number {
    const isComplete = this.isComplete(main);
    let number = Math.floor(main / CHUNK);
    if (number > this.#dropped) return Infinity;
    if (!isComplete && this.#dropped - number > this.#chunks.size) {
      // Revisions may have been raised by a billion at once: look at what is there, not at each that isn't.
      let next = this.#dropped + 1;
      for (const chunk of this.#chunks.values())
        if (chunk.isComplete && chunk.number > number && chunk.number < next) next = chunk.number;
      return next * CHUNK - 1;
    }
    while (number < this.#dropped && (this.#chunks.get(number + 1)?.isComplete === true) === isComplete) number++;
    return number * CHUNK + CHUNK - 1;
  }

  /** Gives the row that was in here. */
  delete(main: number, sub: number): KeyValue | undefined {
    const number = Math.floor(main / CHUNK);
    const chunk = this.#chunks.get(number);
    const at = main % CHUNK;
    const slot = chunk?.slots[at];
    const row = Array.isArray(slot) ? slot[sub] : sub === 0 ? slot : undefined;
    if (chunk === undefined || row === undefined) return undefined;
    if (Array.isArray(slot)) slot[sub] = undefined;
    else chunk.slots[at] = undefined;
    const bytes = sizeOf(row);
    chunk.bytes -= bytes;
    this.#bytes -= bytes;
    if (--chunk.rows === 0) this.#drop(chunk);
    return row;
  }

  /** Visits what is in here, in order, until `visit` says false; false then. */
  scan(from: number, to: number, visit: (row: KeyValue, sub: number) => boolean | void): boolean {
    const first = Math.floor(from / CHUNK);
    const last = Math.floor(to / CHUNK);
    // After much compaction few chunks are left between the ends; before it, stepping through the numbers is the shorter way.
    const numbers =
      last - first < this.#chunks.size
        ? Array.from({ length: last - first + 1 }, (_, i) => first + i)
        : [...this.#chunks.keys()].filter((number) => number >= first && number <= last).sort((a, b) => a - b);
    for (const number of numbers) {
      const slots = this.#chunks.get(number)?.slots;
      if (slots === undefined) continue;
      const base = number * CHUNK;
      const end = Math.min(slots.length - 1, to - base);
      for (let i = Math.max(0, from - base); i <= end; i++) {
        const slot = slots[i];
        if (slot === undefined) continue;
        if (!Array.isArray(slot)) {
          if (visit(slot, 0) === false) return false;
        } else
          for (let sub = 0; sub < slot.length; sub++) {
            const row = slot[sub];
            if (row !== undefined && visit(row, sub) === false) return false;
          }
      }
    }
    return true;
  }

  /** Drops what nobody asked for, of what commit `committed` and those before it have written, until the rest fits. */
  shrink(committed: number): void {
    if (this.#bytes <= this.#mostBytes) return;
    for (const chunk of this.#chunks.values()) {
      if (this.#bytes <= this.#mostBytes) return;
      if (chunk.batch > committed) continue;
      if (chunk.isTouched) {
        chunk.isTouched = false;
        this.#chunks.delete(chunk.number); // And behind the others.
        this.#chunks.set(chunk.number, chunk);
      } else {
        this.#bytes -= chunk.bytes;
        this.#drop(chunk);
      }
    }
  }

  #drop(chunk: Chunk): void {
    this.#chunks.delete(chunk.number);
    this.#dropped = Math.max(this.#dropped, chunk.number);
    if (this.#last === chunk) this.#last = undefined;
  }
}

function sizeOf(row: KeyValue): number {
  return row.key.length + row.value.length + ROW_OVERHEAD_BYTES;
}
