/** A connection after an upgrade: bytes in both directions, beginning with those that followed the request. */
import type { ByteChannel, ByteSink, ByteStream, Peer } from "../../world/net.ts";
import { Body } from "../body.ts";
import { lost } from "./exchange.ts";
import * as limits from "./limits.ts";

const NO_TRAILERS = Object.freeze({});

export class UpgradedStream implements ByteStream, ByteSink {
  readonly #stream: ByteStream;
  readonly #channel: ByteChannel;
  readonly #incoming: Body;
  #unread = 0;

  constructor(stream: ByteStream, channel: ByteChannel) {
    this.#stream = stream;
    this.#channel = channel;
    this.#incoming = new Body((bytes) => {
      this.#unread -= bytes;
      if (this.#unread < limits.UNREAD_BYTES) channel.resume();
    });
  }

  get peer(): Peer {
    return this.#stream.peer;
  }
  get closed(): Promise<void> {
    return this.#stream.closed;
  }
  write(data: Uint8Array): Promise<void> {
    return this.#stream.write(data);
  }
  end(): void {
    this.#stream.end();
  }
  destroy(error?: Error): void {
    this.#stream.destroy(error);
  }
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.#incoming;
  }

  // From the connection

  onData(chunk: Uint8Array): void {
    this.#unread += chunk.length;
    this.#incoming.onData(chunk);
    if (this.#unread >= limits.UNREAD_BYTES) this.#channel.pause();
  }
  onEnd(): void {
    this.#incoming.onEnd(NO_TRAILERS);
  }
  onDrain(): void {}
  onFlush(): void {}
  onClose(error: Error | undefined): void {
    this.#incoming.onError(error ?? lost("the connection was closed"));
  }
}
