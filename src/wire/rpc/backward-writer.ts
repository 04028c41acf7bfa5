/** A buffer that is filled from its end to its start, so that a message's length is known by the time it is written. */
import { Halves, HIGH, LOW } from "./reader.ts";

const SLAB_BYTES = 64 * 1024;
const { copy } = Buffer.prototype;
const SMALL = 48; // Below this a loop beats a call into the engine.

export class BackwardWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  readonly #halves = new Halves();
  /** The first byte of what is written. */
  #position = SLAB_BYTES;
  /** The end of the message at hand. */
  #end = SLAB_BYTES;

  /** Starts a message; what was taken before stays as it is. */
  start(): void {
    this.#end = this.#position;
  }

  /** Bytes of the message at hand. */
  get length(): number {
    return this.#end - this.#position;
  }

  /** The message, in memory that later messages will share. */
  take(): Uint8Array {
    const { buffer } = this.#buffer;
    return new Uint8Array(buffer as ArrayBuffer, this.#position, this.#end - this.#position);
  }

  /** The message that was taken last is of no more use: its place is free again. */
  release(taken: Uint8Array): void {
    if (taken.buffer === this.#buffer.buffer && taken.byteOffset === this.#position) this.#position += taken.length;
  }

  /** The message in memory of its own; the slab is as it was at `start`. */
  copy(): Uint8Array {
    const copied = this.take().slice();
    this.#position = this.#end;
    return copied;
  }

  /** A copy of the `bytes` that were written last. */
  last(bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer.subarray(this.#position, this.#position + bytes));
  }

  /** About so many more bytes will come. */
  expect(bytes: number): void {
    if (this.#position < bytes) this.#grow(this.length + Math.ceil(bytes));
  }

  skip(bytes: number): void {
    this.#reserve(bytes);
    this.#buffer.fill(0, this.#position - bytes, this.#position);
    this.#position -= bytes;
  }

  bytes(value: Uint8Array): void {
    const { length } = value;
    this.#reserve(length);
    const at = (this.#position -= length);
    if (length > SMALL) this.#buffer.set(value, at);
    else for (let i = 0; i < length; i++) this.#buffer[at + i] = value[i]!;
  }

  /** The bytes that `source` has from `start` to `end`. */
  piece(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#reserve(length);
    const at = (this.#position -= length);
    if (length > SMALL) copy.call(source, this.#buffer, at, start, end);
    else for (let i = 0; i < length; i++) this.#buffer[at + i] = source[start + i]!;
  }

  /** With its length. */
  string(value: string): void {
    const { length } = value;
    if (length <= SMALL) {
      this.#reserve(length);
      const buffer = this.#buffer;
      const at = this.#position - length;
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code > 0x7f) break;
        buffer[at + i] = code;
      }
      if (i === length) {
        this.#position = at;
        this.varint32(length);
        return;
      }
    }
    const size = Buffer.byteLength(value);
    this.#reserve(size);
    this.#position -= size;
    this.#buffer.write(value, this.#position, size, "utf8");
    this.varint32(size);
  }

  varint32(value: number): void {
    this.#reserve(5);
    const buffer = this.#buffer;
    if (value < 0x80) {
      buffer[--this.#position] = value;
      return;
    }
    const size = value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
    let at = (this.#position -= size);
    while (value > 0x7f) {
      buffer[at++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    buffer[at] = value;
  }

  /** A negative one takes ten bytes, as if it were of 64 bits. */
  int32(value: number): void {
    if (value >= 0) this.varint32(value);
    else this.big(BigInt(value));
  }

  /** A safe integer. */
  int64(value: number): void {
    if (value < 0) return this.big(BigInt(value));
    if (value < 0x100000000) return this.varint32(value);
    this.#reserve(10);
    let high = Math.floor(value / 0x100000000);
    let low = value >>> 0;
    let size = 1;
    for (let rest = value; rest >= 0x80; rest /= 0x80) size++;
    let at = (this.#position -= size);
    const buffer = this.#buffer;
    for (let i = 1; i < size; i++) {
      buffer[at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    buffer[at] = low;
  }

  /** All 64 bits, as a varint; negative numbers in two's complement. */
  big(value: bigint): void {
    this.#reserve(10);
    const { words, whole } = this.#halves;
    whole[0] = value; // Modulo 2⁶⁴: two's complement.
    let low = words[LOW]!;
    let high = words[HIGH]!;
    const scratch = this.#buffer;
    let size = 1;
    for (let l = low, h = high; h !== 0 || l > 0x7f; size++) {
      l = ((l >>> 7) | (h << 25)) >>> 0;
      h >>>= 7;
    }
    let at = (this.#position -= size);
    for (let i = 1; i < size; i++) {
      scratch[at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    scratch[at] = low;
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#buffer.writeUInt32LE(value >>> 0, (this.#position -= 4));
  }

  fixed64(value: bigint): void {
    this.#reserve(8);
    this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, value), (this.#position -= 8));
  }

  float(value: number): void {
    this.#reserve(4);
    this.#buffer.writeFloatLE(value, (this.#position -= 4));
  }

  double(value: number): void {
    this.#reserve(8);
    this.#buffer.writeDoubleLE(value, (this.#position -= 8));
  }

  #reserve(bytes: number): void {
    if (this.#position >= bytes) return;
    const written = this.#end - this.#position;
    this.#grow(written === 0 && bytes <= SLAB_BYTES ? SLAB_BYTES : Math.max(SLAB_BYTES, (written + bytes) * 2));
  }

  #grow(size: number): void {
    const written = this.#end - this.#position;
    const next = Buffer.allocUnsafeSlow(size);
    next.set(this.#buffer.subarray(this.#position, this.#end), size - written);
    this.#buffer = next;
    this.#end = size;
    this.#position = size - written;
  }
}
