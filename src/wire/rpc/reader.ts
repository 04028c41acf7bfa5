/** Reads protobuf from bytes, with bounds checks. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

/** As deep as Go's decoder goes for us: a hostile message must not exhaust the stack. */
const DEPTH_MAX = 100;

/** Splits a bigint into its halves and back without making others on the way. */
export class Halves {
  readonly words = new Uint32Array(2);
  readonly whole = new BigUint64Array(this.words.buffer);
}
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
export const LOW = LITTLE_ENDIAN ? 0 : 1;
export const HIGH = 1 - LOW;

/** Reads protobuf's primitives from a message, forwards. */
export class Reader {
  readonly #data: Uint8Array;
  #text: Buffer | undefined;
  position = 0;
  #depth = 0;

  readonly #halves: Halves;

  constructor(data: Uint8Array, halves: Halves) {
    this.#data = data;
    this.#halves = halves;
  }

  /** The position after `length` more bytes, which must be there. */
  endOf(length: number): number {
    const end = this.position + length;
    if (end > this.#data.length) throw truncated();
    return end;
  }

  enter(): void {
    if (++this.#depth > DEPTH_MAX) throw new DecodeError("messages nested too deep");
  }

  leave(): void {
    this.#depth--;
  }

  uint32(): number {
    const data = this.#data;
    let byte = data[this.position++];
    if (byte === undefined) throw truncated();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      byte = data[this.position++];
      if (byte === undefined) throw truncated();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new DecodeError("a varint of more than ten bytes");
  }

  int32(): number {
    return this.uint32() | 0;
  }

  /** A signed number; it is exact up to 2⁵³. */
  int64(): number {
    const data = this.#data;
    const first = data[this.position];
    if (first !== undefined && first < 0x80) {
      this.position++;
      return first;
    }
    const low = this.#varint();
    return this.#high === 0 ? low : (this.#high | 0) * 0x100000000 + low;
  }

  uint64(): number {
    const low = this.#varint();
    return this.#high * 0x100000000 + low;
  }

  big(): bigint {
    const low = this.#varint();
    const { words, whole } = this.#halves;
    words[LOW] = low;
    words[HIGH] = this.#high;
    return whole[0]!;
  }

  #high = 0;
  /** The low half of a 64-bit varint; the high half is left in `#high`. */
  #varint(): number {
    const data = this.#data;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = data[this.position++];
      if (byte === undefined) throw truncated();
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#high = high >>> 0;
        return low >>> 0;
      }
    }
    throw new DecodeError("a varint of more than ten bytes");
  }

  fixed32(): number {
    const at = this.position;
    this.position = this.endOf(4);
    return this.#buffer().readUInt32LE(at);
  }

  fixed64(): bigint {
    const at = this.position;
    this.position = this.endOf(8);
    return this.#buffer().readBigUInt64LE(at);
  }

  float(): number {
    const at = this.position;
    this.position = this.endOf(4);
    return this.#buffer().readFloatLE(at);
  }

  double(): number {
    const at = this.position;
    this.position = this.endOf(8);
    return this.#buffer().readDoubleLE(at);
  }

  /** A view of the message's memory. */
  bytes(): Uint8Array {
    const length = this.uint32();
    const at = this.position;
    this.position = this.endOf(length);
    return new Uint8Array(this.#data.buffer, this.#data.byteOffset + at, length);
  }

  string(): string {
    const length = this.uint32();
    const at = this.position;
    this.position = this.endOf(length);
    return length === 0 ? "" : this.#buffer().toString("utf8", at, this.position);
  }

  skip(wire: number, number: number): void {
    if (number === 0) throw new DecodeError("a field with the number 0");
    if (wire === 0) this.#varint();
    else if (wire === 1) this.position = this.endOf(8);
    else if (wire === 2) this.position = this.endOf(this.uint32());
    else if (wire === 5) this.position = this.endOf(4);
    else if (wire === 3) this.#skipGroup(number);
    else throw new DecodeError(`wire type ${wire}`);
  }

  #skipGroup(number: number): void {
    this.enter();
    for (;;) {
      const tag = this.uint32();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== number) throw new DecodeError("a group that ends as another");
        return this.leave();
      }
      this.skip(tag & 7, tag >>> 3);
    }
  }

  #buffer(): Buffer {
    return (this.#text ??= Buffer.from(this.#data.buffer, this.#data.byteOffset, this.#data.length));
  }
}

function truncated(): DecodeError {
  return new DecodeError("unexpected EOF");
}
