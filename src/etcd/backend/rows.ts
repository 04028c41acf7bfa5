/**
 * The rows of the bucket `key`: the key is a revision of 17 bytes, with a mark behind it for a tombstone; the value is a KeyValue message whose
 * fields are in order and omitted where they are 0. They are encoded by hand because every put passes here once more after its response.
 * Upstream: server/storage/mvcc/revision.go
 */
import type { BackwardWriter } from "../../wire/rpc/backward-writer.ts";
import { Encoded } from "../../wire/rpc/codec.ts";
import { DamagedFile } from "./bolt/format.ts";
import type { KeyValue } from "./backend.ts";

export const REVISION_BYTES = 17;
const SEPARATOR = 0x5f; // "_"
const TOMBSTONE_MARK = 0x74; // "t"
const EMPTY = new Uint8Array(0);

export function revisionKey(main: number, sub: number, isTombstone = false): Uint8Array {
  const key = new Uint8Array(isTombstone ? REVISION_BYTES + 1 : REVISION_BYTES);
  putRevisionKey(key, 0, main, sub, isTombstone);
  return key;
}

/** Gives where it ends. */
export function putRevisionKey(bytes: Uint8Array, at: number, main: number, sub: number, isTombstone: boolean): number {
  putBigEndian(bytes, at, main);
  bytes[at + 8] = SEPARATOR;
  putBigEndian(bytes, at + 9, sub);
  if (isTombstone) bytes[at + REVISION_BYTES] = TOMBSTONE_MARK;
  return at + REVISION_BYTES + (isTombstone ? 1 : 0);
}

export function mainOf(key: Uint8Array): number {
  if (key.length < REVISION_BYTES) throw new DamagedFile(`a row has a key of ${key.length} bytes`);
  return bigEndian(key, 0);
}
export function subOf(key: Uint8Array): number {
  return bigEndian(key, 9);
}
export function isTombstoneKey(key: Uint8Array): boolean {
  return key.length > REVISION_BYTES && key[REVISION_BYTES] === TOMBSTONE_MARK;
}

export function putBigEndian(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value % 0x1_0000_0000;
  bytes[at] = high >>> 24;
  bytes[at + 1] = high >>> 16;
  bytes[at + 2] = high >>> 8;
  bytes[at + 3] = high;
  bytes[at + 4] = low >>> 24;
  bytes[at + 5] = low >>> 16;
  bytes[at + 6] = low >>> 8;
  bytes[at + 7] = low;
}

function bigEndian(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  const low = ((bytes[at + 4]! << 24) | (bytes[at + 5]! << 16) | (bytes[at + 6]! << 8) | bytes[at + 7]!) >>> 0;
  return high * 0x1_0000_0000 + low;
}

/** A number in one of the small buckets, `what` by name: 8 bytes, or longer where it is the beginning of a revision. */
export function storedNumber(bytes: Uint8Array, what: string): number {
  if (bytes.length < 8) throw new DamagedFile(`the db file's ${what} is cut off, after ${bytes.length} bytes`);
  return bigEndian(bytes, 0);
}

/** How many bytes a row's value takes. */
export function rowBytes({ key, value, version, create_revision, mod_revision, lease }: KeyValue): number {
  let size = key.length === 0 ? 0 : 1 + varintBytes(key.length) + key.length;
  if (version === 0) return size; // A tombstone has its key alone.
  size += 3 + varintBytes(create_revision) + varintBytes(mod_revision) + varintBytes(version);
  if (value.length > 0) size += 1 + varintBytes(value.length) + value.length;
  if (lease !== 0n) size += 1 + bigVarintBytes(lease);
  return size;
}

/** A row's value. */
export function encodeRow(row: KeyValue): Uint8Array {
  const bytes = new Uint8Array(rowBytes(row));
  encodeRowInto(bytes, 0, row);
  return bytes;
}

/** As `encodeRow`, at a place where there is room; gives where it ends. */
export function encodeRowInto(bytes: Uint8Array, from: number, row: KeyValue): number {
  const { key, value } = row;
  let at = from;
  if (key.length > 0) {
    bytes[at++] = 0x0a;
    at = putVarint(bytes, at, key.length);
    at = putBytes(bytes, at, key);
  }
  if (row.version === 0) return at;
  bytes[at++] = 0x10;
  at = putVarint(bytes, at, row.create_revision);
  bytes[at++] = 0x18;
  at = putVarint(bytes, at, row.mod_revision);
  bytes[at++] = 0x20;
  at = putVarint(bytes, at, row.version);
  if (value.length > 0) {
    bytes[at++] = 0x2a;
    at = putVarint(bytes, at, value.length);
    at = putBytes(bytes, at, value);
  }
  if (row.lease !== 0n) {
    bytes[at++] = 0x30;
    for (let left = BigInt.asUintN(64, row.lease); ; left >>= 7n) {
      if (left < 128n) {
        bytes[at++] = Number(left);
        break;
      }
      bytes[at++] = Number(left & 127n) | 128;
    }
  }
  return at;
}

/** Below so many bytes a loop beats a call into the engine. */
const FEW_BYTES = 48;

function putBytes(bytes: Uint8Array, at: number, from: Uint8Array): number {
  const { length } = from;
  if (length > FEW_BYTES) bytes.set(from, at);
  else for (let i = 0; i < length; i++) bytes[at + i] = from[i]!;
  return at + length;
}

/**
 * A row that is read where it lies. To a client it goes as the bytes that it is: nothing is decoded on the way. Whoever keeps its key or value for
 * long makes copies, they are views of much more.
 */
export class StoredRow extends Encoded implements KeyValue {
  readonly #source: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  readonly #main: number;
  #fields: RowFields | undefined;

  /** The row that `source` has from `start` to `end`. */
  static of(source: Uint8Array, start: number, end: number, main: number, isTombstone: boolean): KeyValue {
    if (!isTombstone) return new StoredRow(source, start, end, main);
    // Its bytes don't say all that is known of it.
    const { keyStart, keyEnd } = decodeFields(source, start, end);
    const key = source.subarray(keyStart, keyEnd);
    return { key, create_revision: 0, mod_revision: main, version: 0, value: EMPTY, lease: 0n };
  }

  private constructor(source: Uint8Array, start: number, end: number, main: number) {
    super();
    this.#source = source;
    this.#start = start;
    this.#end = end;
    this.#main = main;
  }

  get bytes(): Uint8Array {
    return this.#source.subarray(this.#start, this.#end);
  }

  writeTo(writer: BackwardWriter): number {
    writer.piece(this.#source, this.#start, this.#end);
    return this.#end - this.#start;
  }

  get #row(): RowFields {
    return (this.#fields ??= decodeFields(this.#source, this.#start, this.#end));
  }
  get key(): Uint8Array {
    const { keyStart, keyEnd } = this.#row;
    return this.#source.subarray(keyStart, keyEnd);
  }
  get create_revision(): number {
    return this.#row.created;
  }
  get mod_revision(): number {
    return this.#main;
  }
  get version(): number {
    return this.#row.version;
  }
  get value(): Uint8Array {
    const { valueStart, valueEnd } = this.#row;
    return this.#source.subarray(valueStart, valueEnd);
  }
  get lease(): bigint {
    return this.#row.lease;
  }
}

/** A row under its key. */
export function decodeRow(key: Uint8Array, value: Uint8Array): KeyValue {
  return StoredRow.of(value, 0, value.length, mainOf(key), isTombstoneKey(key));
}

export interface RowFields {
  created: number;
  version: number;
  lease: bigint;
  /** Where the key and the value are in the message. */
  keyStart: number;
  keyEnd: number;
  valueStart: number;
  valueEnd: number;
}

/** A row's fields, without its key and value being copied. */
export function decodeFields(bytes: Uint8Array, start = 0, end = bytes.length): RowFields {
  const row: RowFields = { created: 0, version: 0, lease: 0n, keyStart: 0, keyEnd: 0, valueStart: 0, valueEnd: 0 };
  let at = start;
  while (at < end) {
    const tag = bytes[at++]!;
    // Our own fields have tags of one byte, and their numbers are read here: a lease is the only one that may be larger than it is exact.
    let low = 0;
    let value = 0;
    const first = at;
    for (let scale = 1; ; scale *= 128) {
      if (at >= end) throw new DamagedFile("a row is cut off");
      low = bytes[at++]!;
      value += (low & 0x7f) * scale;
      if (low < 128) break;
    }
    if (tag >= 128) throw new DamagedFile("a row has a field of a strange type");
    const wire = tag & 7;
    if (wire === 2) {
      if (at + value > end) throw new DamagedFile("a row is cut off");
      if (tag === 0x0a) [row.keyStart, row.keyEnd] = [at, at + value];
      else if (tag === 0x2a) [row.valueStart, row.valueEnd] = [at, at + value];
      at += value;
    } else if (wire !== 0) throw new DamagedFile("a row has a field of a strange type");
    else if (tag === 0x10) row.created = value;
    else if (tag === 0x20) row.version = value;
    else if (tag === 0x30) row.lease = bigVarint(bytes, first);
  }
  return row;
}

function bigVarint(bytes: Uint8Array, from: number): bigint {
  let value = 0n;
  for (let at = from, shift = 0n; ; at++, shift += 7n) {
    const byte = bytes[at]!;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 128) return BigInt.asIntN(64, value);
  }
}

function putVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value >= 0x8000_0000) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value = Math.floor(value / 128);
  }
  while (value >= 128) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}

function varintBytes(value: number): number {
  let bytes = 1;
  while (value >= 128) {
    value = Math.floor(value / 128);
    bytes++;
  }
  return bytes;
}

function bigVarintBytes(value: bigint): number {
  let bytes = 1;
  for (let left = BigInt.asUintN(64, value) >> 7n; left > 0n; left >>= 7n) bytes++;
  return bytes;
}
