/**
 * bbolt's pages as bytes: headers, elements, the meta page. All numbers are little-endian.
 *
 * ```
 *   page     id u64 | flags u16 | count u16 | overflow u32 | elements … | keys and values …
 *   branch   pos u32 | ksize u32 | page u64             pos counts from the element's own place
 *   leaf     flags u32 | pos u32 | ksize u32 | vsize u32
 *   meta     magic | version | pageSize | flags | root u64 | sequence u64 | freelist u64 | pages u64 | txid u64 | checksum u64
 * ```
 *
 * Upstream: bbolt internal/common/{page,meta,inode}.go
 */
export const HEADER_BYTES = 16;
export const ELEMENT_BYTES = 16;
export const FLAG_BRANCH = 0x01;
export const FLAG_LEAF = 0x02;
export const FLAG_META = 0x04;
export const FLAG_FREELIST = 0x10;
/** On a leaf's element: its value is a bucket. */
export const ELEMENT_BUCKET = 0x01;
/** A bucket's value begins with its root page and its sequence; root 0 says that a page follows in place. */
export const BUCKET_HEADER_BYTES = 16;

const MAGIC = 0xed0cdaed;
const VERSION = 2;
const META_BYTES = 64;
/** In place of a page: the free pages are not stored, whoever opens the file finds them. */
const NO_FREELIST = 0xffffffffffffffffn;

export interface Meta {
  readonly pageSize: number;
  readonly root: number;
  readonly sequence: number;
  /** Undefined where the free pages are not stored. */
  readonly freelist: number | undefined;
  /** The first page number that was never used: the file's length in pages. */
  readonly pages: number;
  readonly txid: number;
}

export function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}
export function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
export function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) + u32(bytes, at + 4) * 0x1_0000_0000;
}
export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}
export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
export function putU64(bytes: Uint8Array, at: number, value: number): void {
  putU32(bytes, at, value % 0x1_0000_0000);
  putU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000));
}

export interface Header {
  readonly id: number;
  readonly flags: number;
  readonly count: number;
  /** How many pages more than one this one takes. */
  readonly overflow: number;
}

export function putHeader(bytes: Uint8Array, { id, flags, count, overflow }: Header): void {
  putU64(bytes, 0, id);
  putU16(bytes, 8, flags);
  putU16(bytes, 10, count);
  putU32(bytes, 12, overflow);
}

/** A page, or the page inside of an inline bucket, with its elements read in place. */
export class Page {
  readonly bytes: Uint8Array;
  readonly id: number;
  readonly flags: number;
  readonly count: number;
  readonly overflow: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.id = u64(bytes, 0);
    this.flags = u16(bytes, 8);
    this.count = u16(bytes, 10);
    this.overflow = u32(bytes, 12);
  }

  get isLeaf(): boolean {
    return (this.flags & FLAG_LEAF) !== 0;
  }
  get isBranch(): boolean {
    return (this.flags & FLAG_BRANCH) !== 0;
  }

  keyStart(i: number): number {
    const element = HEADER_BYTES + i * ELEMENT_BYTES;
    return element + u32(this.bytes, element + (this.isLeaf ? 4 : 0));
  }
  keyLength(i: number): number {
    return u32(this.bytes, HEADER_BYTES + i * ELEMENT_BYTES + (this.isLeaf ? 8 : 4));
  }
  key(i: number): Uint8Array {
    const start = this.keyStart(i);
    return this.#slice(start, this.keyLength(i));
  }
  value(i: number): Uint8Array {
    const element = HEADER_BYTES + i * ELEMENT_BYTES;
    return this.#slice(this.keyStart(i) + this.keyLength(i), u32(this.bytes, element + 12));
  }
  elementFlags(i: number): number {
    return u32(this.bytes, HEADER_BYTES + i * ELEMENT_BYTES);
  }
  /** Of a branch's element: the page below. */
  child(i: number): number {
    return u64(this.bytes, HEADER_BYTES + i * ELEMENT_BYTES + 8);
  }

  /** The first element whose key is not below `key`. */
  lowerBound(key: Uint8Array): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compareKey(middle, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Of a branch: the element below which `key` is, if it is anywhere. */
  childIndex(key: Uint8Array): number {
    const at = this.lowerBound(key);
    return at < this.count && this.compareKey(at, key) === 0 ? at : Math.max(0, at - 1);
  }

  compareKey(i: number, key: Uint8Array): number {
    const { bytes } = this;
    const start = this.keyStart(i);
    const length = this.keyLength(i);
    const shared = Math.min(length, key.length);
    for (let at = 0; at < shared; at++) {
      const difference = bytes[start + at]! - key[at]!;
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }

  #slice(start: number, length: number): Uint8Array {
    if (start + length > this.bytes.length)
      throw new DamagedFile(`page ${this.id}: an element reaches beyond the page's end`);
    return this.bytes.subarray(start, start + length);
  }
}

/** The file contradicts itself. */
export class DamagedFile extends Error {}

/** No tree is so deep: who gets there goes in circles. */
const DEPTH_MAX = 64;

/** To be called on the way down, with the branches passed so far. */
export function checkDepth(page: Page, depth: number): void {
  if (depth > DEPTH_MAX) throw new DamagedFile(`page ${page.id}: the pages below lead back to those above`);
}

export function encodeMeta(meta: Meta): Uint8Array {
  const bytes = new Uint8Array(meta.pageSize);
  putHeader(bytes, { id: meta.txid % 2, flags: FLAG_META, count: 0, overflow: 0 });
  putMetaBody(bytes, meta);
  return bytes;
}

/** As `encodeMeta`, in the given one of both places. */
export function encodeMetaAt(place: 0 | 1, meta: Meta): Uint8Array {
  const bytes = new Uint8Array(meta.pageSize);
  putHeader(bytes, { id: place, flags: FLAG_META, count: 0, overflow: 0 });
  putMetaBody(bytes, meta);
  return bytes;
}

function putMetaBody(page: Uint8Array, meta: Meta): void {
  const body = page.subarray(HEADER_BYTES, HEADER_BYTES + META_BYTES);
  putU32(body, 0, MAGIC);
  putU32(body, 4, VERSION);
  putU32(body, 8, meta.pageSize);
  putU64(body, 16, meta.root);
  putU64(body, 24, meta.sequence);
  if (meta.freelist === undefined) body.fill(0xff, 32, 40);
  else putU64(body, 32, meta.freelist);
  putU64(body, 40, meta.pages);
  putU64(body, 48, meta.txid);
  const sum = fnv1a64(body.subarray(0, 56));
  Buffer.from(body.buffer, body.byteOffset, body.length).writeBigUInt64LE(sum, 56);
}

/** The meta page in `page`, or why it is none. */
export function decodeMeta(page: Uint8Array): Meta | string {
  if (page.length < HEADER_BYTES + META_BYTES) return "the page is cut off";
  const body = page.subarray(HEADER_BYTES, HEADER_BYTES + META_BYTES);
  if (u32(body, 0) !== MAGIC) return "invalid database";
  if (u32(body, 4) !== VERSION) return "version mismatch";
  const view = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (view.readBigUInt64LE(56) !== fnv1a64(body.subarray(0, 56))) return "checksum error";
  const pageSize = u32(body, 8);
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return `a page size of ${pageSize}`;
  return {
    pageSize,
    root: u64(body, 16),
    sequence: u64(body, 24),
    freelist: view.readBigUInt64LE(32) === NO_FREELIST ? undefined : u64(body, 32),
    pages: u64(body, 40),
    txid: u64(body, 48),
  };
}

/** FNV-1a of 64 bits, over so few bytes that it may be slow. */
function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}

/** The numbers on a freelist page. More than 65,534 of them are counted in the first. */
export function decodeFreelist(page: Page): number[] {
  const isLong = page.count === 0xffff;
  const count = isLong ? u64(page.bytes, HEADER_BYTES) : page.count;
  const start = HEADER_BYTES + (isLong ? 8 : 0);
  if (start + 8 * count > page.bytes.length)
    throw new DamagedFile(`page ${page.id}: the list of free pages is cut off`);
  return Array.from({ length: count }, (_, i) => u64(page.bytes, start + 8 * i));
}

export function freelistBytes(count: number): number {
  return HEADER_BYTES + 8 * (count >= 0xffff ? count + 1 : count);
}

export function encodeFreelist(bytes: Uint8Array, id: number, overflow: number, free: readonly number[]): void {
  const isLong = free.length >= 0xffff;
  putHeader(bytes, { id, flags: FLAG_FREELIST, count: isLong ? 0xffff : free.length, overflow });
  if (isLong) putU64(bytes, HEADER_BYTES, free.length);
  const start = HEADER_BYTES + (isLong ? 8 : 0);
  free.forEach((page, i) => putU64(bytes, start + 8 * i, page));
}
