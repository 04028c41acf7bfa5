/** What both ends of a stream have in common: output as far as the windows allow, and input for whoever reads it. */
import { COPIED_MAX } from "./frame-writer.ts";
import { deferred, type Deferred } from "../../base/deferred.ts";
import type { BodySink, Headers } from "../../world/net.ts";
import { Body } from "../body.ts";
import type { Connection } from "./connection.ts";
import type { HeaderSource } from "./hpack/encoder.ts";
import type { ErrorCode } from "./protocol.ts";

/** From so many queued bytes on, `write` says that the other side is slow. */
const HIGH_WATER_BYTES = 64 * 1024;
/** Sent of one stream before the next has its turn. */
const TURN_BYTES = 64 * 1024;

const NOTHING = Buffer.alloc(0);
const NO_TRAILERS: Headers = Object.freeze({});

export abstract class Http2Stream {
  readonly id: number;
  protected readonly connection: Connection;
  /** How much the other side will still take, and how much it may still send. */
  sendWindow: number;
  receiveWindow: number;
  /** The other side has said all it will; we have. */
  remoteEnded = false;
  localEnded = false;
  /** Over, both ways. */
  closed = false;
  /** It was we who reset it. */
  cutHere = false;

  #queue: Uint8Array[] | undefined;
  #queuedBytes = 0;
  /** All is queued: when it has left, these trailers end the stream, or nothing more. */
  #ending: { readonly trailers: Headers | undefined } | undefined;
  #drained: Deferred<void> | undefined;

  #expectedBytes: number | undefined;
  #sink: BodySink | undefined;
  #body: Body | undefined;
  /** What came before anyone asked for it. */
  #early: Uint8Array[] | undefined;
  #trailers: Headers | undefined;
  #failure: { readonly error: unknown } | undefined;
  #dropped = false;
  /** Bytes that were read here and not yet given back to the other side's window. */
  #readBytes = 0;

  constructor(connection: Connection, id: number) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = connection.initialSendWindow;
    this.receiveWindow = connection.streamWindow;
  }

  // Out

  protected sendHeaders(headers: HeaderSource, status: number | undefined, end: boolean): void {
    this.connection.sendHeaders(this.id, headers, status, end);
    if (end) this.#endLocally();
  }

  write(data: Uint8Array | string): boolean {
    if (this.localEnded || this.closed || this.#ending) return true; // Nobody to be slow.
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (bytes.length > 0) this.#send(bytes, false);
    return this.#queuedBytes < HIGH_WATER_BYTES;
  }

  /** Resolves too when the other side is gone: what is written then goes nowhere. */
  get drained(): Promise<void> {
    if (this.#queuedBytes < HIGH_WATER_BYTES || this.closed) return Promise.resolve();
    return (this.#drained ??= deferred()).promise;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get copiesUpTo(): number {
    return COPIED_MAX;
  }

  /** Ends our side with a last piece of data, trailers, or both. */
  protected finish(data: Uint8Array | undefined, trailers: Headers | undefined): void {
    if (this.localEnded || this.closed || this.#ending) return;
    this.#ending = { trailers };
    const onlyTrailers = trailers !== undefined && (data === undefined || data.length === 0);
    if (onlyTrailers && this.#queue === undefined) this.#sendTrailers(trailers);
    else if (!onlyTrailers) this.#send(data ?? NOTHING, trailers === undefined);
  }

  #send(bytes: Uint8Array, end: boolean): void {
    if (this.#queue === undefined) {
      const sent = this.connection.sendData(this, bytes, end);
      if (sent === bytes.length) {
        if (this.#ending) this.#endAfterData();
        return;
      }
      this.#queue = [sent === 0 ? bytes : bytes.subarray(sent)];
      this.#queuedBytes = bytes.length - sent;
    } else {
      this.#queue.push(bytes);
      this.#queuedBytes += bytes.length;
    }
    this.connection.wait(this);
  }

  /** Sends of what is queued. True when nothing is left, or the stream's own window is used up: then its turn comes with the next window. */
  sendQueued(): boolean {
    const queue = this.#queue;
    if (queue === undefined || this.closed) return true;
    for (let budget = TURN_BYTES, taken = 0; ;) {
      const chunk = queue[taken]!;
      const last = taken === queue.length - 1 && this.#ending !== undefined && this.#ending.trailers === undefined;
      const sent = this.connection.sendData(this, chunk, last);
      this.#queuedBytes -= sent;
      budget -= sent;
      if (sent < chunk.length) {
        queue[taken] = chunk.subarray(sent);
        queue.splice(0, taken);
        this.#tellDrained();
        return this.sendWindow <= 0;
      }
      if (++taken === queue.length) break;
      if (budget > 0) continue;
      queue.splice(0, taken);
      this.#tellDrained();
      return false;
    }
    this.#queue = undefined;
    this.#tellDrained();
    if (this.#ending) this.#endAfterData();
    return true;
  }

  #endAfterData(): void {
    const trailers = this.#ending?.trailers;
    if (trailers !== undefined) this.#sendTrailers(trailers);
    else this.#endLocally();
  }

  #sendTrailers(trailers: Headers): void {
    this.connection.sendHeaders(this.id, trailers as HeaderSource, undefined, true);
    this.#endLocally();
  }

  #endLocally(): void {
    this.localEnded = true;
    if (this.remoteEnded) this.#close();
    else this.onLocalEnd();
  }

  #tellDrained(): void {
    if (this.#drained === undefined || this.#queuedBytes >= HIGH_WATER_BYTES / 2) return;
    this.#drained.resolve();
    this.#drained = undefined;
  }

  /** Our side is over, the other is not. */
  protected onLocalEnd(): void {}

  /** Cuts the stream, and tells the other side why. */
  reset(code: ErrorCode): void {
    if (this.closed) return;
    this.connection.sendReset(this.id, code);
    this.#close();
  }

  #close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#queue = undefined;
    this.#queuedBytes = 0;
    this.#tellDrained();
    this.connection.forget(this);
    this.onClosed();
  }

  protected onClosed(): void {}

  // In

  get body(): AsyncIterable<Uint8Array> {
    if (this.#body === undefined) {
      this.#body = new Body((bytes) => this.#consumed(bytes));
      this.#attach(this.#body);
    }
    return this.#body;
  }

  receive(sink: BodySink): void {
    this.#attach(sink);
  }

  #attach(sink: BodySink): void {
    this.#sink = sink;
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined)
      for (const chunk of early) {
        sink.onData(chunk);
        if (sink !== this.#body) this.#consumed(chunk.length);
      }
    if (this.#trailers) sink.onEnd(this.#trailers);
    else if (this.#failure) sink.onError(this.#failure.error);
  }

  /** Nobody reads the body any more: what comes is given back at once. */
  protected dropBody(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    for (const chunk of this.#early ?? []) this.#consumed(chunk.length);
    this.#early = undefined;
    this.#body?.drop();
  }

  protected expectBytes(contentLength: number | undefined): void {
    this.#expectedBytes = contentLength;
  }

  /** The wire has this for us, and `ends` with it; `cost` is what it took of the window. False for what may not come. */
  onData(chunk: Uint8Array, cost: number, ends: boolean): boolean {
    const { length } = chunk;
    if (cost > length) this.#consumed(cost - length); // Padding.
    if (this.#expectedBytes !== undefined && (this.#expectedBytes -= length) < 0) {
      this.#consumed(length);
      return false;
    }
    if (length > 0) {
      const sink = this.#sink;
      // Known beforehand: who answers the last piece at once has not answered too early.
      if (ends && !this.#lacksBytes) this.remoteEnded = true;
      if (this.#dropped) this.#consumed(length);
      else if (sink === undefined) (this.#early ??= []).push(chunk);
      else {
        sink.onData(chunk);
        if (sink !== this.#body) this.#consumed(length);
      }
    }
    return !ends || this.closed || this.onEnd();
  }

  get #lacksBytes(): boolean {
    return this.#expectedBytes !== undefined && this.#expectedBytes > 0;
  }

  /** False when it is less than was announced. */
  onEnd(trailers: Headers = NO_TRAILERS): boolean {
    if (this.#lacksBytes) return false;
    this.remoteEnded = true;
    this.#trailers = trailers;
    this.#sink?.onEnd(trailers);
    if (this.localEnded) this.#close();
    return true;
  }

  /** The other side reset the stream. */
  abstract onReset(code: number): void;

  /** The stream was reset, or the connection is gone. */
  onFailure(error: unknown): void {
    if (this.closed) return;
    this.#failed(error);
    this.#close();
  }

  /** What was read so far is all that there will be. */
  protected cutBody(error: unknown): void {
    if (!this.remoteEnded) this.#failed(error);
  }

  #failed(error: unknown): void {
    if (this.#failure) return;
    this.#failure = { error };
    if (!this.remoteEnded) this.#sink?.onError(error);
  }

  #consumed(bytes: number): void {
    this.connection.consumed(bytes);
    if (this.remoteEnded || this.closed) return;
    this.#readBytes += bytes;
    if (this.#readBytes < this.connection.streamWindow / 4) return;
    this.connection.openWindow(this, this.#readBytes);
    this.#readBytes = 0;
  }
}
