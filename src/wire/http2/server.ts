/** The server side. A stream is at once its exchange, request and response, so that a small call allocates one object. */
import type {
  ByteStream,
  Exchange,
  Headers,
  Http2ServeContext,
  HttpRequest,
  Peer,
  ResponseStream,
} from "../../world/net.ts";
import { Connection, lost, type ConnectionDeps } from "./connection.ts";
import { HeadCache } from "./head-cache.ts";
import { Malformed, type RequestHead, requestHead, trailers as trailersOf } from "./head.ts";
import type { HeaderSource } from "./hpack/encoder.ts";
import * as limits from "./limits.ts";
import { Http2Error, PREFACE, SETTING } from "./protocol.ts";
import { Http2Stream } from "./stream.ts";

const PREFACE_BYTES = Buffer.from(PREFACE, "latin1");

export interface ServerDeps extends ConnectionDeps {
  /** The `date` header of this second. */
  date(): string;
}

export class ServerConnection extends Connection {
  readonly peer: Peer;
  readonly context: Http2ServeContext;
  readonly deps: ServerDeps;
  readonly #heads: HeadCache<RequestHead | Malformed>;
  readonly #maxStreams: number;
  /** How much of the preface has come. */
  #greeted = 0;
  /** Handlers that have not returned, also of streams that are gone. */
  #handlers = 0;

  constructor(stream: ByteStream, context: Http2ServeContext, deps: ServerDeps) {
    const maxStreams = context.maxConcurrentStreams ?? limits.STREAMS_MAX;
    super(
      stream,
      {
        ...context,
        windows: limits.SERVER_WINDOWS,
        headers: limits.REQUEST_HEADERS,
        settings: [
          [SETTING.maxConcurrentStreams, maxStreams],
          [SETTING.initialWindowSize, limits.SERVER_WINDOWS.stream],
          [SETTING.maxHeaderListSize, limits.REQUEST_HEADERS.maxListBytes],
        ],
      },
      deps,
    );
    this.peer = stream.peer;
    this.context = context;
    this.deps = deps;
    this.#maxStreams = maxStreams;
    this.#heads = new HeadCache(this.decoder, requestHead);
    this.open();
  }

  protected override receive(buffer: Buffer): void {
    if (this.#greeted === PREFACE_BYTES.length) return super.receive(buffer);
    const length = Math.min(buffer.length, PREFACE_BYTES.length - this.#greeted);
    const expected = PREFACE_BYTES.subarray(this.#greeted, this.#greeted + length);
    if (!expected.equals(buffer.subarray(0, length)))
      throw new Http2Error("PROTOCOL_ERROR", "the connection does not begin with HTTP/2's preface");
    this.#greeted += length;
    if (length < buffer.length) super.receive(buffer.subarray(length));
  }

  protected override onHeaders(id: number, ends: boolean, buffer: Buffer, start: number, end: number): void {
    const known = this.streams.get(id);
    if (known !== undefined) return this.#trailers(known, ends, buffer, start, end);
    if (id % 2 === 0) throw new Http2Error("PROTOCOL_ERROR", "a client's stream has an even number");
    const head = this.#heads.decode(buffer, start, end);
    if (id <= this.lastRemoteId) {
      const fate = this.fateOf(id);
      if (fate === "reset") return;
      if (fate === "ended") throw new Http2Error("STREAM_CLOSED", "HEADERS of a closed stream");
      throw new Http2Error("PROTOCOL_ERROR", "a stream's number is below that of an earlier one");
    }
    this.lastRemoteId = id;
    if (this.lastTaken !== undefined && id > this.lastTaken) return; // It came after our goodbye, and will be asked elsewhere.
    if (head instanceof Malformed) throw new Http2Error("PROTOCOL_ERROR", head.words, id);
    if (this.streams.size >= this.#maxStreams) throw new Http2Error("REFUSED_STREAM", "too many streams", id);
    if (this.#handlers >= this.#maxStreams * limits.HANDLERS_PER_STREAM)
      throw new Http2Error("ENHANCE_YOUR_CALM", "too many requests that nobody waits for");
    const stream = new ServerStream(this, id, head ?? TOO_LARGE);
    this.streams.set(id, stream);
    if (ends && !stream.onEnd()) throw new Http2Error("PROTOCOL_ERROR", "less data than content-length", id);
    if (head === undefined) stream.respond(431, {}, "Request Header Fields Too Large");
    else this.#handle(stream);
  }

  #trailers(stream: Http2Stream, ends: boolean, buffer: Buffer, start: number, end: number): void {
    const list = this.decoder.decode(buffer, start, end);
    if (stream.remoteEnded) throw new Http2Error("STREAM_CLOSED", "HEADERS of a closed stream", stream.id);
    if (!ends) throw new Http2Error("PROTOCOL_ERROR", "trailers that don't end the stream", stream.id);
    const trailers = list === undefined ? new Malformed("too many trailers") : trailersOf(list);
    if (trailers instanceof Malformed) throw new Http2Error("PROTOCOL_ERROR", trailers.words, stream.id);
    if (!stream.onEnd(trailers)) throw new Http2Error("PROTOCOL_ERROR", "less data than content-length", stream.id);
  }

  #handle(stream: ServerStream): void {
    const failed = (error: unknown) => {
      this.context.onError(error, stream);
      stream.fail();
    };
    try {
      const work = this.context.handle(stream);
      if (work === undefined) return;
      this.#handlers++;
      const done = () => void this.#handlers--;
      work.then(done, (error) => {
        done();
        failed(error);
      });
    } catch (error) {
      failed(error);
    }
  }

  protected override isIdle(streamId: number): boolean {
    return streamId > this.lastRemoteId || streamId % 2 === 0;
  }

  /** Clients vanish without a word, and leave watches behind. */
  protected override caresForLife(): boolean {
    return true;
  }
}

const TOO_LARGE: RequestHead = { method: "GET", url: "/", headers: Object.freeze({}), contentLength: undefined };

/** Of HTTP/1.1's connections; what a handler or a server behind it says there is left out. */
const CONNECTION_HEADERS = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"]);

class ServerStream extends Http2Stream implements Exchange, HttpRequest, ResponseStream {
  declare protected readonly connection: ServerConnection;
  readonly #head: RequestHead;
  #answering = false;
  #abort: AbortController | undefined;
  #left = false;
  #linger: Disposable | undefined;

  constructor(connection: ServerConnection, id: number, head: RequestHead) {
    super(connection, id);
    this.#head = head;
    if (head.contentLength !== undefined) this.expectBytes(head.contentLength);
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
  get httpVersion(): "2.0" {
    return "2.0";
  }
  get peer(): Peer {
    return this.connection.peer;
  }
  get encrypted(): boolean {
    return this.connection.context.encrypted;
  }
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#left) this.#abort.abort(clientLeft());
    }
    return this.#abort.signal;
  }

  // The answer

  respond(status: number, headers: Headers, body?: Uint8Array | string, trailers?: Headers): void {
    if (this.#answering || this.closed) return;
    this.#answering = true;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const empty = bytes === undefined || bytes.length === 0 || this.method === "HEAD";
    const source = this.#headers(status, headers, trailers === undefined ? (bytes?.length ?? 0) : undefined);
    const endsHere = empty && trailers === undefined;
    this.sendHeaders(source, status, endsHere);
    if (!endsHere) this.finish(empty ? undefined : bytes, trailers);
    this.dropBody();
  }

  stream(status: number, headers: Headers): ResponseStream {
    if (!this.#answering && !this.closed) {
      this.#answering = true;
      this.sendHeaders(this.#headers(status, headers, undefined), status, false);
    }
    return this;
  }

  end(trailers?: Headers): void {
    this.finish(undefined, trailers);
    this.dropBody();
  }

  upgrade(): ByteStream {
    throw new Error("HTTP/2 has no upgrades");
  }

  destroy(): void {
    this.cutBody(lost("the answer was cut short"));
    this.reset("INTERNAL_ERROR");
  }

  /** The handler failed: a 500 where nothing was sent yet, else a cut. */
  fail(): void {
    if (this.#answering) this.destroy();
    else this.respond(500, { "content-type": "text/plain" }, "Internal Server Error");
  }

  /** Frozen headers are sent as they are, every time the same. */
  #headers(status: number, headers: Headers, length: number | undefined): HeaderSource {
    if (Object.isFrozen(headers)) return headers as HeaderSource;
    // As Go's server does it: whoever wants the connection closed has its client asked to make another.
    if (headers["connection"] === "close") this.connection.close();
    const source: Record<string, string | readonly string[] | undefined> = {};
    for (const name in headers)
      if (!CONNECTION_HEADERS.has(name) && !name.startsWith(":")) source[name] = headers[name];
    if (length !== undefined && status !== 204 && status !== 304) source["content-length"] ??= String(length);
    source["date"] ??= this.connection.deps.date();
    return source;
  }

  // Ends

  /**
   * Who is answered in full need not go on asking, and is told so; but not at once, since there are clients that lose an answer whose stream is
   * reset while they are sending (curl is one). What comes meanwhile is thrown away.
   */
  protected override onLocalEnd(): void {
    this.cutBody(lost("the request was answered before its end"));
    this.dropBody();
    this.#linger = this.connection.deps.clock.after(limits.LINGER_MS, () => this.reset("NO_ERROR"));
  }

  protected override onClosed(): void {
    this.#linger?.[Symbol.dispose]();
  }

  override onReset(): void {
    this.onFailure(lost("the client cut the request"));
  }

  override onFailure(error: unknown): void {
    if (!this.localEnded) this.#leave();
    super.onFailure(error);
  }

  #leave(): void {
    this.#left = true;
    this.#abort?.abort(clientLeft());
  }
}

const clientLeft = () => Object.assign(new Error("the client went away"), { name: "AbortError" });
