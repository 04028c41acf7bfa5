/**
 * A stream to a peer: a long response to a request that the peer has made. Messages are encoded and passed to the connection at once; what a slow
 * connection buffers is bounded.
 * Upstream: server/etcdserver/api/rafthttp/stream.go (streamWriter)
 */
import type { Message } from "../../raft/types.ts";
import type { ResponseStream } from "../../world/net.ts";
import type { MessageCodec } from "./message-codec.ts";
import { streamEncoder, type StreamEncoder, type StreamKind } from "./stream-codec.ts";

/** So many messages may wait for a slow connection; the next are dropped. */
const QUEUED_MESSAGES_MAX = 4096;
const QUEUED_BYTES_MAX = 256 * 1024 * 1024;

export class StreamWriter {
  readonly kind: StreamKind;
  readonly #codec: MessageCodec;
  #stream: ResponseStream | undefined;
  #encoder: StreamEncoder | undefined;
  /** Messages handed over since the connection last had nothing to do. */
  #queued = 0;
  #handedBytes = 0;
  #taken = 0;
  #takenAt = 0;

  constructor(kind: StreamKind, codec: MessageCodec) {
    this.kind = kind;
    this.#codec = codec;
  }

  get working(): boolean {
    return this.#stream !== undefined;
  }

  /** Takes over from a connection that is there already: the peer has dialled anew. */
  attach(stream: ResponseStream, now: number): void {
    this.close();
    this.#stream = stream;
    this.#encoder = streamEncoder(this.kind, this.#codec);
    this.#queued = 0;
    this.#handedBytes = 0;
    this.#taken = 0;
    this.#takenAt = now;
  }

  /** The connection has ended by itself; true when it was the one in use. */
  detach(stream: ResponseStream): boolean {
    if (this.#stream !== stream) return false;
    this.#stream = undefined;
    return true;
  }

  close(): boolean {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.destroy();
    return stream !== undefined;
  }

  /** The bytes handed over; undefined when the connection is behind and the message was dropped. */
  send(message: Message): number | undefined {
    const stream = this.#stream!;
    const waiting = stream.queuedBytes;
    if (waiting === 0) this.#queued = 0;
    else if (this.#queued >= QUEUED_MESSAGES_MAX || waiting > QUEUED_BYTES_MAX) return undefined;
    const bytes = this.#encoder!.encode(message);
    this.#queued++;
    this.#handedBytes += bytes.length;
    stream.write(bytes);
    return bytes.length;
  }

  flush(): void {
    this.#stream?.flush?.();
  }

  heartbeat(): number {
    const bytes = this.#encoder!.heartbeat();
    this.#handedBytes += bytes.length;
    this.#stream!.write(bytes);
    return bytes.length;
  }

  /** Whether bytes have waited for `ms` and none of them went out. */
  isStuck(now: number, ms: number): boolean {
    const waiting = this.#stream?.queuedBytes ?? 0;
    const taken = this.#handedBytes - waiting;
    if (waiting === 0 || taken !== this.#taken) {
      this.#taken = taken;
      this.#takenAt = now;
    }
    return now - this.#takenAt >= ms;
  }
}
