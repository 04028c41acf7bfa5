/**
 * The chunks of a Node stream as an async iterable. A Readable's own iterator costs several promises and listeners per chunk; this one costs a
 * promise, and nothing if a chunk is already there.
 */
import type { Readable } from "node:stream";

/** How much may wait unread before the source is paused. */
const HIGH_WATER_BYTES = 256 * 1024;

export class ByteQueue implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  readonly #source: Readable;
  readonly #chunks: Uint8Array[] = [];
  #queuedBytes = 0;
  #paused = false;
  #started = false;
  #dropped = false;
  #state: "open" | "ended" | "failed" = "open";
  #error: unknown;
  #waiting: { resolve(result: IteratorResult<Uint8Array>): void; reject(error: unknown): void } | undefined;

  /** `explain` makes the reader's error for a stream that failed or, without a cause, closed before its end. */
  constructor(source: Readable, explain: (cause: Error | undefined) => unknown) {
    this.#source = source;
    source.on("error", (error) => this.#fail(explain(error)));
    source.on("close", () => this.#fail(this.#state === "open" && explain(source.errored ?? undefined)));
    // After 'error' and 'close', so that nothing is lost; 'end' before 'close' makes the latter a no-op.
    source.on("end", () => this.#end());
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    this.#start();
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    this.#start();
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#queuedBytes -= chunk.length;
      if (this.#paused && this.#queuedBytes < HIGH_WATER_BYTES / 2) {
        this.#paused = false;
        this.#source.resume();
      }
      return Promise.resolve({ value: chunk, done: false });
    }
    if (this.#state === "ended") return Promise.resolve({ value: undefined, done: true });
    if (this.#state === "failed") return Promise.reject(this.#error);
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  /** The reader leaves early. The source stays: a two-way stream goes on in its other direction. */
  return(): Promise<IteratorResult<Uint8Array>> {
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Nobody reads any more: what comes is dropped, so that the source can end. */
  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    this.#chunks.length = 0;
    this.#started = true;
    this.#source.resume();
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#source.on("data", (chunk: Uint8Array) => this.#push(chunk));
  }

  #push(chunk: Uint8Array): void {
    if (this.#dropped) return;
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = undefined;
      return waiting.resolve({ value: chunk, done: false });
    }
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes >= HIGH_WATER_BYTES && !this.#paused) {
      this.#paused = true;
      this.#source.pause();
    }
  }

  #end(): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#waiting?.resolve({ value: undefined, done: true });
    this.#waiting = undefined;
  }

  #fail(error: unknown): void {
    if (this.#state !== "open") return;
    this.#state = "failed";
    this.#error = error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
