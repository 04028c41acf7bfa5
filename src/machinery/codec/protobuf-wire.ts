/**
 * Protobuf's wire format: tags, varints, lengths. Messages are written from their end to their start, so that the length of a message is known by
 * the time it is written.
 */
import { DecodeError } from "./decode.ts";

/** Fills a buffer from its end. */
export class Writer {
  #buffer = Buffer.allocUnsafe(1024);
  #at = 1024;

  #room(size: number): void {
    if (this.#at >= size) return;
    const used = this.#buffer.length - this.#at;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, used + size + 256));
    this.#buffer.copy(grown, grown.length - used, this.#at);
    this.#at = grown.length - used;
    this.#buffer = grown;
  }

  /** The bytes written so far. */
  mark(): number {
    return this.#buffer.length - this.#at;
  }

  lengthSince(mark: number): void {
    this.varint(this.mark() - mark);
  }

  tag(number: number, wire: number): void {
    this.varint(number * 8 + wire);
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#at -= bytes.length;
    this.#buffer.set(bytes, this.#at);
  }

  bytes(bytes: Uint8Array): void {
    this.raw(bytes);
    this.varint(bytes.length);
  }

  string(text: string): void {
    const size = Buffer.byteLength(text);
    this.#room(size);
    this.#at -= size;
    this.#buffer.write(text, this.#at);
    this.varint(size);
  }

  double(value: number): void {
    this.#room(8);
    this.#at -= 8;
    this.#buffer.writeDoubleLE(value, this.#at);
  }

  varint(value: number): void {
    this.#room(10);
    if (value >= 0 && value < 128) {
      this.#buffer[--this.#at] = value;
      return;
    }
    const bytes: number[] = [];
    if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
      let rest = value;
      while (rest >= 128) {
        bytes.push((rest % 128) | 128);
        rest = Math.floor(rest / 128);
      }
      bytes.push(rest);
    } else {
      let rest = BigInt.asUintN(64, BigInt(value));
      while (rest >= 128n) {
        bytes.push(Number(rest & 127n) | 128);
        rest >>= 7n;
      }
      bytes.push(Number(rest));
    }
    for (let i = bytes.length - 1; i >= 0; i--) this.#buffer[--this.#at] = bytes[i]!;
  }

  finish(): Buffer {
    return Buffer.from(this.#buffer.subarray(this.#at));
  }
}

/** Reads from front to back. */
export class Reader {
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  /** Calls `field` for each field up to `end`; it reads the value and says so, or leaves it to be skipped. */
  message(end: number, field: (number: number, wire: number) => boolean): void {
    if (end > this.#bytes.length) throw new DecodeError("unexpected EOF");
    while (this.at < end) {
      const tag = this.varint();
      const wire = tag % 8;
      const number = Math.floor(tag / 8);
      if (!field(number, wire)) this.#skip(wire);
    }
    if (this.at !== end) throw new DecodeError("unexpected EOF");
  }

  nested(field: (number: number, wire: number) => boolean): void {
    this.message(this.length(), field);
  }

  /** Numbers and bytes of a small message, the last of each number. */
  parts(): ReadonlyMap<number, number | Uint8Array> {
    const parts = new Map<number, number | Uint8Array>();
    this.nested((number, wire) => {
      if (wire === 0) parts.set(number, this.varint());
      else if (wire === 2) parts.set(number, this.bytes());
      else return false;
      return true;
    });
    return parts;
  }

  /** Reads a length and returns where what it measures ends. */
  length(): number {
    const length = this.varint();
    const end = this.at + length;
    if (length < 0 || end > this.#bytes.length) throw new DecodeError("unexpected EOF");
    return end;
  }

  bytes(): Uint8Array {
    const end = this.length();
    const bytes = this.#bytes.subarray(this.at, end);
    this.at = end;
    return bytes;
  }

  string(): string {
    const end = this.length();
    const text = this.#bytes.toString("utf8", this.at, end);
    this.at = end;
    return text;
  }

  double(): number {
    if (this.at + 8 > this.#bytes.length) throw new DecodeError("unexpected EOF");
    const value = this.#bytes.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }

  varint(): number {
    let low = 0;
    let scale = 1;
    const start = this.at;
    for (let i = 0; i < 10; i++) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw new DecodeError("unexpected EOF");
      low += (byte & 127) * scale;
      if (byte < 128) return i < 7 ? low : this.#large(start);
      scale *= 128;
    }
    throw new DecodeError("proto: integer overflow");
  }

  /** Eight bytes and more: negative, or beyond what a float adds up exactly. */
  #large(start: number): number {
    let value = 0n;
    for (let i = start; i < this.at; i++) value |= BigInt(this.#bytes[i]! & 127) << BigInt((i - start) * 7);
    return Number(BigInt.asIntN(64, value));
  }

  #skip(wire: number): void {
    if (wire === 0) this.varint();
    else if (wire === 1) this.at += 8;
    else if (wire === 2) this.at = this.length();
    else if (wire === 5) this.at += 4;
    else throw new DecodeError(`proto: illegal wireType ${wire}`);
  }
}
