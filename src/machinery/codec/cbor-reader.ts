/**
 * Reads one CBOR item into the tree that equivalent JSON would give.
 * Upstream: github.com/fxamacker/cbor with the options of serializer/cbor/internal/modes.
 */
import { DecodeError } from "./decode.ts";

const DEPTH_MAX = 10_000;
/** Lengths with no end given: chunks or items follow until a break. */
const INDEFINITE = -1;
const BREAK = 0xff;
const TAG = { time: 0, epoch: 1, bigNumber: 2, negativeBigNumber: 3, base64url: 21, base64: 22, base16: 23 } as const;

type Text = "base64url" | "base64" | "hex";

export class CborReader {
  readonly #bytes: Buffer;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The one item that these bytes are. */
  whole(): unknown {
    if (this.#bytes.length === 0) throw new DecodeError("EOF");
    const value = this.#item(undefined);
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new DecodeError(`cbor: ${left} bytes of extraneous data starting at index ${this.#at}`);
    return value;
  }

  /** `expected`: how the bytes in a byte string are to be written as text, if a tag around them said so. */
  #item(expected: Text | undefined): unknown {
    const initial = this.#byte();
    const major = initial >> 5;
    const low = initial & 0x1f;
    if (major === 7) return this.#simple(low);
    const argument = this.#argument(major, low);
    switch (major) {
      case 0:
        return this.#integer(argument, false);
      case 1:
        return this.#integer(argument, true);
      case 2: {
        const bytes = this.#string(2, argument);
        return bytes.toString(expected ?? "utf8");
      }
      case 3:
        return this.#text(this.#string(3, argument));
      case 4:
        return this.#nested(() => this.#array(argument, expected));
      case 5:
        return this.#nested(() => this.#map(argument, expected));
      default:
        return this.#nested(() => this.#tagged(argument, expected));
    }
  }

  #byte(): number {
    if (this.#at >= this.#bytes.length) throw new DecodeError("unexpected EOF");
    return this.#bytes[this.#at++]!;
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new DecodeError("unexpected EOF");
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }

  #argument(major: number, low: number): number {
    if (low < 24) return low;
    switch (low) {
      case 24:
        return this.#byte();
      case 25:
        return this.#take(2).readUInt16BE();
      case 26:
        return this.#take(4).readUInt32BE();
      case 27:
        return this.#long();
      case 31:
        if (major >= 2 && major <= 5) return INDEFINITE;
    }
    throw new DecodeError(`cbor: invalid additional information ${low} for type ${TYPES[major]}`);
  }

  /** Precision above 53 bits goes, as it does with JSON. */
  #long(): number {
    return Number(this.#take(8).readBigUInt64BE());
  }

  #integer(argument: number, negative: boolean): number {
    const value = negative ? -1 - argument : argument;
    if (argument >= 2 ** 63)
      throw new DecodeError(
        `cbor: cannot unmarshal ${negative ? "negative" : "positive"} integer into Go value of type int64 (${BigInt(value)} overflows Go's int64)`,
      );
    return value;
  }

  #string(major: 2 | 3, length: number): Buffer {
    if (length !== INDEFINITE) return this.#take(length);
    const chunks: Buffer[] = [];
    for (;;) {
      const initial = this.#byte();
      if (initial === BREAK) return Buffer.concat(chunks);
      if (initial >> 5 !== major || (initial & 0x1f) === 31)
        throw new DecodeError(`cbor: wrong element type ${TYPES[initial >> 5]} for indefinite-length ${TYPES[major]}`);
      chunks.push(this.#take(this.#argument(major, initial & 0x1f)));
    }
  }

  #text(bytes: Buffer): string {
    const text = bytes.toString("utf8");
    if (text.includes("\ufffd") && !Buffer.from(text).equals(bytes))
      throw new DecodeError("cbor: invalid UTF-8 string");
    return text;
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new DecodeError(`cbor: exceeded max nested level ${DEPTH_MAX}`);
    const value = read();
    this.#depth--;
    return value;
  }

  #array(length: number, expected: Text | undefined): unknown[] {
    const items: unknown[] = [];
    while (this.#goesOn(items.length, length)) items.push(this.#item(expected));
    return items;
  }

  #map(length: number, expected: Text | undefined): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    const seen = new Set<string>();
    while (this.#goesOn(seen.size, length)) {
      const initial = this.#bytes[this.#at] ?? 0;
      const key = this.#item(undefined);
      if (typeof key !== "string")
        throw new DecodeError(
          `cbor: cannot unmarshal ${TYPES[initial >> 5]} into Go value of type string (map key is of type ${TYPES[initial >> 5]} and cannot be used to match struct field name)`,
        );
      if (seen.has(key))
        throw new DecodeError(`cbor: found duplicate map key ${JSON.stringify(key)} at map element index ${seen.size}`);
      seen.add(key);
      const value = this.#item(expected);
      // Not by assignment: `__proto__` is a key like any other.
      Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return map;
  }

  #goesOn(count: number, length: number): boolean {
    if (length !== INDEFINITE) return count < length;
    if (this.#bytes[this.#at] !== BREAK) return true;
    this.#at++;
    return false;
  }

  #tagged(tag: number, expected: Text | undefined): unknown {
    switch (tag) {
      case TAG.time: {
        const value = this.#item(undefined);
        if (typeof value !== "string" || Number.isNaN(Date.parse(value)))
          throw new DecodeError(`cbor: cannot set ${JSON.stringify(value)} for time.Time: not an RFC 3339 time`);
        return value;
      }
      case TAG.epoch: {
        const value = this.#item(undefined);
        if (typeof value !== "number")
          throw new DecodeError("cbor: tag number 1 must be followed by integer or floating-point number");
        return new Date(value * 1000).toISOString().replace(/\.?0*Z$/, "Z");
      }
      case TAG.bigNumber:
      case TAG.negativeBigNumber:
        throw new DecodeError("cbor: data item of cbor type tag is not accepted by protocol: bignum");
      case TAG.base64url:
        return this.#item("base64url");
      case TAG.base64:
        return this.#item("base64");
      case TAG.base16:
        return this.#item("hex");
      default:
        return this.#item(expected);
    }
  }

  #simple(low: number): unknown {
    switch (low) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 24: {
        const value = this.#byte();
        if (value < 32) throw new DecodeError(`cbor: invalid simple value ${value} for type primitives`);
        throw refused(value);
      }
      case 25:
        return finite(half(this.#take(2).readUInt16BE()));
      case 26:
        return finite(this.#take(4).readFloatBE());
      case 27:
        return finite(this.#take(8).readDoubleBE());
      case 28:
      case 29:
      case 30:
        throw new DecodeError(`cbor: invalid additional information ${low} for type primitives`);
      case 31:
        throw new DecodeError('cbor: unexpected "break" code');
    }
    throw refused(low);
  }
}

/** Go's names for the major types. */
const TYPES = [
  "positive integer",
  "negative integer",
  "byte string",
  "UTF-8 text string",
  "array",
  "map",
  "tag",
  "primitives",
];

function refused(value: number): DecodeError {
  return new DecodeError(
    `cbor: data item of cbor type primitives is not accepted by protocol: simple value ${value} is not recognized`,
  );
}

function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new DecodeError(
    `cbor: data item of cbor type primitives is not accepted by protocol: floating-point ${Number.isNaN(value) ? "NaN" : "infinity"}`,
  );
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}
