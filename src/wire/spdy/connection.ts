/**
 * A SPDY/3.1 connection: streams over one byte stream, for either end. Upstream: github.com/moby/spdystream
 *
 * Go's implementation keeps no windows: it neither counts what it sends nor tells what it took. So we don't hold back either, and tell only
 * peers that show they count (by SETTINGS or a WINDOW_UPDATE of their own) what was read: Go closes as soon as a command has ended, and a word
 * that arrives then makes its kernel reset the connection, with the command's exit status lost on the way. Who reads too slowly stops the whole
 * connection, as there.
 */
import type { ByteStream } from "../../world/net.ts";
import { MessageQueue } from "../rpc/message-queue.ts";
import { RST, SpdyDecoder, SpdyEncoder, SpdyError, type SpdyFrame } from "./frames.ts";
import type { SpdyHeaders } from "./headers.ts";

/** Unread bytes of one stream at which the connection is read no further. */
const UNREAD_BYTES_MAX = 4 << 20;
const DATA_BYTES_MAX = 64 * 1024;

export interface SpdyStream extends ByteStream {
  readonly id: number;
  /** Of the SYN_STREAM, in lower case. */
  readonly headers: SpdyHeaders;
}

export interface SpdyConnection {
  /** Opens a stream and waits for the other side's reply: Go drops what comes before it. */
  open(headers: SpdyHeaders): Promise<SpdyStream>;
  /** Streams that the other side opens, replied to. Ends with the connection. */
  readonly streams: AsyncIterable<SpdyStream>;
  ping(): Promise<void>;
  close(): void;
  readonly closed: Promise<void>;
}

export function spdyConnection(transport: ByteStream, side: "client" | "server"): SpdyConnection {
  const encoder = new SpdyEncoder();
  const streams = new Map<number, Stream>();
  const opened = new MessageQueue<SpdyStream>();
  const pings = new Map<number, () => void>();
  let nextStream = side === "client" ? 1 : 2;
  let nextPing = nextStream;
  let lastReceived = 0;
  let ended = false;

  const send = (frame: Exclude<SpdyFrame, { type: "unknown" }>): Promise<void> => {
    const chunks = encoder.encode(frame);
    for (const chunk of chunks.slice(0, -1)) transport.write(chunk).catch(() => {}); // The last one's answer speaks for all.
    return transport.write(chunks.at(-1)!);
  };
  const tell = (frame: Exclude<SpdyFrame, { type: "unknown" }>): void => void send(frame).catch(() => {});

  class Stream implements SpdyStream {
    readonly id: number;
    readonly headers: SpdyHeaders;
    readonly peer = transport.peer;
    readonly incoming = new MessageQueue<Uint8Array>();
    readonly replied: Promise<void>;
    readonly closed: Promise<void>;
    unread = 0;
    reply!: (error?: Error) => void;
    #closed!: () => void;
    #localEnd = false;
    #remoteEnd = false;
    #broken: Error | undefined;

    constructor(id: number, headers: SpdyHeaders) {
      this.id = id;
      this.headers = headers;
      this.replied = new Promise((resolve, reject) => (this.reply = (error) => (error ? reject(error) : resolve())));
      this.replied.catch(() => {});
      this.closed = new Promise((resolve) => (this.#closed = resolve));
      streams.set(id, this);
    }

    async write(data: Uint8Array): Promise<void> {
      if (this.#broken) throw this.#broken;
      if (this.#localEnd) throw new SpdyError("Write on closed stream");
      if (data.length <= DATA_BYTES_MAX) return send({ type: "data", stream: this.id, fin: false, data });
      for (let at = 0; at < data.length; at += DATA_BYTES_MAX)
        await send({ type: "data", stream: this.id, fin: false, data: data.subarray(at, at + DATA_BYTES_MAX) });
    }

    end(): void {
      if (this.#localEnd || this.#broken) return;
      this.#localEnd = true;
      tell({ type: "data", stream: this.id, fin: true, data: new Uint8Array(0) });
      this.#settle();
    }

    destroy(error?: Error): void {
      if (this.#broken || (this.#localEnd && this.#remoteEnd)) return;
      tell({ type: "rst-stream", stream: this.id, status: error ? RST.internalError : RST.cancel });
      this.fail(error ?? new SpdyError("Stream reset"));
    }

    receive(data: Uint8Array): void {
      this.unread += data.length;
      this.incoming.push(data);
    }

    finish(): void {
      this.#remoteEnd = true;
      this.incoming.end();
      this.#settle();
    }

    fail(error: Error): void {
      this.#broken ??= error;
      this.incoming.end(error);
      this.reply(error);
      this.#remove();
    }

    #settle(): void {
      if (this.#localEnd && this.#remoteEnd) this.#remove();
    }

    #remove(): void {
      streams.delete(this.id);
      this.#closed();
      room();
    }

    async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
      for await (const data of this.incoming) {
        this.unread -= data.length;
        if (peerCounts && !this.#broken && !this.#remoteEnd && data.length > 0)
          tell({ type: "window-update", stream: this.id, delta: data.length });
        room();
        yield data;
      }
    }
  }

  let peerCounts = false;
  let waiting: (() => void) | undefined;
  /** After `close` nobody may read any more: what then piles up is given up, so that the other side's end is reached. */
  let isClosing = false;
  const full = () => {
    const heaped = [...streams.values()].filter((stream) => stream.unread > UNREAD_BYTES_MAX);
    if (isClosing) for (const stream of heaped) stream.fail(new SpdyError("connection closed"));
    return !isClosing && heaped.length > 0;
  };
  const room = () => {
    if (full() || !waiting) return;
    waiting();
    waiting = undefined;
  };

  const handle = (frame: SpdyFrame): void => {
    switch (frame.type) {
      case "syn-stream": {
        const ours = frame.stream % 2 === (side === "client" ? 1 : 0);
        if (ours || frame.stream <= lastReceived)
          return tell({ type: "rst-stream", stream: frame.stream, status: RST.protocolError });
        lastReceived = frame.stream;
        const stream = new Stream(frame.stream, frame.headers);
        stream.reply();
        tell({ type: "syn-reply", stream: frame.stream, fin: false, headers: {} });
        opened.push(stream);
        if (frame.fin) stream.finish();
        return;
      }
      case "syn-reply": {
        const stream = streams.get(frame.stream);
        stream?.reply();
        if (frame.fin) stream?.finish();
        return;
      }
      case "data": {
        const stream = streams.get(frame.stream);
        if (!stream) return; // It was reset while this was under way.
        if (frame.data.length > 0) stream.receive(frame.data);
        if (frame.fin) stream.finish();
        return;
      }
      case "headers":
        if (frame.fin) streams.get(frame.stream)?.finish();
        return;
      case "rst-stream":
        return streams.get(frame.stream)?.fail(new SpdyError("Stream reset"));
      case "ping":
        // Odd ones are the client's.
        if (frame.id % 2 === (side === "client" ? 1 : 0)) {
          pings.get(frame.id)?.();
          pings.delete(frame.id);
        } else tell(frame);
        return;
      case "goaway":
        ended = true; // No more streams; those under way go on.
        return;
      case "settings":
      case "window-update":
        peerCounts = true;
        return;
      case "unknown":
    }
  };

  const closed = (async () => {
    let cause: Error | undefined;
    try {
      const decoder = new SpdyDecoder();
      for await (const chunk of transport) {
        for (const frame of decoder.push(chunk)) handle(frame);
        if (full()) await new Promise<void>((resolve) => (waiting = resolve));
      }
    } catch (error) {
      cause = error instanceof Error ? error : new SpdyError(String(error));
      transport.destroy(cause);
    }
    ended = true;
    transport.end();
    const lost = cause ?? new SpdyError("connection closed");
    for (const stream of streams.values()) stream.fail(lost);
    opened.end();
  })();

  return {
    async open(headers) {
      if (ended) throw new SpdyError("connection closed");
      const stream = new Stream(nextStream, headers);
      nextStream += 2;
      tell({
        type: "syn-stream",
        stream: stream.id,
        associated: 0,
        priority: 0,
        fin: false,
        unidirectional: false,
        headers,
      });
      await stream.replied;
      return stream;
    },
    streams: opened,
    ping() {
      const id = nextPing;
      nextPing += 2;
      return new Promise((resolve) => {
        pings.set(id, resolve);
        tell({ type: "ping", id });
      });
    },
    close() {
      if (!ended) tell({ type: "goaway", lastStream: lastReceived, status: 0 });
      ended = true;
      transport.end();
      isClosing = true;
      room();
    },
    closed,
  };
}
