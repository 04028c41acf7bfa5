/** A byte stream whose other end is a test that speaks HTTP/2 frame by frame. */
import { FrameReader } from "../wire/http2/frame-reader.ts";
import type { ByteSink, ByteStream } from "../world/net.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export class Http2Wire implements ByteStream {
  readonly peer = { address: { host: "10.0.0.9", port: 1 } };
  readonly closed = new Promise<void>(() => {});
  /** What has been written to it. */
  readonly frames: Frame[] = [];
  readonly #reader = new FrameReader({
    onFrame: (type, flags, id, buffer, start, end) =>
      void this.frames.push({ type, flags, id, payload: Buffer.from(buffer.subarray(start, end)) }),
  });
  #skip: number;
  #sink: ByteSink | undefined;
  ended = false;
  destroyed = false;
  /** The test reads nothing for now. */
  stuck = false;

  /** What is written begins with so many bytes that are no frames. */
  constructor(skip = 0) {
    this.#skip = skip;
  }

  /** Tells of bytes that have come, or of room again. */
  get sink(): ByteSink {
    return this.#sink!;
  }

  attach(sink: ByteSink) {
    this.#sink = sink;
    return {
      flushSoon: () => queueMicrotask(() => sink.onFlush()),
      write: (chunks: readonly Uint8Array[]) => {
        for (const chunk of chunks) {
          const skipped = Math.min(this.#skip, chunk.length);
          this.#skip -= skipped;
          this.#reader.push(Buffer.from(chunk.subarray(skipped)));
        }
        return !this.stuck;
      },
      pause: () => {},
      resume: () => {},
    };
  }

  async write(): Promise<void> {}
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
  async *[Symbol.asyncIterator]() {}
}
