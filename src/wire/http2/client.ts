/** The client side: many requests on one connection. */
import type { ByteStream, ClientRequest, Headers, Http2Client, Http2Options, HttpResponse } from "../../world/net.ts";
import { deferred, type Deferred } from "../../base/deferred.ts";
import { Connection, type ConnectionDeps, lost } from "./connection.ts";
import { HeadCache } from "./head-cache.ts";
import { Malformed, type ResponseHead, responseHead, trailers as trailersOf } from "./head.ts";
import type { HeaderSource } from "./hpack/encoder.ts";
import * as limits from "./limits.ts";
import { ERROR_CODES, errorName, Http2Error, MAX_STREAM_ID, PREFACE, SETTING } from "./protocol.ts";
import { Http2Stream } from "./stream.ts";

export interface DialOptions extends Http2Options {
  readonly encrypted: boolean;
  readonly authority: string;
}

export class ClientConnection extends Connection implements Http2Client {
  readonly #options: DialOptions;
  readonly #answers: HeadCache<ResponseHead | Malformed>;
  #nextId = 1;
  /** Requests that wait for the server to take another stream. */
  readonly #queue: ClientStart[] = [];
  readonly #calls = new WeakMap<Headers, Map<string, HeaderSource>>();

  constructor(stream: ByteStream, options: DialOptions, deps: ConnectionDeps) {
    super(
      stream,
      {
        ...options,
        windows: limits.CLIENT_WINDOWS,
        headers: limits.RESPONSE_HEADERS,
        settings: [
          [SETTING.enablePush, 0],
          [SETTING.initialWindowSize, limits.CLIENT_WINDOWS.stream],
          [SETTING.maxHeaderListSize, limits.RESPONSE_HEADERS.maxListBytes],
        ],
      },
      deps,
    );
    this.#options = options;
    this.#answers = new HeadCache(this.decoder, responseHead);
    this.open(PREFACE);
  }

  get finished(): boolean {
    return this.state !== "open" || this.lastTaken !== undefined || this.#nextId >= MAX_STREAM_ID;
  }

  request(request: ClientRequest): Promise<HttpResponse> {
    if (request.signal?.aborted) return Promise.reject(request.signal.reason);
    if (this.finished) return Promise.reject(unprocessed("the connection is closed"));
    const start: ClientStart = { request, answer: deferred() };
    if (this.streams.size < this.peerMaxStreams) this.#start(start);
    else this.#wait(start);
    return start.answer.promise;
  }

  #wait(start: ClientStart): void {
    this.#queue.push(start);
    const { signal } = start.request;
    if (signal === undefined) return;
    const leave = () => {
      const at = this.#queue.indexOf(start);
      if (at < 0) return;
      this.#queue.splice(at, 1);
      start.answer.reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    start.stopWaiting = () => signal.removeEventListener("abort", leave);
  }

  #start({ request, answer, stopWaiting }: ClientStart): void {
    stopWaiting?.();
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = new ClientStream(this, id, request, answer);
    this.streams.set(id, stream);
    stream.start(this.#headersOf(request));
  }

  /** Calls that share their frozen headers share what is made of them, path by path. */
  #headersOf(request: ClientRequest): HeaderSource {
    const { headers, path } = request;
    if (headers === undefined || !Object.isFrozen(headers) || headers["content-type"] !== "application/grpc")
      return requestHeaders(request, this.#options);
    let byPath = this.#calls.get(headers);
    if (byPath === undefined) this.#calls.set(headers, (byPath = new Map()));
    let made = byPath.get(path);
    if (made === undefined) {
      if (byPath.size >= CALLS_MAX) byPath.clear();
      byPath.set(path, (made = Object.freeze(requestHeaders(request, this.#options))));
    }
    return made;
  }

  override forget(stream: Http2Stream): void {
    super.forget(stream);
    while (this.#queue.length > 0 && this.state === "open" && this.streams.size < this.peerMaxStreams)
      this.#start(this.#queue.shift()!);
  }

  protected override onSettled(): void {
    while (this.#queue.length > 0 && this.streams.size < this.peerMaxStreams) this.#start(this.#queue.shift()!);
  }

  protected override onHeaders(id: number, ends: boolean, buffer: Buffer, start: number, end: number): void {
    const stream = this.streams.get(id) as ClientStream | undefined;
    if (stream === undefined) {
      this.decoder.decode(buffer, start, end);
      if (this.isIdle(id)) throw new Http2Error("PROTOCOL_ERROR", "HEADERS of an idle stream");
      return; // Its caller has left.
    }
    if (stream.answered) {
      const list = this.decoder.decode(buffer, start, end);
      if (stream.remoteEnded) throw new Http2Error("STREAM_CLOSED", "HEADERS of a closed stream", id);
      const trailers = list === undefined ? new Malformed("too many trailers") : trailersOf(list);
      if (trailers instanceof Malformed) throw new Http2Error("PROTOCOL_ERROR", trailers.words, id);
      if (!ends) throw new Http2Error("PROTOCOL_ERROR", "trailers that don't end the stream", id);
      if (!stream.onEnd(trailers)) throw new Http2Error("PROTOCOL_ERROR", "less data than content-length", id);
      return;
    }
    const head = this.#answers.decode(buffer, start, end) ?? new Malformed("too many headers");
    if (head instanceof Malformed) throw new Http2Error("PROTOCOL_ERROR", head.words, id);
    if (head.status < 200 && head.status !== 101) {
      if (ends) throw new Http2Error("PROTOCOL_ERROR", "an interim answer that ends the stream", id);
      return;
    }
    stream.onAnswer(head);
    if (ends && !stream.onEnd()) throw new Http2Error("PROTOCOL_ERROR", "less data than content-length", id);
  }

  protected override isIdle(streamId: number): boolean {
    return streamId >= this.#nextId || streamId % 2 === 0;
  }

  /** gRPC's servers end connections that ping without a call. */
  protected override caresForLife(): boolean {
    return this.streams.size > 0;
  }

  protected override onGoaway(lastId: number, code: number, words: string): void {
    this.lastTaken ??= 0;
    const why = `the server went away${code === 0 ? "" : `: ${errorName(code)}`}${words === "" ? "" : `: ${words}`}`;
    for (const start of this.#queue.splice(0)) start.answer.reject(unprocessed(why));
    for (const stream of this.streams.values()) if (stream.id > lastId) stream.onFailure(unprocessed(why));
    if (this.streams.size === 0) this.destroy();
  }

  protected override onGone(): void {
    for (const start of this.#queue.splice(0)) start.answer.reject(unprocessed("the connection was closed"));
  }
}

const CALLS_MAX = 256;

/** What has its place among the pseudo-headers, or none in HTTP/2. */
const NOT_SENT = new Set(["host", "connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"]);

function requestHeaders(
  { method, path, headers, body }: ClientRequest,
  { encrypted, authority }: DialOptions,
): HeaderSource {
  const source: Record<string, string | readonly string[] | undefined> = {
    ":method": method,
    ":path": path,
    ":scheme": encrypted ? "https" : "http",
    ":authority": (headers?.[":authority"] ?? headers?.["host"] ?? authority) as string,
  };
  for (const name in headers) if (!NOT_SENT.has(name)) source[name] ??= headers[name];
  if (source["content-type"] !== "application/grpc" && (typeof body === "string" || body instanceof Uint8Array))
    source["content-length"] ??= String(Buffer.byteLength(body));
  return source;
}

interface ClientStart {
  readonly request: ClientRequest;
  readonly answer: Deferred<HttpResponse>;
  stopWaiting?: () => void;
}

/** Surely no server has acted on it. */
function unprocessed(message: string): Error {
  return Object.assign(lost(message), { unprocessed: true });
}

class ClientStream extends Http2Stream implements HttpResponse {
  readonly #request: ClientRequest;
  readonly #answer: Deferred<HttpResponse>;
  #head: ResponseHead | undefined;
  #onAbort: (() => void) | undefined;
  #ended: Deferred<Headers> | undefined;
  #trailers: Headers = NO_HEADERS;

  constructor(connection: Connection, id: number, request: ClientRequest, answer: Deferred<HttpResponse>) {
    super(connection, id);
    this.#request = request;
    this.#answer = answer;
  }

  start(headers: HeaderSource): void {
    const { body, signal } = this.#request;
    const bytes = typeof body === "string" ? Buffer.from(body) : body instanceof Uint8Array ? body : undefined;
    if (signal !== undefined) {
      this.#onAbort = () => this.#cancel(signal.reason);
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    this.sendHeaders(headers, undefined, body === undefined || bytes?.length === 0);
    if (bytes !== undefined) this.finish(bytes, undefined);
    else if (body !== undefined) void this.#send(body as AsyncIterable<Uint8Array>);
  }

  async #send(body: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of body) {
        if (this.closed || this.localEnded) return;
        if (!this.write(chunk)) await this.drained;
      }
      this.finish(undefined, undefined);
    } catch (error) {
      this.#cancel(error);
    }
  }

  get answered(): boolean {
    return this.#head !== undefined;
  }
  get status(): number {
    return this.#head!.status;
  }
  get headers(): Headers {
    return this.#head!.headers;
  }
  get trailers(): Promise<Headers> {
    if (this.closed || this.remoteEnded) return Promise.resolve(this.#trailers);
    return (this.#ended ??= deferred()).promise;
  }

  onAnswer(head: ResponseHead): void {
    this.#head = head;
    if (this.#request.method !== "HEAD" && head.status !== 304) this.expectBytes(head.contentLength);
    this.#answer.resolve(this);
  }

  override onData(chunk: Uint8Array, cost: number, ends: boolean): boolean {
    if (this.answered) return super.onData(chunk, cost, ends);
    this.connection.consumed(cost);
    return false;
  }

  override onEnd(trailers: Headers = NO_HEADERS): boolean {
    this.#trailers = trailers;
    const fits = super.onEnd(trailers);
    if (fits) this.#ended?.resolve(trailers);
    return fits;
  }

  #cancel(reason: unknown): void {
    if (this.closed) return;
    this.#fail(reason);
    this.cutBody(reason);
    this.reset("CANCEL");
  }

  override onReset(code: number): void {
    // A server that has answered in full may say that it needs no more of the request.
    if (code === ERROR_CODES.NO_ERROR && this.remoteEnded) return this.onFailure(undefined);
    const error = lost(`the server reset the stream: ${errorName(code)}`);
    const refused = code === ERROR_CODES.REFUSED_STREAM && { unprocessed: true };
    this.onFailure(Object.assign(error, { rstCode: code, ...refused }));
  }

  override onFailure(error: unknown): void {
    this.#fail(error);
    super.onFailure(error);
  }

  #fail(error: unknown): void {
    if (!this.answered) this.#answer.reject(error);
    this.#ended?.resolve(NO_HEADERS);
  }

  protected override onClosed(): void {
    if (this.#onAbort !== undefined) this.#request.signal!.removeEventListener("abort", this.#onAbort);
  }
}

const NO_HEADERS: Headers = Object.freeze({});
