/** Collects a head that arrives in pieces, without looking at any byte twice and without copying everything for each piece. */
const FIRST_BYTES = 1024;

export class HeadInput {
  #bytes: Buffer = Buffer.alloc(0);
  length = 0;

  start(first: Buffer): void {
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, first.length * 2));
    first.copy(this.#bytes);
    this.length = first.length;
  }

  /** Where the head ends, or -1. */
  push(chunk: Buffer): number {
    const seen = this.length;
    this.length += chunk.length;
    if (this.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(this.length * 2);
      this.#bytes.copy(larger, 0, 0, seen);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, seen);
    return headEnd(this.#bytes.subarray(0, this.length), Math.max(0, seen - 2));
  }

  /** Its first line is none. */
  get isEmpty(): boolean {
    return beginsEmpty(this.#bytes, 0);
  }

  /** All of it, with what came behind the head. */
  take(): Buffer {
    const all = this.#bytes.subarray(0, this.length);
    this.#bytes = Buffer.alloc(0);
    this.length = 0;
    return all;
  }
}

/** An empty first line is no request. */
export function beginsEmpty(buffer: Buffer, start: number): boolean {
  return buffer[start] === 10 || (buffer[start] === 13 && buffer[start + 1] === 10);
}

/** Behind the first empty line from `from` on, where a line ends; negative where there is none. */
export function headEnd(buffer: Buffer, from: number): number {
  const returned = buffer.indexOf("\n\r\n", from, "latin1");
  const bare = (returned < 0 ? buffer : buffer.subarray(0, returned + 1)).indexOf("\n\n", from, "latin1");
  if (bare >= 0) return bare + 2;
  return returned < 0 ? -1 : returned + 3;
}
