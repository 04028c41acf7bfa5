/** A byte stream whose other end is a test that speaks HTTP/1.1 byte by byte. */
import type { ByteSink, ByteStream } from "../world/net.ts";

export class Http1Wire implements ByteStream {
  readonly peer = { address: { host: "10.0.0.9", port: 1 } };
  readonly closed = new Promise<void>(() => {});
  /** What has been written to it, in the pieces in which it was. */
  readonly pieces: string[] = [];
  #sink: ByteSink | undefined;
  ended = false;
  destroyed = false;
  paused = false;
  /** The test reads nothing for now. */
  stuck = false;

  get text(): string {
    return this.pieces.join("");
  }

  get sink(): ByteSink {
    return this.#sink!;
  }

  say(bytes: string | Uint8Array): void {
    this.sink.onData(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  attach(sink: ByteSink) {
    this.#sink = sink;
    return {
      flushSoon: () => queueMicrotask(() => sink.onFlush()),
      write: (chunks: readonly Uint8Array[]) => {
        this.pieces.push(Buffer.concat(chunks).toString("latin1"));
        return !this.stuck;
      },
      pause: () => void (this.paused = true),
      resume: () => void (this.paused = false),
    };
  }

  async write(data: Uint8Array): Promise<void> {
    this.pieces.push(Buffer.from(data).toString("latin1"));
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
  async *[Symbol.asyncIterator]() {}
}
