/** A body that is read by iteration. The sender bounds how much is buffered, because it is told of bytes as they are read. */
import type { BodySink, Headers } from "../world/net.ts";

export class Body implements BodySink, AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  readonly #read: (bytes: number) => void;
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #waiting: { resolve(result: IteratorResult<Uint8Array>): void; reject(error: unknown): void } | undefined;

  /** `read` is told how many bytes its reader has taken. */
  constructor(read: (bytes: number) => void) {
    this.#read = read;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#read(chunk.length);
      return Promise.resolve({ value: chunk, done: false });
    }
    if (this.#failure) return Promise.reject(this.#failure.error);
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  /** The reader leaves early. The other direction goes on. */
  return(): Promise<IteratorResult<Uint8Array>> {
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Nobody reads any more. */
  drop(): void {
    for (const chunk of this.#chunks.splice(0)) this.#read(chunk.length);
  }

  onData(chunk: Uint8Array): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return void this.#chunks.push(chunk);
    this.#waiting = undefined;
    this.#read(chunk.length);
    waiting.resolve({ value: chunk, done: false });
  }

  onEnd(_trailers: Headers): void {
    this.#ended = true;
    this.#waiting?.resolve({ value: undefined, done: true });
    this.#waiting = undefined;
  }

  onError(error: unknown): void {
    if (this.#ended || this.#failure) return;
    this.#failure = { error };
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
