/** Serves RPC services over HTTP/2 as gRPC does. Upstream: google.golang.org/grpc/server.go, internal/transport/handler_server.go */
import { hostPort } from "../../base/host-port.ts";
import type { Exchange, Headers, HttpHandler, ResponseStream } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import type { Codec } from "./codec.ts";
import { encodeGrpcMessage, FrameReader, framed, parseGrpcTimeout, PREFIX_BYTES } from "./frames.ts";
import { DecodeError } from "./reader.ts";
import {
  CODES,
  RpcError,
  type Call,
  type Code,
  type Implementation,
  type Init,
  type Method,
  type MethodKind,
  type ServerStream,
  type Service,
} from "./service.ts";

/** A service and what serves it. Made by `bind`, which checks that they fit. */
export interface Binding {
  readonly service: Service;
  readonly implementation: Readonly<Record<string, (...args: any[]) => unknown>>;
}

export function bind<S extends Service>(service: S, implementation: Implementation<S>): Binding {
  return { service, implementation: implementation as Binding["implementation"] };
}

export interface GrpcServerOptions {
  readonly services: readonly Binding[];
  readonly codec: Codec;
  readonly clock: Clock;
  /** The largest request; gRPC's own default is 4 MiB, etcd's 1.5 MiB and 512 KiB of grace. */
  readonly maxRequestBytes?: number;
  /** Told of errors that are no `RpcError`: the client sees code Unknown and the message. */
  readonly onError?: (error: unknown, method: string) => void;
  /** Where a method's calls are counted. */
  readonly tally?: (service: string, method: string, kind: MethodKind) => RpcTally;
  /** Told of every call that has ended; then the time is taken. */
  readonly onEnd?: (call: EndedCall) => void;
}

/** Plain numbers, so that counting costs next to nothing: who reads them makes metrics of them. */
export interface RpcTally {
  started: number;
  received: number;
  sent: number;
  receivedBytes: number;
  sentBytes: number;
  /** By code. */
  readonly handled: number[];
}

export interface EndedCall {
  readonly path: string;
  readonly kind: MethodKind;
  readonly peer: () => string;
  /** What the client says it is. */
  readonly clientVersion: string | undefined;
  readonly startedMs: number;
  readonly tookMs: number;
  readonly code: number;
  /** The one message each way of a unary call, with its size. */
  readonly request?: unknown;
  readonly response?: unknown;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export function rpcTally(): RpcTally {
  const handled: number[] = Array.from({ length: Object.keys(CODES).length }, () => 0);
  return { started: 0, received: 0, sent: 0, receivedBytes: 0, sentBytes: 0, handled };
}

interface Route {
  readonly path: string;
  readonly tally: RpcTally;
  readonly method: Method<any, any>;
  readonly handler: (...args: any[]) => unknown;
}

export function grpcHandler(options: GrpcServerOptions): HttpHandler {
  const routes = new Map<string, Route>();
  const names = new Set<string>();
  for (const { service, implementation } of options.services) {
    names.add(service.name);
    for (const [name, method] of Object.entries(service.methods)) {
      const handler = implementation[name];
      const path = `/${service.name}/${name}`;
      const tally = options.tally?.(service.name, name, method.kind) ?? rpcTally();
      if (handler) routes.set(path, { path, method, tally, handler: handler.bind(implementation) });
    }
  }
  return (exchange) => {
    const { request } = exchange;
    if (!isGrpc(request.headers)) return exchange.respond(415, {});
    if (request.method !== "POST") return exchange.respond(405, { allow: "POST" });
    const route = routes.get(request.url);
    const call = new ServerCall(exchange, options, route);
    if (!route) return call.finish(unknownMethod(request.url, names));
    const run = route.method.kind === "unary" ? runUnary(route, call, options) : runStream(route, call, options);
    return run.then(
      () => call.finish(),
      (error: unknown) => call.finish(toRpcError(error, call, (cause) => options.onError?.(cause, route.path))),
    );
  };
}

export function isGrpc(headers: Headers): boolean {
  const type = headers["content-type"];
  return typeof type === "string" && /^application\/grpc(\+proto)?($|;)/.test(type);
}

function unknownMethod(path: string, services: ReadonlySet<string>): RpcError {
  const cut = path.lastIndexOf("/");
  if (!path.startsWith("/") || cut < 1) return new RpcError("Unimplemented", `malformed method name: "${path}"`);
  const service = path.slice(1, cut);
  return new RpcError(
    "Unimplemented",
    services.has(service)
      ? `unknown method ${path.slice(cut + 1)} for service ${service}`
      : `unknown service ${service}`,
  );
}

async function runUnary({ method, handler }: Route, call: ServerCall, { codec }: GrpcServerOptions): Promise<void> {
  const message = await call.firstMessage();
  const request: unknown = codec.decode(method.input, message);
  call.request = request;
  const pending = handler(request, call);
  const answer = pending instanceof Promise ? await call.orAborted(pending) : pending;
  call.response = answer;
  call.write(framed(codec.encodeTransient(method.output, answer as Init<any>, PREFIX_BYTES)));
}

async function runStream({ method, handler }: Route, call: ServerCall, { codec }: GrpcServerOptions): Promise<void> {
  const stream: ServerStream<unknown, unknown> = {
    send: (message) => call.write(framed(codec.encodeTransient(method.output, message as Init<any>, PREFIX_BYTES))),
    get drained() {
      return call.drained;
    },
    async *[Symbol.asyncIterator]() {
      for await (const message of call.messages()) yield codec.decode(method.input, message);
    },
  };
  if (method.kind === "server-stream") {
    const request: unknown = codec.decode(method.input, await call.firstMessage());
    await call.orAborted(handler(request, stream, call) as Promise<void>);
  } else await call.orAborted(handler(stream, call) as Promise<void>);
}

/** One call: its request's frames, its answer's, its deadline. */
class ServerCall implements Call {
  readonly metadata: Readonly<Record<string, string | undefined>>;
  readonly #exchange: Exchange;
  readonly #maxBytes: number;
  readonly #abort: AbortController | undefined;
  #timer: Disposable | undefined;
  #response: ResponseStream | undefined;
  #finished = false;
  #aborted: Promise<never> | undefined;
  readonly #route: Route | undefined;
  readonly #options: GrpcServerOptions;
  readonly #startedMs: number;
  #requestBytes = 0;
  #responseBytes = 0;
  request: unknown;
  response: unknown;

  constructor(exchange: Exchange, options: GrpcServerOptions, route: Route | undefined) {
    const { clock, maxRequestBytes = 4 << 20 } = options;
    this.#exchange = exchange;
    this.#maxBytes = maxRequestBytes;
    this.#route = route;
    this.#options = options;
    this.#startedMs = options.onEnd === undefined ? 0 : clock.monotonic();
    if (route !== undefined) route.tally.started++;
    const { headers } = exchange.request;
    this.metadata = headers as Readonly<Record<string, string | undefined>>;
    const timeout = headers["grpc-timeout"];
    const timeoutMs = typeof timeout === "string" ? parseGrpcTimeout(timeout) : undefined;
    if (timeoutMs === undefined) return;
    this.#abort = new AbortController();
    this.#timer = clock.after(timeoutMs, () =>
      this.#abort!.abort(new RpcError("DeadlineExceeded", "context deadline exceeded")),
    );
  }

  #signal: AbortSignal | undefined;
  get signal(): AbortSignal {
    const client = this.#exchange.request.signal;
    this.#signal ??= this.#abort ? AbortSignal.any([client, this.#abort.signal]) : client;
    return this.#signal;
  }

  get peer(): string {
    const { host, port } = this.#exchange.request.peer.address;
    return hostPort(host, port);
  }

  get certificate(): Call["certificate"] {
    return this.#exchange.request.peer.certificate;
  }

  /** A handler that doesn't watch its signal is left behind when the deadline passes. */
  orAborted<T>(work: Promise<T>): Promise<T> {
    const abort = this.#abort;
    if (!abort) return work;
    this.#aborted ??= new Promise<never>((_, reject) =>
      abort.signal.addEventListener("abort", () => reject(abort.signal.reason), { once: true }),
    );
    this.#aborted.catch(() => {});
    work.catch(() => {});
    return Promise.race([work, this.#aborted]);
  }

  #frames(): FrameReader {
    const encoding = this.#exchange.request.headers["grpc-encoding"] as string | undefined;
    return new FrameReader({ maxBytes: this.#maxBytes, encoding });
  }

  async firstMessage(): Promise<Uint8Array> {
    const frames = this.#frames();
    for await (const chunk of this.#exchange.request.body) {
      frames.push(chunk);
      const message = frames.next();
      if (message) {
        this.#count(message);
        return message;
      }
    }
    frames.end();
    throw new RpcError("Internal", "the request has no message");
  }

  async *messages(): AsyncGenerator<Uint8Array> {
    const frames = this.#frames();
    for await (const chunk of this.#exchange.request.body) {
      frames.push(chunk);
      for (let message = frames.next(); message; message = frames.next()) {
        this.#count(message);
        yield message;
      }
    }
    frames.end();
  }

  #count(message: Uint8Array): void {
    const { tally } = this.#route!;
    tally.received++;
    tally.receivedBytes += message.length;
    this.#requestBytes += message.length;
  }

  write(frame: Uint8Array): boolean {
    if (this.#finished) return true;
    const { tally } = this.#route!;
    tally.sent++;
    tally.sentBytes += frame.length - PREFIX_BYTES;
    this.#responseBytes += frame.length - PREFIX_BYTES;
    this.#response ??= this.#exchange.stream(200, ANSWER_HEADERS);
    return this.#response.write(frame);
  }

  get drained(): Promise<void> {
    return this.#response?.drained ?? Promise.resolve();
  }

  finish(error?: RpcError): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#timer?.[Symbol.dispose]();
    if (this.#response) this.#response.end(error ? statusOf(error) : OK);
    else this.#exchange.respond(200, { ...ANSWER_HEADERS, ...(error ? statusOf(error) : OK) });
    const route = this.#route;
    if (route === undefined) return;
    const code = error ? CODES[error.code] : 0;
    route.tally.handled[code]!++;
    const { onEnd, clock } = this.#options;
    if (onEnd === undefined) return;
    const unary = route.method.kind === "unary";
    onEnd({
      path: route.path,
      kind: route.method.kind,
      peer: () => this.peer,
      clientVersion: this.metadata["client-api-version"],
      startedMs: this.#startedMs,
      tookMs: clock.monotonic() - this.#startedMs,
      code,
      ...(unary && { request: this.request, response: this.response }),
      requestBytes: this.#requestBytes,
      responseBytes: this.#responseBytes,
    });
  }
}

const ANSWER_HEADERS = { "content-type": "application/grpc" } as const;
const OK = { "grpc-status": "0", "grpc-message": "" } as const;

function statusOf(error: RpcError): Headers {
  return { "grpc-status": String(CODES[error.code]), "grpc-message": encodeGrpcMessage(error.message) };
}

/** As Go's server: what is no status is Unknown, with its own words. */
function toRpcError(error: unknown, call: Call, report: (error: unknown) => void): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof DecodeError)
    return new RpcError("Internal", `grpc: error unmarshalling request: ${error.message}`, { cause: error });
  if (call.signal.aborted) {
    const { reason } = call.signal;
    return reason instanceof RpcError ? reason : new RpcError("Canceled", "context canceled");
  }
  report(error);
  return new RpcError("Unknown" satisfies Code, error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}
