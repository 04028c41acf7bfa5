/** Requests and responses of `node:http` and `node:http2`, as the exchanges that handlers are given. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { ByteStream, Exchange, Headers, HttpRequest, Peer, ResponseStream } from "../net.ts";
import { ByteQueue } from "./byte-queue.ts";
import { broken, byteStream } from "./byte-stream.ts";

/** The largest answer over HTTP/1.1 that is copied, so that it leaves in one write. */
const ONE_PIECE_BYTES = 12 * 1024;

export interface NodeExchange extends Exchange {
  /** The handler threw: a 500 where nothing was sent yet, else a cut. */
  fail(): void;
}

/** What both protocols share: the request with a body and a signal that are made when they are asked for. */
class NodeRequest implements HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly httpVersion: HttpRequest["httpVersion"];
  readonly body: ByteQueue;
  readonly peer: Peer;
  readonly encrypted: boolean;
  #controller: AbortController | undefined;
  #gone = false;

  constructor(init: Omit<HttpRequest, "signal" | "body"> & { readonly body: ByteQueue }) {
    this.method = init.method;
    this.url = init.url;
    this.headers = init.headers;
    this.httpVersion = init.httpVersion;
    this.body = init.body;
    this.peer = init.peer;
    this.encrypted = init.encrypted;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#gone) this.#controller.abort(clientLeft());
    return this.#controller.signal;
  }

  leave(): void {
    this.#gone = true;
    this.#controller?.abort(clientLeft());
  }
}

/** Headers that name users and groups: a comma in one belongs to the name, and Node joins those that repeat with commas. */
const IDENTITY = /^(impersonate|x-remote)-/;

/** The headers as Node gives them, with the identities that it joined apart again. */
export function eachValue(headers: Headers, raw: readonly string[]): Headers {
  for (const name in headers) {
    if (!IDENTITY.test(name)) continue;
    const values: string[] = [];
    for (let i = 0; i < raw.length; i += 2) if (raw[i]!.toLowerCase() === name) values.push(raw[i + 1]!);
    if (values.length > 1) (headers as Record<string, string | string[]>)[name] = values;
  }
  return headers;
}

const clientLeft = () => Object.assign(new Error("the client went away"), { name: "AbortError" });

export class Http2Exchange implements NodeExchange {
  readonly request: NodeRequest;
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream, headers: Headers, peer: Peer, encrypted: boolean) {
    this.#stream = stream;
    const named = headers as Record<string, string>;
    named["host"] ??= named[":authority"] ?? "";
    const body = new ByteQueue(stream, (cause) => cause ?? broken("the client cut the request"));
    this.request = new NodeRequest({
      method: named[":method"]!,
      url: named[":path"] ?? "/",
      headers,
      httpVersion: "2.0",
      body,
      peer,
      encrypted,
    });
    stream.on("aborted", () => this.request.leave());
    stream.on("error", () => this.request.leave());
    stream.on("close", () => {
      // Node closes a stream before it says that the end was written: what was ended and not reset was answered in full.
      if (!stream.writableEnded || stream.rstCode !== 0) this.request.leave();
    });
  }

  respond(status: number, headers: Headers, body?: Uint8Array | string, trailers?: Headers): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    if (trailers !== undefined) {
      const answer = this.stream(status, { ...headers, trailer: Object.keys(trailers) });
      if (body !== undefined) answer.write(body);
      return answer.end(trailers);
    }
    if (headers["connection"] === "close") stream.session?.close();
    const head = http2Head(status, headers);
    if (body === undefined || body.length === 0) {
      if (status !== 204 && status !== 304) head["content-length"] ??= 0;
      stream.respond(head, { endStream: true });
    } else {
      head["content-length"] ??= typeof body === "string" ? Buffer.byteLength(body) : body.length;
      stream.respond(head);
      stream.end(this.request.method === "HEAD" ? undefined : body);
    }
    this.request.body.drop();
  }

  stream(status: number, headers: Headers): ResponseStream {
    const stream = this.#stream;
    // Node can only send trailers that it knows of beforehand.
    const waitForTrailers =
      headers["trailer"] !== undefined || String(headers["content-type"]).startsWith("application/grpc");
    if (headers["connection"] === "close") stream.session?.close();
    if (!stream.destroyed && !stream.closed) stream.respond(http2Head(status, headers), { waitForTrailers });
    let trailers: Headers = {};
    if (waitForTrailers)
      stream.once("wantTrailers", () => {
        if (!stream.destroyed) stream.sendTrailers(trailers as OutgoingHttpHeaders);
      });
    return new NodeResponseStream(
      stream,
      (sent) => {
        if (sent) trailers = sent;
        stream.end();
        this.request.body.drop();
      },
      () => cut(stream),
    );
  }

  upgrade(): ByteStream {
    throw new Error("HTTP/2 has no upgrades");
  }

  fail(): void {
    if (this.#stream.headersSent) cut(this.#stream);
    else this.respond(500, { "content-type": "text/plain" }, "Internal Server Error");
  }
}

/** HTTP/2 has no headers about the connection: what a handler or a server behind it says there is left out. */
function http2Head(status: number, headers: Headers): OutgoingHttpHeaders {
  const head: OutgoingHttpHeaders = { ":status": status, ...(headers as OutgoingHttpHeaders) };
  for (const name of ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"])
    if (name in head) delete head[name];
  return head;
}

/** Without the absent ones, which Node refuses. */
function http1Head(headers: Headers): OutgoingHttpHeaders {
  const head: OutgoingHttpHeaders = {};
  for (const name in headers) if (headers[name] !== undefined) head[name] = headers[name] as string | string[];
  return head;
}

/** RST_STREAM with INTERNAL_ERROR. `close` would end the answer first, and the client take it for whole. */
function cut(stream: ServerHttp2Stream): void {
  stream.destroy(new Error("the answer is cut short"));
}

export class Http1Exchange implements NodeExchange {
  readonly request: NodeRequest;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #head: Buffer | undefined;
  #upgraded = false;

  /** `head` is there when the request asks for an upgrade: what came after its headers. */
  constructor(message: IncomingMessage, response: ServerResponse, peer: Peer, head?: Buffer) {
    this.#message = message;
    this.#response = response;
    this.#head = head;
    this.request = new NodeRequest({
      method: message.method!,
      url: message.url!,
      headers: eachValue(message.headers, message.rawHeaders),
      httpVersion: message.httpVersion as "1.0" | "1.1",
      body: new ByteQueue(message, (cause) => cause ?? broken("the client cut the request")),
      peer,
      encrypted: "encrypted" in message.socket,
    });
    response.on("error", () => {});
    response.on("close", () => {
      if (!response.writableFinished && !this.#upgraded) this.request.leave();
    });
  }

  respond(status: number, headers: Headers, body?: Uint8Array | string): void {
    const response = this.#response;
    if (response.destroyed) return;
    const head = http1Head(headers);
    if (status !== 204 && status !== 304)
      head["content-length"] ??=
        body === undefined ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.length;
    response.writeHead(status, head);
    // Node puts a string behind its head and sends both in one piece, bytes it sends in two.
    if (body instanceof Buffer && body.length <= ONE_PIECE_BYTES) response.end(body.toString("latin1"), "latin1");
    else response.end(body);
    this.request.body.drop();
  }

  stream(status: number, headers: Headers): ResponseStream {
    const response = this.#response;
    if (!response.destroyed) {
      response.writeHead(status, http1Head(headers));
      response.flushHeaders();
    }
    return new NodeResponseStream(
      response,
      (trailers) => {
        if (trailers) response.addTrailers(trailers as Record<string, string>);
        response.end();
        this.request.body.drop();
      },
      () => response.destroy(),
    );
  }

  upgrade(headers: Headers): ByteStream {
    const socket = this.#message.socket;
    if (!this.#head) throw new Error("the request asks for no upgrade");
    this.#upgraded = true;
    this.#response.detachSocket(socket);
    let head = "HTTP/1.1 101 Switching Protocols\r\n";
    for (const [name, value] of Object.entries(headers))
      for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) head += `${name}: ${one}\r\n`;
    if (this.#head.length > 0) socket.unshift(this.#head);
    const stream = byteStream(socket, this.request.peer);
    stream.write(Buffer.from(`${head}\r\n`, "latin1")).catch(() => {}); // A broken connection shows on the stream.
    return stream;
  }

  fail(): void {
    if (this.#upgraded || this.#response.headersSent) this.#message.socket.destroy();
    else this.respond(500, { "content-type": "text/plain" }, "Internal Server Error");
  }
}

/** An answer that goes on. Writes of one turn leave together; the bytes go to the socket as they are. */
class NodeResponseStream implements ResponseStream {
  readonly #target: ServerHttp2Stream | ServerResponse;
  readonly #finish: (trailers: Headers | undefined) => void;
  readonly #cut: () => void;
  #corked = false;
  #ended = false;
  #drained: Promise<void> | undefined;

  constructor(
    target: ServerHttp2Stream | ServerResponse,
    finish: (trailers: Headers | undefined) => void,
    cut: () => void,
  ) {
    this.#target = target;
    this.#finish = finish;
    this.#cut = cut;
  }

  write(data: Uint8Array | string): boolean {
    const target = this.#target;
    if (this.#ended || target.destroyed || target.writableEnded) return true; // Nobody to be slow.
    if (!this.#corked) {
      this.#corked = true;
      target.cork();
      process.nextTick(this.#uncork);
    }
    return target.write(data);
  }

  flush(): void {
    this.#uncork();
  }

  readonly #uncork = (): void => {
    if (!this.#corked) return;
    this.#corked = false;
    if (!this.#ended) this.#release();
  };

  /** Node takes the cork off its socket before it sends a chunk's length, its bytes and its end: without another that is four system calls. */
  #release(): void {
    const { socket } = this.#target as ServerResponse;
    if (!socket) return this.#target.uncork();
    socket.cork();
    this.#target.uncork();
    socket.uncork();
  }

  /** Resolves too when the client is gone: what is written then goes nowhere. */
  get drained(): Promise<void> {
    const target = this.#target;
    if (!target.writableNeedDrain || target.destroyed) return Promise.resolve();
    this.#drained ??= new Promise<void>((resolve) => {
      const done = () => {
        this.#drained = undefined;
        target.off("drain", done);
        target.off("close", done);
        resolve();
      };
      target.on("drain", done);
      target.on("close", done);
    });
    return this.#drained;
  }

  get queuedBytes(): number {
    return this.#target.writableLength;
  }

  end(trailers?: Headers): void {
    if (this.#ended) return;
    this.#ended = true;
    // A corked chunked answer of Node's would send its last-chunk mark before what waits.
    if (this.#corked) this.#release();
    this.#finish(trailers);
  }

  destroy(): void {
    this.#ended = true;
    this.#cut();
  }
}
