/**
 * Sockets and HTTP. `listen` and `connect` are byte streams; `serveHttp` and `httpClient` are HTTP/1.1 and HTTP/2 (with trailers and
 * upgrades) over them. In the simulator a client reaches a handler without bytes in between, with seeded delay and loss.
 */
export interface Net {
  listen(options: ListenOptions, onStream: (stream: ByteStream) => void): Promise<Listener>;
  connect(options: ConnectOptions): Promise<ByteStream>;
  serveHttp(options: ListenOptions & { readonly http1Only?: boolean }, handle: HttpHandler): Promise<Listener>;
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
  /** Certificates by server name (SNI). */
  readonly byName?: ReadonlyMap<string, { readonly cert: string; readonly key: string }>;
}

export interface ClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly insecureSkipVerify?: boolean;
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
  /** Sends a whole answer. */
  respond(status: number, headers: Headers, body?: Uint8Array | string): void;
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
}

export interface ResponseStream {
  /** Queues bytes. False says that the client is slow: wait for `drained` or drop it. The bytes are shared, never copied or changed. */
  write(data: Uint8Array | string): boolean;
  readonly drained: Promise<void>;
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
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
  /** Settles with the body's end. */
  readonly trailers: Promise<Headers>;
}
