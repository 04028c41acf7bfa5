/** A request and its response in one object, so that a small call allocates only one. */
import { deferred, type Deferred } from "../../base/deferred.ts";
import type { BodySink, ByteStream, Exchange, Headers, HttpRequest, Peer, ResponseStream } from "../../world/net.ts";
import { Body } from "../body.ts";
import type { BodyReceiver } from "./body-reader.ts";
import type { ServerConnection } from "./connection.ts";
import * as limits from "./limits.ts";
import type { RequestHead } from "./request-head.ts";

export class ServerExchange implements Exchange, HttpRequest, ResponseStream, BodyReceiver {
  readonly #connection: ServerConnection;
  readonly #head: RequestHead;
  /** Of our answer. */
  #state: "none" | "going on" | "ended" = "none";
  #isChunked = false;
  /** What was announced of the answer's body and has not come. */
  #lacking: number | undefined;
  #drained: Deferred<void> | undefined;

  #sink: BodySink | undefined;
  #body: Body | undefined;
  /** What came before anyone asked for it. */
  #early: Buffer[] | undefined;
  #trailers: Headers | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isDropped = false;
  #droppedBytes = 0;
  #unread = 0;

  #abort: AbortController | undefined;
  #left = false;

  constructor(connection: ServerConnection, head: RequestHead) {
    this.#connection = connection;
    this.#head = head;
  }

  // The request

  get request(): HttpRequest {
    return this;
  }
  get method(): string {
    return this.#head.method;
  }
  get url(): string {
    return this.#head.url;
  }
  get headers(): Headers {
    return this.#head.headers;
  }
  get httpVersion(): "1.0" | "1.1" {
    return this.#head.httpVersion;
  }
  get peer(): Peer {
    return this.#connection.peer;
  }
  get encrypted(): boolean {
    return this.#connection.encrypted;
  }
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#left) this.#abort.abort(clientLeft());
    }
    return this.#abort.signal;
  }

  get body(): AsyncIterable<Uint8Array> {
    if (this.#body === undefined) {
      this.#body = new Body((bytes) => this.#read(bytes));
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
        if (sink !== this.#body) this.#read(chunk.length);
      }
    if (this.#trailers !== undefined) return sink.onEnd(this.#trailers);
    if (this.#failure !== undefined) return sink.onError(this.#failure.error);
    if (this.#state === "none") this.#connection.wantBody();
  }

  #read(bytes: number): void {
    const before = this.#unread;
    this.#unread -= bytes;
    if (before >= limits.UNREAD_BYTES / 2 && this.#unread < limits.UNREAD_BYTES / 2) this.#connection.resume();
  }

  // From the wire

  /** The client is to wait until its body is read. */
  get isFull(): boolean {
    return this.#unread >= limits.UNREAD_BYTES;
  }
  /** Read for nothing, after the answer. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  onBody(chunk: Buffer): void {
    if (this.#isDropped) {
      this.#droppedBytes += chunk.length;
      return;
    }
    const sink = this.#sink;
    if (sink === undefined) (this.#early ??= []).push(chunk);
    if (sink === undefined || sink === this.#body) this.#unread += chunk.length;
    sink?.onData(chunk);
  }

  onBodyEnd(trailers: Headers): void {
    this.#trailers = trailers;
    this.#sink?.onEnd(trailers);
  }

  /** There will be no more of the body, or it makes no sense. */
  onFailure(error: unknown): void {
    if (this.#isBodyOver) return;
    this.#failure = { error };
    this.#sink?.onError(error);
  }

  get #isBodyOver(): boolean {
    return this.#trailers !== undefined || this.#failure !== undefined;
  }

  /** The client has gone. */
  leave(): void {
    if (!this.#isBodyOver) this.onFailure(lost("the client cut the request"));
    if (this.#state !== "ended") {
      this.#state = "ended";
      this.#left = true;
      this.#abort?.abort(clientLeft());
    }
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  onDrain(): void {
    if (this.#drained === undefined || this.queuedBytes >= limits.HIGH_WATER_BYTES / 2) return;
    this.#drained.resolve();
    this.#drained = undefined;
  }

  // The answer

  get isAnswered(): boolean {
    return this.#state === "ended";
  }

  respond(status: number, headers: Headers, body?: Uint8Array | string): void {
    if (this.#state !== "none") return;
    this.#state = "ended";
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const hasBody = mayHaveBody(status);
    const length = hasBody ? (bytes?.length ?? 0) : undefined;
    const isSilent = !hasBody || this.method === "HEAD";
    this.#connection.sendHead(status, headers, length, false, isSilent ? undefined : bytes);
    this.#finish();
  }

  stream(status: number, headers: Headers): ResponseStream {
    if (this.#state !== "none") return this;
    this.#state = "going on";
    const isSilent = !mayHaveBody(status) || this.method === "HEAD";
    const length = headers["content-length"];
    if (typeof length === "string") this.#lacking = isSilent ? 0 : Number(length);
    else this.#isChunked = !isSilent && this.httpVersion === "1.1";
    if (isSilent) this.#lacking = 0;
    this.#connection.sendHead(
      status,
      headers,
      typeof length === "string" ? Number(length) : undefined,
      this.#isChunked,
      undefined,
    );
    this.#connection.flushSoon();
    return this;
  }

  write(data: Uint8Array | string): boolean {
    if (this.#state !== "going on") return true; // Nobody to be slow.
    let bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (this.#lacking !== undefined) {
      if (bytes.length > this.#lacking) bytes = bytes.subarray(0, this.#lacking);
      this.#lacking -= bytes.length;
    }
    if (bytes.length > 0) {
      if (this.#isChunked) this.#connection.queueChunk(bytes);
      else this.#connection.queue(bytes);
    }
    return this.queuedBytes < limits.HIGH_WATER_BYTES;
  }

  /** Resolves too when the other side is gone: what is written then goes nowhere. */
  get drained(): Promise<void> {
    if (this.queuedBytes < limits.HIGH_WATER_BYTES || this.#state !== "going on") return Promise.resolve();
    return (this.#drained ??= deferred()).promise;
  }

  get queuedBytes(): number {
    return this.#connection.queuedBytes;
  }

  flush(): void {
    this.#connection.onFlush();
  }

  end(trailers?: Headers): void {
    if (this.#state !== "going on") return;
    this.#state = "ended";
    if (this.#isChunked) this.#connection.queueEnd(trailers);
    // Less than was announced: the connection's end says so.
    if (this.#lacking !== undefined && this.#lacking > 0) return this.#connection.destroy();
    this.#finish();
  }

  /** Nobody reads the body any more: what comes is thrown away, for the request behind it. */
  #finish(): void {
    this.#isDropped = true;
    this.#early = undefined;
    if (!this.#isBodyOver) this.onFailure(lost("the request was answered before its end"));
    this.#body?.drop();
    this.#unread = 0;
    this.#connection.onAnswered();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  upgrade(headers: Headers): ByteStream {
    if (!this.#head.upgrades || this.#state !== "none") throw new Error("the request asks for no upgrade");
    this.#state = "ended";
    return this.#connection.upgrade(headers);
  }

  /** The handler failed: a 500 where nothing was sent yet, else a cut. */
  fail(): void {
    if (this.#state === "none") this.respond(500, { "content-type": "text/plain" }, "Internal Server Error");
    else if (this.#state === "going on" || this.#connection.isUpgraded) this.destroy();
  }
}

const mayHaveBody = (status: number) => status >= 200 && status !== 204 && status !== 304;

const clientLeft = () => Object.assign(new Error("the client went away"), { name: "AbortError" });

export function lost(message: string): Error {
  return Object.assign(new Error(message), { code: "ECONNRESET" });
}
