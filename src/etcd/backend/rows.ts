/**
 * Rows as the bucket `key` has them: under a revision of 17 bytes, with a mark behind it for a tombstone, a KeyValue message whose fields are
 * written in order and left out where they are 0. Written and read by hand because each put passes here once more after its answer.
 *
 * Upstream: server/storage/mvcc/revision.go
 */
import { DamagedFile } from "./bolt/format.ts";
import type { KeyValue } from "./backend.ts";

const REVISION_BYTES = 17;
const SEPARATOR = 0x5f; // "_"
const TOMBSTONE_MARK = 0x74; // "t"
const EMPTY = new Uint8Array(0);

/** Where bytes come from. */
type Take = (size: number) => Uint8Array;

const SLAB_BYTES = 64 * 1024;

const allocate: Take = (size) => new Uint8Array(size);

/** Bytes out of large pieces: for many small ones that go together. */
export function fromSlabs(): Take {
  let slab = new Uint8Array(0);
  let at = 0;
  return (size) => {
    if (size > SLAB_BYTES / 8) return new Uint8Array(size);
    if (at + size > slab.length) {
      slab = new Uint8Array(SLAB_BYTES);
      at = 0;
    }
    at += size;
    return slab.subarray(at - size, at);
  };
}

export function revisionKey(main: number, sub: number, isTombstone = false, take: Take = allocate): Uint8Array {
  const key = take(isTombstone ? REVISION_BYTES + 1 : REVISION_BYTES);
  putBigEndian(key, 0, main);
  key[8] = SEPARATOR;
  putBigEndian(key, 9, sub);
  if (isTombstone) key[REVISION_BYTES] = TOMBSTONE_MARK;
  return key;
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

export function bigEndian(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  const low = ((bytes[at + 4]! << 24) | (bytes[at + 5]! << 16) | (bytes[at + 6]! << 8) | bytes[at + 7]!) >>> 0;
  return high * 0x1_0000_0000 + low;
}

/** A row's value. A tombstone's has its key alone. */
export function encodeRow(row: KeyValue, take: Take = allocate): Uint8Array {
  const { key, value } = row;
  const isTombstone = row.version === 0;
  let size = key.length === 0 ? 0 : 1 + varintBytes(key.length) + key.length;
  if (!isTombstone) {
    size += 3 + varintBytes(row.create_revision) + varintBytes(row.mod_revision) + varintBytes(row.version);
    if (value.length > 0) size += 1 + varintBytes(value.length) + value.length;
    if (row.lease !== 0n) size += 1 + bigVarintBytes(row.lease);
  }
  const bytes = take(size);
  let at = 0;
  if (key.length > 0) {
    bytes[at++] = 0x0a;
    at = putVarint(bytes, at, key.length);
    bytes.set(key, at);
    at += key.length;
  }
  if (isTombstone) return bytes;
  bytes[at++] = 0x10;
  at = putVarint(bytes, at, row.create_revision);
  bytes[at++] = 0x18;
  at = putVarint(bytes, at, row.mod_revision);
  bytes[at++] = 0x20;
  at = putVarint(bytes, at, row.version);
  if (value.length > 0) {
    bytes[at++] = 0x2a;
    at = putVarint(bytes, at, value.length);
    bytes.set(value, at);
    at += value.length;
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
  return bytes;
}

/** A row, in views of `value`. */
export function decodeRow(key: Uint8Array, value: Uint8Array): KeyValue {
  const row = decodeFields(value);
  const { keyStart, keyEnd, valueStart, valueEnd } = row;
  return {
    key: keyEnd === keyStart ? EMPTY : value.subarray(keyStart, keyEnd),
    create_revision: row.created,
    mod_revision: mainOf(key),
    version: row.version,
    value: valueEnd === valueStart ? EMPTY : value.subarray(valueStart, valueEnd),
    lease: row.lease,
  };
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
export function decodeFields(bytes: Uint8Array): RowFields {
  const row: RowFields = { created: 0, version: 0, lease: 0n, keyStart: 0, keyEnd: 0, valueStart: 0, valueEnd: 0 };
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new DamagedFile("a row is cut off");
      value += (byte & 0x7f) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const wire = tag & 7;
    if (wire === 2) {
      const length = number();
      if (at + length > bytes.length) throw new DamagedFile("a row is cut off");
      if (tag === 0x0a) [row.keyStart, row.keyEnd] = [at, at + length];
      else if (tag === 0x2a) [row.valueStart, row.valueEnd] = [at, at + length];
      at += length;
    } else if (wire !== 0) throw new DamagedFile("a row has a field of a strange type");
    else if (tag === 0x30) {
      let lease = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const byte = bytes[at++];
        if (byte === undefined) throw new DamagedFile("a row is cut off");
        lease |= BigInt(byte & 0x7f) << shift;
        if (byte < 128) break;
      }
      row.lease = BigInt.asIntN(64, lease);
    } else {
      const value = number();
      if (tag === 0x10) row.created = value;
      else if (tag === 0x20) row.version = value;
    }
  }
  return row;
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
