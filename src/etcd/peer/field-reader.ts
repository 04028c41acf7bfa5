/** Iterates over the fields of a protobuf message, for readers that know which ones they want. */

/** The bytes are no message. */
export class MessageError extends Error {
  override readonly name = "MessageError";
}

export class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #tag = 0;
  /** The two halves of what `halves` read. */
  high = 0;
  low = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  more(): boolean {
    return this.#at < this.#bytes.length;
  }

  tag(): number {
    return (this.#tag = this.number());
  }

  /** A number up to 2^53. */
  number(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++];
    if (byte !== undefined && byte < 0x80) return byte;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (byte === undefined) throw new MessageError("unexpected end of a message");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new MessageError("a number in a message is too large");
        return value;
      }
      scale *= 128;
      byte = bytes[this.#at++];
    }
    throw new MessageError("a number in a message is too long");
  }

  /** A number of 64 bits, into `high` and `low`. */
  halves(): void {
    const bytes = this.#bytes;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[this.#at++];
      if (byte === undefined) throw new MessageError("unexpected end of a message");
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new MessageError("a number in a message is too long");
  }

  bytes(): Uint8Array {
    const length = this.number();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new MessageError("unexpected end of a message");
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** Passes over the field whose tag was read last. */
  skip(): void {
    switch (this.#tag & 7) {
      case 0:
        return this.halves();
      case 1:
        this.#at += 8;
        break;
      case 2:
        this.bytes();
        return;
      case 5:
        this.#at += 4;
        break;
      default:
        throw new MessageError(`a message has a field of wire type ${this.#tag & 7}`);
    }
    if (this.#at > this.#bytes.length) throw new MessageError("unexpected end of a message");
  }
}
