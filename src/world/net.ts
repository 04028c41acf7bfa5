/**
 * Sockets and HTTP. `listen` and `connect` give byte streams; `serveHttp` and `httpClient` are HTTP/1.1 and HTTP/2 (with trailers and upgrades) over
 * them. In the simulation a client reaches a handler without bytes in between, with seeded delay and loss.
 */
export interface Net {
  listen(options: ListenOptions, onStream: (stream: ByteStream) => void): Promise<Listener>;
  connect(options: ConnectOptions): Promise<ByteStream>;
  serveHttp(options: ServeHttpOptions, handle: HttpHandler): Promise<Listener>;
  httpClient(options: HttpClientOptions): HttpClient;
  /** A datagram socket; `port` 0 takes any free one. */
  datagrams(
    options: { readonly host: string; readonly port: number },
    onMessage: (data: Uint8Array, from: Address) => void,
  ): Promise<DatagramSocket>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ListenOptions {
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port?: number;
  /** A unix socket, in place of host and port. */
  readonly path?: string;
  readonly tls?: ServerTls;
}

export interface ServeHttpOptions extends ListenOptions {
  readonly http1Only?: boolean;
  readonly http2?: Http2Options;
}

export interface Http2Options {
  readonly maxConcurrentStreams?: number;
  /** A connection on which nothing has come for this long is asked for a sign of life, and given up when there is none for `pingTimeoutMs`. 0 for never. */
  readonly pingAfterMs?: number;
  readonly pingTimeoutMs?: number;
  /** A client whose pings are closer together than this, with no stream open or no answer in between, is sent away as gRPC servers do. */
  readonly minPingIntervalMs?: number;
}

export interface Listener extends AsyncDisposable {
  readonly address: Address;
  /** Replaces certificates for new connections. */
  reload(tls: ServerTls): void;
  /** Takes no new connections, lets exchanges under way end for `graceMs`, then cuts them. */
  close(graceMs?: number): Promise<void>;
}

export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  /** Client certificates are asked for, and verified against these CAs by the caller's authenticator; see `Peer.certificate`. */
  readonly clientCa?: string;
  /** Refuse connections without a certificate of `clientCa`. */
  readonly requireClientCert?: boolean;
  /**
   * The caller verifies the chain itself, at each request: `Peer.certificate.authorized` says nothing then. (Node from 24.21 and 26.8 on hides the
   * intermediates of a chain that it verified: https://github.com/nodejs/node/issues/65579)
   */
  readonly verifiedByCaller?: boolean;
  /** Certificates by server name (SNI). */
  readonly byName?: ReadonlyMap<string, { readonly cert: string; readonly key: string }>;
  /** Asked before each handshake for the certificate as it is now. A failure ends the connection. */
  readonly current?: () => Promise<{ readonly cert: string; readonly key: string }>;
  /** Looks at the other end when the handshake is over, and throws where it is not to be served. */
  readonly check?: (peer: Peer) => Promise<void>;
  /** Told of connections that came to nothing. */
  readonly onRefused?: (error: unknown, address: Address) => void;
  readonly bounds?: TlsBounds;
}

/** Versions and cipher suites, as Node names them. TLS 1.2 is the least there is. */
export interface TlsBounds {
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3";
  readonly ciphers?: string;
}

export interface ClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly insecureSkipVerify?: boolean;
  /** Asked before each handshake, in place of `cert` and `key`. */
  readonly current?: () => Promise<{ readonly cert: string; readonly key: string }>;
  readonly bounds?: TlsBounds;
}

/** What is known of the other end of a connection. */
export interface Peer {
  readonly address: Address;
  /** The client's leaf certificate (DER) where it showed one, and whether it verified against `clientCa`. */
  readonly certificate?: {
    readonly der: Uint8Array;
    readonly chain: readonly Uint8Array[];
    readonly authorized: boolean;
    readonly error?: string;
  };
}

export interface ConnectOptions {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly tls?: ClientTls;
  readonly signal?: AbortSignal;
}

/** A two-way stream of bytes. Iterating ends at the other side's end; a broken connection throws. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  readonly peer: Peer;
  /** Resolves when more may be written. Rejects once the stream is broken. */
  write(data: Uint8Array): Promise<void>;
  /** No more from our side. */
  end(): void;
  /** Cuts both ways. */
  destroy(error?: Error): void;
  readonly closed: Promise<void>;
  /** The fast path; see `attach` in `byte-channel.ts`. */
  attach?(sink: ByteSink): ByteChannel;
}

/** Is told of what happens on a byte stream, in place of iterating it. */
export interface ByteSink {
  onData(chunk: Uint8Array): void;
  /** The other side has no more to send. */
  onEnd(): void;
  /** More may be written after a `write` that gave false. */
  onDrain(): void;
  /** The turn of work ends in which `flushSoon` was called: now is the time to write. */
  onFlush(): void;
  /** The last call. */
  onClose(error: Error | undefined): void;
}

export interface ByteChannel {
  flushSoon(): void;
  /** False says that the other side is slow: wait for `onDrain`. The bytes are shared, never copied or changed. */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Whether all that was written has left, so that its memory may be used for something else. Undefined where a channel can't say. */
  readonly hasLeft?: boolean;
  /** All that is written is copied, as by encryption: one large piece costs less than several. */
  readonly copies?: boolean;
  /** No more `onData` for now: the other side has to wait. */
  pause(): void;
  resume(): void;
}

export interface DatagramSocket extends AsyncDisposable {
  readonly address: Address;
  send(data: Uint8Array, to: Address): void;
}

/** Lower-cased names. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

export type HttpHandler = (exchange: Exchange) => void | Promise<void>;

/** One request and its answer, on the server's side. A handler that throws before answering gives a 500 and a log line. */
export interface Exchange {
  readonly request: HttpRequest;
  /** Sends a whole answer; to a HEAD without its body, and with the body's length. Trailers are for HTTP/2 alone. */
  respond(status: number, headers: Headers, body?: Uint8Array | string, trailers?: Headers): void;
  /** Starts an answer that goes on. */
  stream(status: number, headers: Headers): ResponseStream;
  /** Answers 101 with these headers (HTTP/1.1 only) and hands over the connection. */
  upgrade(headers: Headers): ByteStream;
}

export interface HttpRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  readonly headers: Headers;
  readonly httpVersion: "1.0" | "1.1" | "2.0";
  readonly body: AsyncIterable<Uint8Array>;
  readonly peer: Peer;
  readonly encrypted: boolean;
  /** Aborts when the client goes away before the answer ended. */
  readonly signal: AbortSignal;
  /** Hands over the body by callback, in place of iterating `body`, where the wire can do that. */
  receive?(sink: BodySink): void;
}

/** Is told of a body as it comes: first of what has come already. */
export interface BodySink {
  onData(chunk: Uint8Array): void;
  onEnd(trailers: Headers): void;
  /** The other side cut it short, or went away. */
  onError(error: unknown): void;
}

export interface ResponseStream {
  /** Queues bytes. False says that the client is slow: wait for `drained` or drop it. The bytes are shared, never copied or changed. */
  write(data: Uint8Array | string): boolean;
  /** Up to so many bytes at a time are copied after all, where none are queued: then the writer may use their memory again at once. */
  readonly copiesUpTo?: number;
  readonly drained: Promise<void>;
  /** What was written leaves now, where it would else leave with all that this turn writes. */
  flush?(): void;
  /** Bytes queued and not yet taken by the client. */
  readonly queuedBytes: number;
  end(trailers?: Headers): void;
  /** Cuts the answer short, so that the client sees an error and not an end. */
  destroy(): void;
}

export interface HttpClientOptions {
  /** `https://host:port`, `http://host:port`, or `unix:/path`. */
  readonly base: string;
  readonly tls?: ClientTls;
  /** "2" speaks HTTP/2 (by ALPN, or with prior knowledge without TLS); "1.1" keeps connections alive; default by ALPN. */
  readonly version?: "1.1" | "2";
  readonly connectTimeoutMs?: number;
}

export interface HttpClient extends AsyncDisposable {
  request(request: ClientRequest): Promise<HttpResponse>;
  /** An HTTP/1.1 request that asks for an upgrade; the stream is there when the answer is 101. */
  upgrade(
    request: ClientRequest,
  ): Promise<{ readonly response: HttpResponse; readonly stream: ByteStream | undefined }>;
  close(): Promise<void>;
}

export interface ClientRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Headers;
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
  /** Whether it may be sent once more when a kept connection turns out to be closed; one that only reads may anyway. */
  readonly repeatable?: boolean;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
  /** Settles with the body's end. */
  readonly trailers: Promise<Headers>;
  /** Hands over the body by callback, in place of iterating `body`, where the wire can do that. */
  receive?(sink: BodySink): void;
}

/** HTTP/2 over byte streams, in place of the platform's: `wire/http2` makes one, and whoever makes the world puts it in. */
export interface Http2Engine {
  serve(stream: ByteStream, context: Http2ServeContext): HttpConnection;
  dial(
    stream: ByteStream,
    options: Http2Options & { readonly encrypted: boolean; readonly authority: string },
  ): Http2Client;
}

/** HTTP/1.1's server over byte streams, in the same way: `wire/http1` makes one. */
export interface Http1Engine {
  serve(stream: ByteStream, context: HttpServeContext): HttpConnection;
}

export interface HttpServeContext {
  readonly encrypted: boolean;
  /** What it throws, or rejects with, ends the exchange and goes to `onError`. */
  readonly handle: HttpHandler;
  readonly onError: (error: unknown, request: HttpRequest) => void;
}

export interface Http2ServeContext extends HttpServeContext, Http2Options {}

export interface HttpConnection {
  readonly closed: Promise<void>;
  /** Takes no new requests, and closes after the last one. */
  close(): void;
  destroy(error?: Error): void;
}

export interface Http2Client extends HttpConnection {
  /** It takes no more requests: it is lost, or the server said goodbye. */
  readonly finished: boolean;
  /** Rejects with `unprocessed: true` on the error when the server has surely not acted on it. */
  request(request: ClientRequest): Promise<HttpResponse>;
}
