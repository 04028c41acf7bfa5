/**
 * HTTP/1.1 and HTTP/2 on one port. With TLS, ALPN decides the protocol; without, a connection that starts with HTTP/2's preface speaks HTTP/2, so
 * one plain port serves gRPC clients and everyone else.
 */
import type { IncomingMessage } from "node:http";
import { createServer as createHttp2, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type {
  Headers,
  Http1Engine,
  Http2Engine,
  HttpConnection,
  HttpHandler,
  HttpRequest,
  Listener,
  Peer,
  ServeHttpOptions,
} from "../net.ts";
import { byteStream, peerOf } from "./byte-stream.ts";
import { createServer as createHttp1, ServerResponse as Http1Response } from "./http1.ts";
import { accept } from "./listener.ts";
import { eachValue, Http1Exchange, Http2Exchange, type NodeExchange } from "./node-exchange.ts";

const HEADER_BYTES_MAX = 1 << 20; // As net/http's DefaultMaxHeaderBytes.
const IDLE_MS = 90_000;
const HEAD_MS = 32_000;
const HTTP2 = {
  // Node's default of 10 MB answers many watches with ENHANCE_YOUR_CALM.
  maxSessionMemory: 1000,
  // A client-go process cancels watches by the thousand; nghttp2's default budget of 1,000 resets cuts its connection.
  streamResetBurst: 100_000,
  streamResetRate: 10_000,
  maxHeaderListPairs: 2000,
  settings: { maxConcurrentStreams: 10_000, initialWindowSize: 1 << 20, maxHeaderListSize: HEADER_BYTES_MAX },
} as const;
const SESSION_WINDOW_BYTES = 16 << 20;
/** The start of HTTP/2's preface, and of no method of HTTP/1.1. */
const PRI = Buffer.from("PRI");

export type OnHandlerError = (error: unknown, request: HttpRequest) => void;

/** What speaks the protocols; Node does where there is none. */
export interface Engines {
  readonly http1: Http1Engine | undefined;
  readonly http2: Http2Engine | undefined;
}

export async function serveHttp(
  options: ServeHttpOptions,
  handle: HttpHandler,
  onError: OnHandlerError,
  engines: Engines,
): Promise<Listener> {
  const peers = new WeakMap<Duplex, Peer>();
  const sessions = new Set<ServerHttp2Session | HttpConnection>();
  let closing = false;

  const run = (exchange: NodeExchange): void => {
    const failed = (error: unknown) => {
      onError(error, exchange.request);
      exchange.fail();
    };
    try {
      const done = handle(exchange);
      if (done) done.catch(failed);
    } catch (error) {
      failed(error);
    }
  };

  const http1 = createHttp1({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEAD_MS,
    requestTimeout: 0, // An upload may take long; the handler has its own deadline.
    keepAliveTimeout: IDLE_MS,
    // curl and Java offer h2c with ordinary requests; those are answered as if they hadn't.
    shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() !== "h2c",
  });
  http1.on("request", (request, response) => {
    if (closing) response.setHeader("connection", "close");
    run(new Http1Exchange(request, response, peers.get(request.socket)!));
  });
  http1.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => {});
    const response = new Http1Response(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.on("finish", () => socket.destroySoon());
    run(new Http1Exchange(request, response, peers.get(socket)!, head));
  });
  http1.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET" || !socket.writable) return socket.destroy();
    const status = error.code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
    socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`);
  });

  const { maxConcurrentStreams } = options.http2 ?? {};
  const http2 = createHttp2({
    ...HTTP2,
    settings: { ...HTTP2.settings, ...(maxConcurrentStreams !== undefined && { maxConcurrentStreams }) },
  });
  http2.on("session", (session) => {
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    session.on("error", () => {}); // Its streams hear of it.
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  http2.on("sessionError", () => {});
  http2.on("stream", (stream, headers, _flags, raw) => {
    const socket = socketOf.get(stream.session!)!;
    run(
      new Http2Exchange(
        stream,
        eachValue(headers as Headers, raw as unknown as readonly string[]),
        peers.get(socket)!,
        encrypted,
      ),
    );
  });
  const serveBy = (engine: Http1Engine | Http2Engine, socket: Socket) => {
    const context = { ...options.http2, encrypted, handle, onError };
    const connection = engine.serve(byteStream(socket, peers.get(socket)!), context);
    sessions.add(connection);
    void connection.closed.then(() => sessions.delete(connection));
  };
  const startHttp1 = (socket: Socket) => {
    if (engines.http1 !== undefined) return serveBy(engines.http1, socket);
    http1.emit("connection", socket);
  };
  // `session.socket` is a proxy; this is the socket itself.
  const socketOf = new WeakMap<object, Socket>();
  const startHttp2 = (socket: Socket) => {
    if (engines.http2 !== undefined) return serveBy(engines.http2, socket);
    http2.once("session", (session) => socketOf.set(session, socket));
    http2.emit("connection", socket);
  };

  const encrypted = options.tls !== undefined;
  const acceptor = await accept(
    { ...options, protocols: options.http1Only ? ["http/1.1"] : ["h2", "http/1.1"] },
    (socket, asksForCertificate) => {
      socket.setKeepAlive(true, 30_000);
      peers.set(socket, peerOf(socket, asksForCertificate));
      if (options.http1Only) return startHttp1(socket);
      if (encrypted) {
        const { alpnProtocol } = socket as unknown as { alpnProtocol?: string | false };
        if (alpnProtocol === "h2") startHttp2(socket);
        else startHttp1(socket);
        return;
      }
      let start: Buffer = Buffer.alloc(0);
      const look = () => {
        const more = socket.read() as Buffer | null;
        if (more === null) return;
        start = start.length === 0 ? more : Buffer.concat([start, more]);
        const isHttp2 = start.subarray(0, 3).equals(PRI);
        if (!isHttp2 && start.length < 3 && PRI.subarray(0, start.length).equals(start)) return;
        socket.off("readable", look);
        socket.unshift(start);
        if (isHttp2) startHttp2(socket);
        else startHttp1(socket);
      };
      socket.on("readable", look);
    },
  );

  const close = async (graceMs = 0): Promise<void> => {
    if (!closing) {
      closing = true;
      acceptor.stop();
      http1.closeIdleConnections();
      for (const session of sessions) session.close();
    }
    const empty = () => acceptor.sockets.size === 0;
    if (graceMs > 0 && !empty()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        for (const socket of acceptor.sockets)
          socket.once("close", () => {
            if (!empty()) return;
            clearTimeout(timer);
            resolve();
          });
      });
    }
    const last = [...acceptor.sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const session of sessions) session.destroy();
    for (const socket of acceptor.sockets) socket.destroy();
    await Promise.all(last);
  };
  return { address: acceptor.address, reload: acceptor.reload, close, [Symbol.asyncDispose]: () => close() };
}
