/**
 * The bytes of a WAL record. A frame is a little-endian length word of 8 bytes (low 56 bits: bytes of the record; when padded, top byte:
 * 0x80 | padding), the record, zeros up to a multiple of 8. A record is {type, crc, data} in protobuf; the checksum rolls over the
 * data of all records so far, from file to file.
 *
 * By hand and not by the table-driven codec: an entry is framed here for every write there is.
 *
 * Upstream: server/storage/wal/encoder.go, decoder.go
 */
import type { Entry, HardState } from "../../raft/types.ts";
import { crc32c } from "./crc32c.ts";

export const RECORD = { metadata: 1, entry: 2, state: 3, crc: 4, snapshot: 5 } as const;

const EMPTY = new Uint8Array(0);
/** Room is made in advance, and kept for the next records unless it has grown large. */
const LEAST_BYTES = 16 * 1024;
const KEPT_BYTES = 1024 * 1024;

/** Builds frames one after the other in one buffer, and keeps the rolling checksum. */
export class FrameWriter {
  crc: number;
  #buffer: Uint8Array = EMPTY;
  #length = 0;
  /** A member's vote stays for a long time: its bytes are made once. */
  #vote = 0n;
  #voteBytes = varintBytes(0n);

  constructor(crc: number) {
    this.crc = crc;
  }

  /** Room for about so many bytes. What the last `take` gave is no more: it must have been written by now. */
  start(bytes: number): void {
    if (bytes > this.#buffer.length || this.#buffer.length > KEPT_BYTES)
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytes, LEAST_BYTES));
    this.#length = 0;
  }

  /** The frames since `start`, until the next. */
  take(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  entry({ term, index, type, data }: Entry): void {
    const dataLength = 6 + varintSize(term) + varintSize(index) + varintSize(data.length) - 1 + data.length;
    const at = this.#open(RECORD.entry, dataLength);
    let i = at;
    const buffer = this.#buffer;
    buffer[i++] = 0x08;
    buffer[i++] = type;
    buffer[i++] = 0x10;
    i = putVarint(buffer, i, term);
    buffer[i++] = 0x18;
    i = putVarint(buffer, i, index);
    buffer[i++] = 0x22;
    i = putVarint(buffer, i, data.length);
    buffer.set(data, i);
    this.#close(at, i + data.length);
  }

  state({ term, vote, commit }: HardState): void {
    if (vote !== this.#vote) {
      this.#vote = vote;
      this.#voteBytes = varintBytes(vote);
    }
    const voteBytes = this.#voteBytes;
    const at = this.#open(RECORD.state, 3 + varintSize(term) + voteBytes.length + varintSize(commit));
    const buffer = this.#buffer;
    let i = at;
    buffer[i++] = 0x08;
    i = putVarint(buffer, i, term);
    buffer[i++] = 0x10;
    for (let byte = 0; byte < voteBytes.length; byte++) buffer[i++] = voteBytes[byte]!;
    buffer[i++] = 0x18;
    i = putVarint(buffer, i, commit);
    this.#close(at, i);
  }

  record(type: number, data: Uint8Array): void {
    const at = this.#open(type, data.length);
    this.#buffer.set(data, at);
    this.#close(at, at + data.length);
  }

  /** The head of a file: carries the checksum over from the one before. */
  crcRecord(): void {
    this.#frame(Uint8Array.from([0x08, RECORD.crc, 0x10, ...varintBytes(this.crc)]));
  }

  #frame(record: Uint8Array): void {
    const padding = (8 - (record.length % 8)) % 8;
    this.#reserve(8 + record.length + padding);
    const at = this.#length;
    putFrameLength(this.#buffer, at, record.length, padding);
    this.#buffer.set(record, at + 8);
    this.#length = at + 8 + record.length + padding;
    this.#buffer.fill(0, at + 8 + record.length, this.#length);
  }

  /** Leaves room for the head of a record whose data is `dataLength` long, and says where that data begins. */
  #open(type: number, dataLength: number): number {
    // The checksum is not known before the data is there, so its varint takes its longest form's room only when `#close` needs it.
    this.#reserve(8 + 2 + 6 + 1 + varintSize(dataLength) + dataLength + 8);
    this.#buffer[this.#length + 8] = 0x08;
    this.#buffer[this.#length + 9] = type;
    return this.#length + 8 + 2 + 6 + 1 + varintSize(dataLength);
  }

  #close(from: number, to: number): void {
    const buffer = this.#buffer;
    const start = this.#length;
    this.crc = crc32c(buffer, this.crc, from, to);
    let i = start + 10;
    buffer[i++] = 0x10;
    i = putVarint(buffer, i, this.crc);
    buffer[i++] = 0x1a;
    i = putVarint(buffer, i, to - from);
    if (i !== from) buffer.copyWithin(i, from, to);
    const end = i + (to - from);
    const recordLength = end - start - 8;
    const padding = (8 - (recordLength % 8)) % 8;
    putFrameLength(buffer, start, recordLength, padding);
    buffer.fill(0, end, end + padding);
    this.#length = end + padding;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

function putFrameLength(buffer: Uint8Array, at: number, recordLength: number, padding: number): void {
  buffer[at] = recordLength & 0xff;
  buffer[at + 1] = (recordLength >>> 8) & 0xff;
  buffer[at + 2] = (recordLength >>> 16) & 0xff;
  buffer[at + 3] = recordLength >>> 24;
  buffer[at + 4] = 0;
  buffer[at + 5] = 0;
  buffer[at + 6] = 0;
  buffer[at + 7] = padding === 0 ? 0 : 0x80 | padding;
}

function varintSize(value: number): number {
  let size = 1;
  for (; value >= 128; value = Math.floor(value / 128)) size++;
  return size;
}

function putVarint(buffer: Uint8Array, at: number, value: number): number {
  while (value > 0x7fffffff) {
    buffer[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  while (value >= 128) {
    buffer[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  buffer[at++] = value;
  return at;
}

export function varintBytes(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return bytes;
}

/** The fields of a message of varints and bytes, by number; the last of each wins. Throws where it isn't one. */
export function readFields(bytes: Uint8Array): Map<number, bigint | Uint8Array> {
  const fields = new Map<number, bigint | Uint8Array>();
  let at = 0;
  const varint = (): bigint => {
    // Nearly all fit a number: bigints are made where they don't.
    let small = 0;
    for (let i = 0, scale = 1; i < 7; i++, scale *= 128) {
      const byte = bytes[at + i];
      if (byte === undefined) break;
      small += (byte & 0x7f) * scale;
      if (byte >= 128) continue;
      at += i + 1;
      return BigInt(small);
    }
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("a number is cut short");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new Error("a number is too long");
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    if ((tag & 7) === 0) fields.set(tag >>> 3, varint());
    else if ((tag & 7) === 2) {
      const length = Number(varint());
      if (at + length > bytes.length) throw new Error("a field is cut short");
      fields.set(tag >>> 3, bytes.subarray(at, at + length));
      at += length;
    } else throw new Error(`wire type ${tag & 7} is unknown`);
  }
  return fields;
}

export function readEntry(bytes: Uint8Array): Entry {
  const fields = readFields(bytes);
  return {
    type: Number(fields.get(1) ?? 0) as Entry["type"],
    term: Number(fields.get(2) ?? 0),
    index: Number(fields.get(3) ?? 0),
    data: (fields.get(4) as Uint8Array | undefined) ?? EMPTY,
  };
}

export function readState(bytes: Uint8Array): HardState {
  const fields = readFields(bytes);
  return {
    term: Number(fields.get(1) ?? 0),
    vote: (fields.get(2) as bigint | undefined) ?? 0n,
    commit: Number(fields.get(3) ?? 0),
  };
}
