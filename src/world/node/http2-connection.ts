/** A client's HTTP/2 connection over `node:http2`. */
import type { OutgoingHttpHeaders } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import type { ClientRequest, Headers, Http2Client as Http2Connection, HttpResponse } from "../net.ts";
import { ByteQueue } from "./byte-queue.ts";
import { broken } from "./byte-stream.ts";
import { abortWith, sendBody, trailersOf } from "./request-body.ts";

const WINDOW_BYTES = 4 << 20;
const SESSION_WINDOW_BYTES = 32 << 20;
/** As client-go: a connection with requests on it that is silent this long is asked for a sign of life, and given up without one. */
export const SILENCE_MS = 30_000;
const PING_TIMEOUT_MS = 15_000;

/** Where a client connects to. */
export interface Target {
  readonly encrypted: boolean;
  readonly host: string;
  readonly port: number;
  readonly path: string | undefined;
  readonly authority: string;
}

export class NodeConnection implements Http2Connection {
  readonly #session: ClientHttp2Session;
  readonly #target: Target;
  readonly closed: Promise<void>;
  /** Requests whose streams are open. */
  #requests = 0;

  constructor(socket: Socket, target: Target) {
    this.#target = target;
    const session = connectHttp2(`${target.encrypted ? "https" : "http"}://${target.authority}`, {
      createConnection: () => socket,
      maxSessionMemory: 1000,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES, maxHeaderListSize: 16 << 20 },
      peerMaxConcurrentStreams: 2 ** 31 - 1,
    });
    session.on("error", () => {}); // The streams on it tell their callers.
    session.on("goaway", () => session.close()); // Streams under way may end; the next request connects anew.
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    if (target.path === undefined) watchSilence(session, () => this.#requests > 0);
    this.closed = new Promise((resolve) => void session.once("close", () => resolve()));
    this.#session = session;
  }

  get finished(): boolean {
    return this.#session.closed || this.#session.destroyed;
  }

  request(request: ClientRequest): Promise<HttpResponse> {
    const { body } = request;
    const whole = typeof body === "string" || body instanceof Uint8Array;
    const headers: OutgoingHttpHeaders = {};
    for (const name in request.headers) {
      const value = request.headers[name];
      if (value !== undefined && name !== "connection" && name !== "host") headers[name] = value as string | string[];
    }
    headers[":method"] = request.method;
    headers[":path"] = request.path;
    headers[":scheme"] ??= this.#target.encrypted ? "https" : "http";
    headers[":authority"] ??= (request.headers?.["host"] as string | undefined) ?? this.#target.authority;
    if (whole && headers["content-type"] !== "application/grpc")
      headers["content-length"] ??= String(Buffer.byteLength(body));
    const stream = this.#session.request(headers, { endStream: body === undefined });
    this.#requests++;
    stream.once("close", () => this.#requests--);
    if (request.signal) abortWith(request.signal, stream, (reason) => cancel(stream, reason));
    return new Promise((resolve, reject) => {
      const failure = () => (request.signal?.aborted ? request.signal.reason : (stream.errored ?? streamError(stream)));
      let answered = false;
      const fail = () => {
        if (!answered) reject(failure()); // Not otherwise: making an error costs as much as the rest of a small request.
      };
      stream.on("error", fail);
      stream.on("close", fail);
      stream.on("response", (received) => {
        answered = true;
        let trailers: Headers = {};
        stream.on("trailers", (sent) => (trailers = sent as Headers));
        resolve({
          status: received[":status"] as number,
          headers: received as Headers,
          body: new ByteQueue(stream, failure),
          trailers: trailersOf(stream, () => trailers),
        });
      });
      if (body !== undefined) sendBody(stream, body, (error) => cancel(stream, error));
    });
  }

  close(): void {
    this.#session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }
}

/** Only while requests are open: gRPC servers end connections that ping without any. */
function watchSilence(session: ClientHttp2Session, requestsOpen: () => boolean): void {
  const { socket } = session;
  let read = -1;
  const timer = setInterval(() => {
    const now = socket.bytesRead;
    if (now === read && !session.destroyed && requestsOpen()) {
      const limit = setTimeout(() => session.destroy(broken("http2: client connection lost")), PING_TIMEOUT_MS);
      session.ping(() => clearTimeout(limit));
    }
    read = now;
  }, SILENCE_MS);
  timer.unref();
  session.once("close", () => clearInterval(timer));
}

function cancel(stream: ClientHttp2Stream, reason: unknown): void {
  if (stream.destroyed) return;
  stream.close(8); // CANCEL
  stream.destroy(reason instanceof Error ? reason : undefined);
}

function streamError(stream: ClientHttp2Stream): Error {
  const names: Readonly<Record<number, string>> = { 7: "REFUSED_STREAM", 8: "CANCEL", 11: "ENHANCE_YOUR_CALM" };
  const code = stream.rstCode ?? 0;
  return Object.assign(broken(`the server reset the stream: ${names[code] ?? code}`), { rstCode: code });
}
