/**
 * Rows in memory, by revision: everything that is not on disk yet, and as many as fit of those written since the start, the most recently used
 * first.
 *
 * Rows are kept in their encoded form, one after another in blocks, so that a row costs its bytes and a few numbers. Because rows come in the order
 * of their revisions, each block holds a stretch of history.
 */
import { assert } from "../../base/assert.ts";
import type { KeyValue } from "./backend.ts";
import { encodeRowInto, putRevisionKey, REVISION_BYTES, rowBytes, StoredRow } from "./rows.ts";

const BLOCK_BYTES = 128 * 1024;
/** A row that is larger has a block to itself. */
const LONELY_BYTES = BLOCK_BYTES / 8;
/** The numbers beside each row: main and sub revision, place, marks. */
const ROW_OVERHEAD_BYTES = 17;
const TOMBSTONE = 1;
const DELETED = 2;

/** A row in its place. */
export interface RowBytes {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export class Block {
  bytes: Buffer;
  end = 0;
  count = 0;
  live = 0;
  mains: Float64Array;
  subs: Uint32Array;
  /** Where each row's key begins; its value ends where the next row begins. */
  starts: Uint32Array;
  marks: Uint8Array;
  /** The last commit that will write some of it. */
  batch = 0;
  isTouched = false;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
    const rows = size > BLOCK_BYTES ? 1 : 64;
    this.mains = new Float64Array(rows);
    this.subs = new Uint32Array(rows);
    this.starts = new Uint32Array(rows);
    this.marks = new Uint8Array(rows);
  }

  get firstMain(): number {
    return this.mains[0]!;
  }
  get lastMain(): number {
    return this.mains[this.count - 1]!;
  }
  get weight(): number {
    return this.bytes.length + this.mains.length * ROW_OVERHEAD_BYTES;
  }

  add(row: KeyValue, sub: number): void {
    if (this.count === this.mains.length) this.#resize(this.count * 2);
    const i = this.count++;
    const isTombstone = row.version === 0;
    this.mains[i] = row.mod_revision;
    this.subs[i] = sub;
    this.starts[i] = this.end;
    this.marks[i] = isTombstone ? TOMBSTONE : 0;
    const at = putRevisionKey(this.bytes, this.end, row.mod_revision, sub, isTombstone);
    this.end = encodeRowInto(this.bytes, at, row);
    this.live++;
  }

  /** Nothing will be added: lets go of room for more. */
  close(): void {
    if (this.mains.length > this.count) this.#resize(this.count);
    if (this.end < this.bytes.length * 0.9) {
      const bytes = Buffer.allocUnsafeSlow(this.end);
      this.bytes.copy(bytes, 0, 0, this.end);
      this.bytes = bytes;
    }
  }

  #resize(rows: number): void {
    const { mains, subs, starts, marks } = this;
    const count = Math.min(rows, this.count);
    (this.mains = new Float64Array(rows)).set(mains.subarray(0, count));
    (this.subs = new Uint32Array(rows)).set(subs.subarray(0, count));
    (this.starts = new Uint32Array(rows)).set(starts.subarray(0, count));
    (this.marks = new Uint8Array(rows)).set(marks.subarray(0, count));
  }

  /** Where a row is, deleted or not; -1 where it isn't. */
  find(main: number, sub: number): number {
    const { mains, subs, count } = this;
    // Revisions that follow on each other with one row each are the rule.
    const guess = main - mains[0]!;
    if (guess >= 0 && guess < count && mains[guess] === main && subs[guess] === sub) return guess;
    const i = this.#lowerBound(main, sub);
    return i < count && mains[i] === main && subs[i] === sub ? i : -1;
  }

  #lowerBound(main: number, sub: number): number {
    const { mains, subs } = this;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = mains[middle]!;
      if (there < main || (there === main && subs[middle]! < sub)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  isDeleted(i: number): boolean {
    return (this.marks[i]! & DELETED) !== 0;
  }

  delete(i: number): void {
    this.marks[i]! |= DELETED;
    this.live--;
  }

  row(i: number): KeyValue {
    const isTombstone = (this.marks[i]! & TOMBSTONE) !== 0;
    const start = this.starts[i]! + REVISION_BYTES + (isTombstone ? 1 : 0);
    return StoredRow.of(this.bytes, start, this.#endOf(i), this.mains[i]!, isTombstone);
  }

  bytesOf(i: number): RowBytes {
    const start = this.starts[i]!;
    const value = start + REVISION_BYTES + ((this.marks[i]! & TOMBSTONE) !== 0 ? 1 : 0);
    return { key: this.bytes.subarray(start, value), value: this.bytes.subarray(value, this.#endOf(i)) };
  }

  #endOf(i: number): number {
    return i + 1 < this.count ? this.starts[i + 1]! : this.end;
  }

  /** Visits rows with a main revision from `from` up to and including `to`; false where `visit` said so. */
  scan(from: number, to: number, visit: (row: KeyValue, sub: number) => boolean | void): boolean {
    for (let i = this.#lowerBound(from, 0); i < this.count && this.mains[i]! <= to; i++)
      if (!this.isDeleted(i) && visit(this.row(i), this.subs[i]!) === false) return false;
    return true;
  }

  /** Without what was deleted. */
  packed(): Block {
    let size = 0;
    for (let i = 0; i < this.count; i++) if (!this.isDeleted(i)) size += this.#endOf(i) - this.starts[i]!;
    const block = new Block(size);
    block.#resize(this.live);
    for (let i = 0; i < this.count; i++) {
      if (this.isDeleted(i)) continue;
      const to = block.count++;
      block.mains[to] = this.mains[i]!;
      block.subs[to] = this.subs[i]!;
      block.starts[to] = block.end;
      block.marks[to] = this.marks[i]!;
      block.end += this.bytes.copy(block.bytes, block.end, this.starts[i]!, this.#endOf(i));
    }
    block.live = block.count;
    block.batch = this.batch;
    block.isTouched = this.isTouched;
    return block;
  }
}

export class RowCache {
  /** In the order of their revisions. */
  readonly #blocks: Block[] = [];
  readonly #mostBytes: number;
  #bytes = 0;
  /** Rows up to this revision may be on disk alone. */
  #dropped: number;
  /** The last commit that is over. */
  #committed = 0;
  /** Blocks of which much was deleted, to be looked at when they are on disk. */
  readonly #worn = new Set<Block>();

  /** Rows up to `revision` are on disk and not in here. */
  constructor(mostBytes: number, revision: number) {
    this.#mostBytes = mostBytes;
    this.#dropped = revision;
  }

  get hasDropped(): boolean {
    return this.#dropped > 0;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /** Gives the block that the row is in now, as its last. */
  put(row: KeyValue, sub: number, batch: number): Block {
    const size = rowBytes(row) + REVISION_BYTES + 1;
    let block = this.#blocks.at(-1);
    if (block === undefined || block.end + size > block.bytes.length) {
      if (block !== undefined) {
        this.#bytes -= block.weight;
        block.close();
        this.#bytes += block.weight;
      }
      block = new Block(size > LONELY_BYTES ? size : BLOCK_BYTES);
      this.#blocks.push(block);
      this.#bytes += block.weight;
    }
    block.batch = batch;
    block.add(row, sub);
    return block;
  }

  get(main: number, sub: number): KeyValue | undefined {
    const block = this.#blocks[this.#blockIndex(main, sub)];
    if (block === undefined) return undefined;
    const i = block.find(main, sub);
    if (i === -1 || block.isDeleted(i)) return undefined;
    block.isTouched = true;
    return block.row(i);
  }

  /** The last block that begins at or before a revision; -1 where none does. */
  #blockIndex(main: number, sub: number): number {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { mains, subs } = blocks[middle]!;
      if (mains[0]! < main || (mains[0] === main && subs[0]! <= sub)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Whether what is not in here at `main` is nowhere. */
  isComplete(main: number): boolean {
    return main > this.#dropped;
  }

  /** The last revision of those that may be on disk alone. */
  get incompleteUntil(): number {
    return this.#dropped;
  }

  delete(main: number, sub: number): void {
    const at = this.#blockIndex(main, sub);
    const block = this.#blocks[at];
    const i = block?.find(main, sub) ?? -1;
    if (block === undefined || i === -1 || block.isDeleted(i)) return;
    block.delete(i);
    if (block.live > block.count / 2) return;
    if (block.batch <= this.#committed) this.#pack(block, at);
    else this.#worn.add(block);
  }

  #pack(block: Block, at: number): void {
    if (block === this.#blocks.at(-1)) return; // It is being written to.
    this.#bytes -= block.weight;
    if (block.live === 0) this.#blocks.splice(at, 1);
    else {
      const packed = block.packed();
      this.#blocks[at] = packed;
      this.#bytes += packed.weight;
    }
  }

  /** Visits what is in here of complete revisions, in order, until `visit` says false; false then. */
  scan(from: number, to: number, visit: (row: KeyValue, sub: number) => boolean | void): boolean {
    assert(from > this.#dropped, "some of these rows may be on disk alone");
    for (let at = Math.max(0, this.#blockIndex(from, 0)); at < this.#blocks.length; at++) {
      const block = this.#blocks[at]!;
      if (block.firstMain > to) break;
      if (!block.scan(from, to, visit)) return false;
    }
    return true;
  }

  /** Commit `committed` is over. Drops what nobody asked for of what it and those before it have written, until the rest fits. */
  shrink(committed: number): void {
    this.#committed = committed;
    for (const block of this.#worn) {
      if (block.batch > committed) continue;
      this.#worn.delete(block);
      const at = this.#blockIndex(block.firstMain, block.subs[0]!);
      if (this.#blocks[at] === block) this.#pack(block, at);
    }
    if (this.#bytes <= this.#mostBytes) return;
    const kept: Block[] = [];
    for (const block of this.#blocks) {
      if (this.#bytes <= this.#mostBytes || block.batch > committed || block.isTouched) {
        if (this.#bytes > this.#mostBytes) block.isTouched = false;
        kept.push(block);
        continue;
      }
      this.#bytes -= block.weight;
      this.#dropped = Math.max(this.#dropped, block.lastMain);
    }
    this.#blocks.splice(0, this.#blocks.length, ...kept);
  }
}
