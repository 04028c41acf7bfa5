/** Buffers the chunks of a connection, and joins them only when enough has arrived for what the parser needs. */
export class ByteBuffer {
  #chunks: Uint8Array[] = [];
  #length = 0;
  #front: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The bytes from the front, when at least `count` are there. */
  peek(count: number): Buffer | undefined {
    if (this.#front.length >= count) return this.#front;
    if (this.#front.length + this.#length < count) return undefined;
    const [only] = this.#chunks;
    this.#front =
      this.#front.length === 0 && this.#chunks.length === 1
        ? Buffer.from(only!.buffer, only!.byteOffset, only!.length)
        : Buffer.concat([this.#front, ...this.#chunks]);
    this.#chunks = [];
    this.#length = 0;
    return this.#front;
  }

  /** Drops bytes that were peeked at. */
  skip(count: number): void {
    this.#front = this.#front.subarray(count);
  }
}
