/** Serves RPC services over HTTP/2 as gRPC does. Upstream: google.golang.org/grpc/server.go, internal/transport/handler_server.go */
import { hostPort } from "../../base/host-port.ts";
import { deferred } from "../../base/deferred.ts";
import type { BodySink, Exchange, Headers, HttpHandler, ResponseStream } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import { receive } from "../receive.ts";
import { EncodedPieces, type Codec } from "./codec.ts";
import { type Deadline, Deadlines, type Expiring } from "./deadlines.ts";
import {
  encodeGrpcMessage,
  FrameReader,
  framed,
  framePrefix,
  parseGrpcTimeout,
  PREFIX_BYTES,
  wholeMessage,
} from "./frames.ts";
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
  const deadlines = new Deadlines(options.clock);
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
    if (!route) return exchange.respond(200, { ...ANSWER_HEADERS, ...statusOf(unknownMethod(request.url, names)) });
    if (route.method.kind === "unary") {
      return receive(request, new UnaryCall(exchange, route, options, deadlines));
    }
    const call = new StreamCall(exchange, route, options, deadlines);
    return runStream(route, call, options).then(
      () => call.finish(),
      (error: unknown) => call.finish(toRpcError(error, call, (cause) => options.onError?.(cause, route.path))),
    );
  };
}

export function isGrpc(headers: Headers): boolean {
  const type = headers["content-type"];
  return type === "application/grpc" || (typeof type === "string" && /^application\/grpc(\+proto)?($|;)/.test(type));
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

async function runStream({ method, handler }: Route, call: StreamCall, { codec }: GrpcServerOptions): Promise<void> {
  const stream: ServerStream<unknown, unknown> = {
    send(message) {
      const frame = framed(codec.encodeTransient(method.output, message as Init<any>, PREFIX_BYTES));
      const wantsMore = call.write(frame);
      if (call.hasCopied(frame)) codec.release(frame);
      return wantsMore;
    },
    get drained() {
      return call.drained;
    },
    async *[Symbol.asyncIterator]() {
      for await (const message of call.messages()) yield codec.decode(method.input, message);
    },
  };
  if (method.kind === "server-stream") {
    const request: unknown = codec.decode(method.input, await call.firstMessage());
    await call.orExpired(handler(request, stream, call) as Promise<void>);
  } else await call.orExpired(handler(stream, call) as Promise<void>);
}

/** What every call has: metadata, a peer, a deadline, a signal for who asks for one, and what is counted of it. */
abstract class ServerCall implements Call, Expiring {
  protected readonly exchange: Exchange;
  protected readonly route: Route;
  protected readonly options: GrpcServerOptions;
  readonly #startedMs: number;
  #requestBytes = 0;
  #responseBytes = 0;
  readonly #deadlines: Deadlines;
  readonly #deadline: Deadline | undefined;
  #abort: AbortController | undefined;
  #expired: RpcError | undefined;
  #signal: AbortSignal | undefined;

  constructor(exchange: Exchange, route: Route, options: GrpcServerOptions, deadlines: Deadlines) {
    this.exchange = exchange;
    this.route = route;
    this.options = options;
    this.#startedMs = options.onEnd === undefined ? 0 : options.clock.monotonic();
    route.tally.started++;
    this.#deadlines = deadlines;
    const timeout = exchange.request.headers["grpc-timeout"];
    const timeoutMs = typeof timeout === "string" ? parseGrpcTimeout(timeout) : undefined;
    if (timeoutMs !== undefined) this.#deadline = deadlines.add(this, timeoutMs);
  }

  get metadata(): Readonly<Record<string, string | undefined>> {
    return this.exchange.request.headers as Readonly<Record<string, string | undefined>>;
  }

  get peer(): string {
    const { host, port } = this.exchange.request.peer.address;
    return hostPort(host, port);
  }

  get certificate(): Call["certificate"] {
    return this.exchange.request.peer.certificate;
  }

  get signal(): AbortSignal {
    if (this.#signal !== undefined) return this.#signal;
    const client = this.exchange.request.signal;
    if (this.#deadline === undefined) return (this.#signal = client);
    this.#abort = new AbortController();
    if (this.#expired) this.#abort.abort(this.#expired);
    return (this.#signal = AbortSignal.any([client, this.#abort.signal]));
  }

  expire(): void {
    this.#expired = new RpcError("DeadlineExceeded", "context deadline exceeded");
    this.#abort?.abort(this.#expired);
    this.onExpired(this.#expired);
  }

  /** A handler that doesn't watch its signal is left behind. */
  protected abstract onExpired(error: RpcError): void;

  protected received(message: Uint8Array): void {
    const { tally } = this.route;
    tally.received++;
    tally.receivedBytes += message.length;
    this.#requestBytes += message.length;
  }

  protected sent(bytes: number): void {
    const { tally } = this.route;
    tally.sent++;
    tally.sentBytes += bytes;
    this.#responseBytes += bytes;
  }

  /** The answer is on its way. */
  protected ended(
    error: RpcError | undefined,
    messages?: { readonly request: unknown; readonly response: unknown },
  ): void {
    if (this.#deadline !== undefined) this.#deadlines.remove(this, this.#deadline);
    const { path, method, tally } = this.route;
    const code = error ? CODES[error.code] : 0;
    tally.handled[code]!++;
    const { onEnd, clock } = this.options;
    if (onEnd === undefined) return;
    onEnd({
      path,
      kind: method.kind,
      peer: () => this.peer,
      clientVersion: this.metadata["client-api-version"],
      startedMs: this.#startedMs,
      tookMs: clock.monotonic() - this.#startedMs,
      code,
      ...messages,
      requestBytes: this.#requestBytes,
      responseBytes: this.#responseBytes,
    });
  }
}

/** A call of one message each way. Where its handler answers at once, the answer is on its way before the request's bytes are let go. */
class UnaryCall extends ServerCall implements BodySink {
  #frames: FrameReader | undefined;
  #request: unknown;
  #taken = false;
  #finished = false;

  onData(chunk: Uint8Array): void {
    if (this.#taken) return; // One message is all that is asked for.
    try {
      const message = this.#message(chunk);
      if (message === undefined) return;
      this.#taken = true;
      const { codec } = this.options;
      const { method, handler } = this.route;
      this.received(message);
      this.#request = codec.decode(method.input, message);
      const pending = handler(this.#request, this);
      if (pending instanceof Promise)
        pending.then(
          (answer) => this.#answer(answer),
          (error: unknown) => this.#fail(error),
        );
      else this.#answer(pending);
    } catch (error) {
      this.#fail(error);
    }
  }

  #message(chunk: Uint8Array): Uint8Array | undefined {
    const { maxRequestBytes = DEFAULT_MAX_BYTES } = this.options;
    if (this.#frames === undefined) {
      const whole = wholeMessage(chunk, maxRequestBytes);
      if (whole !== undefined) return whole;
      this.#frames = framesOf(this.exchange, maxRequestBytes);
    }
    this.#frames.push(chunk);
    return this.#frames.next();
  }

  onEnd(): void {
    if (this.#taken || this.#finished) return;
    try {
      this.#frames?.end();
      throw new RpcError("Internal", "the request has no message");
    } catch (error) {
      this.#fail(error);
    }
  }

  onError(error: unknown): void {
    if (!this.#taken) this.#fail(error);
  }

  #answer(answer: unknown): void {
    if (this.#finished) return;
    if (answer instanceof EncodedPieces) return this.#answerInPieces(answer);
    const { output } = this.route.method;
    let message: Uint8Array;
    try {
      message = framed(this.options.codec.encodeTransient(output, answer as Init<any>, PREFIX_BYTES));
    } catch (error) {
      return this.#fail(error);
    }
    this.#finished = true;
    this.sent(message.length - PREFIX_BYTES);
    this.exchange.respond(200, ANSWER_HEADERS, message, OK);
    this.ended(undefined, { request: this.#request, response: answer });
  }

  #answerInPieces(answer: EncodedPieces): void {
    this.#finished = true;
    this.sent(answer.length);
    const response = this.exchange.stream(200, ANSWER_HEADERS);
    response.write(framePrefix(answer.length));
    for (const piece of answer.pieces) response.write(piece);
    response.end(OK);
    this.ended(undefined, { request: this.#request, response: answer });
  }

  #fail(error: unknown): void {
    if (this.#finished) return;
    const status = toRpcError(error, this, (cause) => this.options.onError?.(cause, this.route.path));
    this.#finished = true;
    this.exchange.respond(200, { ...ANSWER_HEADERS, ...statusOf(status) });
    this.ended(status, { request: this.#request, response: undefined });
  }

  protected override onExpired(error: RpcError): void {
    this.#fail(error);
  }
}

const DEFAULT_MAX_BYTES = 4 << 20;

function framesOf({ request }: Exchange, maxBytes: number): FrameReader {
  return new FrameReader({ maxBytes, encoding: request.headers["grpc-encoding"] as string | undefined });
}

/** A call of many messages: its request's frames, its answer's. */
class StreamCall extends ServerCall {
  readonly #maxBytes: number;
  #response: ResponseStream | undefined;
  #finished = false;
  readonly #expired = deferred<never>();

  constructor(exchange: Exchange, route: Route, options: GrpcServerOptions, deadlines: Deadlines) {
    super(exchange, route, options, deadlines);
    this.#maxBytes = options.maxRequestBytes ?? DEFAULT_MAX_BYTES;
    this.#expired.promise.catch(() => {}); // A call without a deadline never awaits it.
  }

  protected override onExpired(error: RpcError): void {
    this.#expired.reject(error);
  }

  orExpired<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {}); // The deadline has answered for it.
    return Promise.race([work, this.#expired.promise]);
  }

  async firstMessage(): Promise<Uint8Array> {
    const frames = framesOf(this.exchange, this.#maxBytes);
    for await (const chunk of this.exchange.request.body) {
      frames.push(chunk);
      const message = frames.next();
      if (message) {
        this.received(message);
        return message;
      }
    }
    frames.end();
    throw new RpcError("Internal", "the request has no message");
  }

  async *messages(): AsyncGenerator<Uint8Array> {
    const frames = framesOf(this.exchange, this.#maxBytes);
    for await (const chunk of this.exchange.request.body) {
      frames.push(chunk);
      for (let message = frames.next(); message; message = frames.next()) {
        this.received(message);
        yield message;
      }
    }
    frames.end();
  }

  write(frame: Uint8Array): boolean {
    if (this.#finished) return true;
    this.sent(frame.length - PREFIX_BYTES);
    this.#response ??= this.exchange.stream(200, ANSWER_HEADERS);
    return this.#response.write(frame);
  }

  /** A frame that was written just now is not needed any more. */
  hasCopied(frame: Uint8Array): boolean {
    const response = this.#response;
    return response !== undefined && response.queuedBytes === 0 && frame.length <= (response.copiesUpTo ?? 0);
  }

  get drained(): Promise<void> {
    return this.#response?.drained ?? Promise.resolve();
  }

  finish(error?: RpcError): void {
    if (this.#finished) return;
    this.#finished = true;
    if (this.#response) this.#response.end(error ? statusOf(error) : OK);
    else this.exchange.respond(200, { ...ANSWER_HEADERS, ...(error ? statusOf(error) : OK) });
    this.ended(error);
  }
}

// Frozen: a wire may keep what they are encoded to.
const ANSWER_HEADERS = Object.freeze({ "content-type": "application/grpc" });
const OK = Object.freeze({ "grpc-status": "0", "grpc-message": "" });

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
