/** HTTP clients: kept-alive HTTP/1.1 connections, or one HTTP/2 connection that is re-established when it is lost. */
import type {
  Agent as Http1Agent,
  ClientRequest as Http1Request,
  IncomingMessage,
  OutgoingHttpHeaders,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type AgentOptions, type RequestOptions } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import type {
  ByteStream,
  ClientRequest,
  ClientTls,
  Http2Client as Http2Connection,
  Http2Engine,
  HttpClient,
  HttpClientOptions,
  HttpResponse,
} from "../net.ts";
import { ByteQueue } from "./byte-queue.ts";
import { broken, byteStream } from "./byte-stream.ts";
import { Agent, request as http1Request } from "./http1.ts";
import { NodeConnection, SILENCE_MS, type Target } from "./http2-connection.ts";
import { abortWith, sendBody, trailersOf } from "./request-body.ts";

const CONNECT_TIMEOUT_MS = 30_000;

function parseBase(base: string): Target {
  if (base.startsWith("unix:")) {
    const path = base.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    return { encrypted: false, host: "localhost", port: 0, path, authority: "localhost" };
  }
  const url = new URL(base);
  const encrypted = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { encrypted, host, port: Number(url.port) || (encrypted ? 443 : 80), path: undefined, authority: url.host };
}

export function tlsOptions(tls: ClientTls | undefined): ConnectionOptions {
  return {
    ca: tls?.ca,
    // As in Go: whatever is in the bundle is trusted, a leaf too.
    ...(tls?.ca !== undefined && { allowPartialTrustChain: true }),
    cert: tls?.cert,
    key: tls?.key,
    ...(tls?.serverName !== undefined && { servername: tls.serverName }),
    rejectUnauthorized: !tls?.insecureSkipVerify,
    minVersion: "TLSv1.2",
    ...tls?.bounds,
  };
}

/** Takes over a connection that was made already, and reads its certificate anew for each that it makes where the certificate may change. */
class TlsAgent extends HttpsAgent {
  readonly #current: ClientTls["current"];
  #made: Socket | undefined;
  #adopted: Socket | undefined;

  constructor(options: AgentOptions, current: ClientTls["current"]) {
    // A session that is taken up again is one of the certificate that it began with.
    super({ ...options, ...(current !== undefined && { maxCachedSessions: 0 }) });
    this.#current = current;
  }

  /** For the next request that needs a connection. */
  adopt(socket: Socket): void {
    if (this.#adopted === socket) return;
    this.#made = this.#adopted = socket;
  }

  override createConnection(
    options: RequestOptions,
    onCreated?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const made = this.#made;
    this.#made = undefined;
    if (made !== undefined && !made.destroyed) return made;
    if (this.#current === undefined) return super.createConnection(options, onCreated);
    this.#current().then(
      (pair) => onCreated?.(null, super.createConnection({ ...options, ...pair })!),
      (error: Error) => onCreated?.(error, undefined as unknown as Duplex),
    );
    return undefined;
  }

  override destroy(): void {
    this.#made?.destroy();
    super.destroy();
  }
}

/** HTTP/2 is `engine`'s where there is one, else `node:http2`'s. */
export function httpClient(options: HttpClientOptions, engine: Http2Engine | undefined): HttpClient {
  const target = parseBase(options.base);
  const http1 = new Http1Client(target, options);
  const http2 = new Http2Client(target, options, engine);
  let version = options.version ?? (target.encrypted ? undefined : "1.1");
  return {
    request(request) {
      const send = () => (version === "2" ? http2.request(request) : http1.request(request));
      if (version !== undefined) return send();
      // Without a version the first connection's ALPN decides for the rest.
      return http2.negotiate(request.signal).then((http1Socket) => {
        version ??= http1Socket === undefined ? "2" : "1.1";
        if (http1Socket !== undefined) http1.adopt(http1Socket);
        return send();
      });
    },
    upgrade: (request) => http1.upgrade(request),
    async close() {
      http1.close();
      http2.close();
    },
    async [Symbol.asyncDispose]() {
      await this.close();
    },
  };
}

class Http1Client {
  readonly #target: Target;
  readonly #agent: Http1Agent;
  readonly #upgraded = new Set<Socket>();

  constructor(target: Target, options: HttpClientOptions) {
    this.#target = target;
    const agent = { keepAlive: true, maxFreeSockets: 256, timeout: 0, noDelay: true };
    const { tls } = options;
    this.#agent = target.encrypted ? new TlsAgent({ ...agent, ...tlsOptions(tls) }, tls?.current) : new Agent(agent);
  }

  adopt(socket: Socket): void {
    if (this.#agent instanceof TlsAgent) this.#agent.adopt(socket);
  }

  #start(request: ClientRequest): Http1Request {
    const { encrypted, host, port, path } = this.#target;
    const headers: OutgoingHttpHeaders = {};
    for (const [name, value] of Object.entries(request.headers ?? {}))
      if (value !== undefined && !name.startsWith(":")) headers[name] = value as string | string[];
    const { body } = request;
    if (typeof body === "string" || body instanceof Uint8Array)
      headers["content-length"] = String(Buffer.byteLength(body));
    const sent = (encrypted ? httpsRequest : http1Request)({
      ...(path === undefined ? { host, port } : { socketPath: path }),
      method: request.method,
      path: request.path,
      headers,
      agent: this.#agent,
    });
    if (request.signal) abortWith(request.signal, sent, (reason) => sent.destroy(reason));
    return sent;
  }

  request(request: ClientRequest): Promise<HttpResponse> {
    if (request.signal?.aborted) return Promise.reject(request.signal.reason);
    return new Promise((resolve, reject) => {
      const sent = this.#start(request);
      sent.on("error", (error: NodeJS.ErrnoException) => {
        if (request.signal?.aborted) return reject(request.signal.reason);
        // The server closed a kept connection just as it was used again. As Go: what changes nothing is asked once more.
        if (sent.reusedSocket && error.code === "ECONNRESET" && mayRepeat(request))
          return resolve(this.request(request));
        reject(error);
      });
      sent.on("response", (message) => resolve(http1Response(message, request.signal)));
      sendBody(sent, request.body, (error) => sent.destroy(error));
    });
  }

  upgrade(request: ClientRequest): Promise<{ response: HttpResponse; stream: ByteStream | undefined }> {
    if (request.signal?.aborted) return Promise.reject(request.signal.reason);
    return new Promise((resolve, reject) => {
      const sent = this.#start({ ...request, headers: { connection: "Upgrade", ...request.headers } });
      sent.on("error", (error) => reject(request.signal?.aborted ? request.signal.reason : error));
      sent.on("response", (message) =>
        resolve({ response: http1Response(message, request.signal), stream: undefined }),
      );
      sent.on("upgrade", (message, socket: Socket, head) => {
        socket.on("error", () => {});
        if (head.length > 0) socket.unshift(head);
        this.#upgraded.add(socket);
        socket.once("close", () => this.#upgraded.delete(socket));
        const peer = { address: { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 } };
        resolve({
          response: { status: 101, headers: message.headers, body: nothing(), trailers: Promise.resolve({}) },
          stream: byteStream(socket, peer),
        });
      });
      sendBody(sent, request.body, (error) => sent.destroy(error));
    });
  }

  close(): void {
    this.#agent.destroy();
    for (const socket of this.#upgraded) socket.destroy();
  }
}

const mayRepeat = ({ method, body, repeatable }: ClientRequest): boolean =>
  (repeatable === true || ["GET", "HEAD", "OPTIONS", "TRACE"].includes(method)) &&
  (body === undefined || typeof body === "string");

async function* nothing(): AsyncGenerator<Uint8Array> {}

function http1Response(message: IncomingMessage, signal: AbortSignal | undefined): HttpResponse {
  return {
    status: message.statusCode!,
    headers: message.headers,
    body: new ByteQueue(message, (cause) => signal?.reason ?? cause ?? broken("the server cut the answer")),
    trailers: trailersOf(message, () => message.trailers),
  };
}

/** One connection, made anew when it is lost or the server says goodbye. */
class Http2Client {
  readonly #target: Target;
  readonly #options: HttpClientOptions;
  readonly #engine: Http2Engine | undefined;
  #connecting: Promise<Http2Connection> | undefined;
  /** The one in use, when it is made. */
  #connection: Http2Connection | undefined;
  readonly #closing = new AbortController();
  readonly #open = new Set<Http2Connection>();

  constructor(target: Target, options: HttpClientOptions, engine: Http2Engine | undefined) {
    this.#target = target;
    this.#options = options;
    this.#engine = engine;
  }

  /** Connects. An HTTP/2 connection is kept for the first request; that of a server that doesn't speak it is handed out. */
  async negotiate(signal: AbortSignal | undefined): Promise<Socket | undefined> {
    try {
      await this.#connected(signal);
      return undefined;
    } catch (error) {
      if (error instanceof NoHttp2) return error.socket;
      throw error;
    }
  }

  request(request: ClientRequest): Promise<HttpResponse> {
    const { signal, body } = request;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const connection = this.#connection;
    const answer =
      connection !== undefined && !connection.finished
        ? connection.request(request)
        : this.#connected(signal).then((made) => made.request(request));
    if (body !== undefined && typeof body !== "string" && !(body instanceof Uint8Array)) return answer;
    // As Go: what no server has acted on is asked once more, on another connection.
    return answer.catch(async (error: { unprocessed?: boolean }) => {
      if (error?.unprocessed !== true || signal?.aborted || this.#closing.signal.aborted) throw error;
      return (await this.#connected(signal)).request(request);
    });
  }

  async #connected(signal: AbortSignal | undefined): Promise<Http2Connection> {
    if (this.#closing.signal.aborted) throw broken("the client is closed");
    this.#connecting ??= this.#connect();
    const connecting = this.#connecting;
    const forget = () => {
      if (this.#connecting !== connecting) return;
      this.#connecting = undefined;
      this.#connection = undefined;
    };
    let connection: Http2Connection;
    try {
      connection = signal ? await orAborted(connecting, signal) : await connecting;
    } catch (error) {
      if (!signal?.aborted) forget();
      throw error;
    }
    if (connection.finished) {
      forget();
      return this.#connected(signal);
    }
    if (this.#connecting === connecting) this.#connection = connection;
    return connection;
  }

  async #connect(): Promise<Http2Connection> {
    const { encrypted, host, port, path, authority } = this.#target;
    const socket = await openSocket(
      path === undefined ? { host, port } : { path },
      encrypted
        ? {
            ...tlsOptions(this.#options.tls),
            ...(await this.#options.tls?.current?.()),
            ALPNProtocols: this.#options.version === "2" ? ["h2"] : ["h2", "http/1.1"],
          }
        : undefined,
      this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      this.#closing.signal,
    );
    if (encrypted && (socket as TLSSocket).alpnProtocol !== "h2" && this.#options.version !== "2") {
      throw new NoHttp2(socket);
    }
    const connection =
      this.#engine === undefined
        ? new NodeConnection(socket, this.#target)
        : this.#engine.dial(byteStream(socket, { address: { host, port } }), {
            encrypted,
            authority,
            ...(path !== undefined && { pingAfterMs: 0 }),
          });
    this.#open.add(connection);
    void connection.closed.then(() => this.#open.delete(connection));
    return connection;
  }

  /** Connections that are still being made end with it. */
  close(): void {
    this.#closing.abort(broken("the client is closed"));
    for (const connection of this.#open) connection.destroy();
    this.#connecting?.catch((error) => error instanceof NoHttp2 && error.socket.destroy());
  }
}

class NoHttp2 extends Error {
  readonly socket: Socket;

  constructor(socket: Socket) {
    super("the server does not speak HTTP/2");
    this.socket = socket;
  }
}

export function openSocket(
  target: { readonly host: string; readonly port: number } | { readonly path: string },
  tls: ConnectionOptions | undefined,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Socket | TLSSocket> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = tls ? connectTls({ ...target, ...tls }) : connectTcp({ ...target, noDelay: true });
    const timer = setTimeout(
      () => socket.destroy(Object.assign(new Error("connecting took too long"), { code: "ETIMEDOUT" })),
      timeoutMs,
    );
    const onAbort = () => socket.destroy(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const settled = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    socket.once("error", (error) => {
      settled();
      reject(error);
    });
    socket.once("close", () => {
      settled();
      reject(broken("the connection was closed"));
    });
    socket.once(tls ? "secureConnect" : "connect", () => {
      settled();
      socket.setNoDelay(true);
      if (!("path" in target)) socket.setKeepAlive(true, SILENCE_MS);
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
