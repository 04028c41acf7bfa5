/** Calls RPC services over HTTP/2 as gRPC does. */
import type { BodySink, Headers, HttpClient, HttpResponse } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import { receive } from "../receive.ts";
import type { Codec } from "./codec.ts";
import { type Deadline, Deadlines, type Expiring } from "./deadlines.ts";
import { decodeGrpcMessage, formatGrpcTimeout, FrameReader, framed, PREFIX_BYTES, wholeMessage } from "./frames.ts";
import { MessageQueue } from "./message-queue.ts";
import {
  CODES,
  RpcError,
  type CallOptions,
  type Client,
  type ClientStream,
  type Code,
  type Init,
  type Method,
  type Service,
} from "./service.ts";

export interface GrpcClientOptions {
  /** An HTTP/2 client. Whoever made it closes it. */
  readonly http: HttpClient;
  readonly codec: Codec;
  readonly clock: Clock;
  /** Sent with every call; a call's own metadata goes before it. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The largest answer; etcd's client takes 2 GiB. */
  readonly maxResponseBytes?: number;
}

interface Context extends GrpcClientOptions {
  readonly deadlines: Deadlines;
  /** Of calls without metadata, by their time limit: frozen, so that a wire may keep what they are encoded to. */
  readonly headers: Map<number | undefined, Headers>;
}

export function grpcClient<S extends Service>(service: S, given: GrpcClientOptions): Client<S> {
  const options: Context = { ...given, deadlines: new Deadlines(given.clock), headers: new Map() };
  const client: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(service.methods)) {
    const path = `/${service.name}/${name}`;
    if (method.kind === "unary")
      client[name] = (request: Init<any>, call?: CallOptions) => unaryCall(path, method, options, request, call);
    else if (method.kind === "server-stream")
      client[name] = (request: Init<any>, call?: CallOptions) => {
        const stream = streamCall(path, method, options, call);
        stream.send(request);
        stream.end();
        return stream;
      };
    else client[name] = (call?: CallOptions) => streamCall(path, method, options, call);
  }
  return client as Client<S>;
}

function unaryCall(
  path: string,
  method: Method<any, any>,
  options: Context,
  request: Init<any>,
  call: CallOptions = NO_OPTIONS,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const answer = new UnaryAnswer(method, options, callLimit(options, call), resolve, reject);
    try {
      const { signal } = answer.limit;
      const body = framed(options.codec.encodeTransient(method.input, request, PREFIX_BYTES));
      const sent = { method: "POST", path, headers: headersOf(options, call), body };
      options.http.request(signal === undefined ? sent : { ...sent, signal }).then(
        (response) => answer.take(response),
        (error: unknown) => answer.onError(error),
      );
    } catch (error) {
      answer.onError(error);
    }
  });
}

const NO_OPTIONS: CallOptions = Object.freeze({});

/** The answer of a call of one message each way. */
class UnaryAnswer implements BodySink {
  readonly #method: Method<any, any>;
  readonly #options: Context;
  readonly #resolve: (answer: unknown) => void;
  readonly #reject: (error: RpcError) => void;
  readonly limit: CallLimit;
  #response: HttpResponse | undefined;
  #frames: FrameReader | undefined;
  #message: Uint8Array | undefined;
  #settled = false;

  constructor(
    method: Method<any, any>,
    options: Context,
    limit: CallLimit,
    resolve: (answer: unknown) => void,
    reject: (error: RpcError) => void,
  ) {
    this.#method = method;
    this.#options = options;
    this.limit = limit;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  take(response: HttpResponse): void {
    this.#response = response;
    try {
      if (isWholeAnswer(response)) return this.#complete();
      receive(response, this);
    } catch (error) {
      this.onError(error);
    }
  }

  onData(chunk: Uint8Array): void {
    if (this.#settled) return;
    try {
      if (this.#frames === undefined) {
        const whole = wholeMessage(chunk, maxBytesOf(this.#options));
        if (whole !== undefined) return this.#keep(whole);
        this.#frames = framesOf(this.#response!, this.#options);
      }
      this.#frames.push(chunk);
      for (let message = this.#frames.next(); message; message = this.#frames.next()) this.#keep(message);
    } catch (error) {
      this.onError(error);
    }
  }

  #keep(message: Uint8Array): void {
    if (this.#message !== undefined)
      throw new RpcError("Internal", "cardinality violation: received multiple messages for unary call");
    this.#message = message;
  }

  onEnd(trailers: Headers): void {
    if (this.#settled) return;
    try {
      this.#frames?.end();
      checkStatus(trailers);
      this.#complete();
    } catch (error) {
      this.onError(error);
    }
  }

  #complete(): void {
    if (this.#message === undefined)
      throw new RpcError("Internal", "cardinality violation: received no response message for unary call");
    const answer = this.#options.codec.decode(this.#method.output, this.#message);
    this.#settle();
    this.#resolve(answer);
  }

  onError(error: unknown): void {
    if (this.#settled) return;
    const failure = toRpcError(error, this.limit.signal);
    this.#settle();
    this.#reject(failure);
  }

  #settle(): void {
    this.#settled = true;
    this.limit[Symbol.dispose]();
  }
}

function streamCall(
  path: string,
  method: Method<any, any>,
  options: Context,
  call: CallOptions = {},
): ClientStream<unknown, unknown> {
  const abort = new AbortController();
  const limit = callLimit(options, call, abort.signal);
  const outgoing = new MessageQueue<Uint8Array>();
  const response = options.http.request({
    method: "POST",
    path,
    headers: headersOf(options, call),
    body: outgoing,
    signal: limit.signal!,
  });
  response.catch(() => {}); // The reader gets it.
  let started = false;
  async function* read(): AsyncGenerator<unknown> {
    try {
      for await (const message of messagesOf(await response, options))
        yield options.codec.decode(method.output, message);
    } catch (error) {
      throw toRpcError(error, limit.signal);
    } finally {
      limit[Symbol.dispose]();
      outgoing.end();
      abort.abort(canceled()); // Nothing to cut after a proper end; a reader that left early cancels.
    }
  }
  const reader = read();
  return {
    send: (message) => void outgoing.push(framed(options.codec.encode(method.input, message, PREFIX_BYTES))),
    end: () => outgoing.end(),
    cancel() {
      limit[Symbol.dispose]();
      abort.abort(canceled());
      outgoing.end();
    },
    [Symbol.asyncIterator]() {
      if (started) return reader;
      started = true;
      return reader;
    },
  };
}

const canceled = () => new RpcError("Canceled", "context canceled");

const LIMITS_MAX = 64;

function headersOf({ metadata, headers }: Context, call: CallOptions): Headers {
  const { timeoutMs } = call;
  const known = call.metadata === undefined ? headers.get(timeoutMs) : undefined;
  if (known !== undefined) return known;
  const made: Headers = {
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "typernetes",
    ...(timeoutMs !== undefined && { "grpc-timeout": formatGrpcTimeout(timeoutMs) }),
    ...metadata,
    ...call.metadata,
  };
  if (call.metadata === undefined && headers.size < LIMITS_MAX) headers.set(timeoutMs, Object.freeze(made));
  return made;
}

type CallLimit = { readonly signal: AbortSignal | undefined } & Disposable;

const NO_LIMIT: CallLimit = Object.freeze({ signal: undefined, [Symbol.dispose]() {} });

function callLimit({ deadlines }: Context, { signal, timeoutMs }: CallOptions, cancel?: AbortSignal): CallLimit {
  const parent = signal === undefined || cancel === undefined ? (signal ?? cancel) : AbortSignal.any([signal, cancel]);
  if (timeoutMs !== undefined) return new TimeLimit(deadlines, timeoutMs, parent);
  return parent === undefined ? NO_LIMIT : { signal: parent, [Symbol.dispose]() {} };
}

/** Aborts when the time is over, or the parent does. */
class TimeLimit implements CallLimit, Expiring {
  readonly #deadlines: Deadlines;
  readonly #deadline: Deadline;
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;
  readonly signal = this.#controller.signal;

  constructor(deadlines: Deadlines, timeoutMs: number, parent: AbortSignal | undefined) {
    this.#deadlines = deadlines;
    this.#deadline = deadlines.add(this, timeoutMs);
    this.#parent = parent;
    if (parent === undefined) return;
    this.#onAbort = () => this.#controller.abort(parent.reason);
    if (parent.aborted) this.#onAbort();
    else parent.addEventListener("abort", this.#onAbort, { once: true });
  }

  expire(): void {
    this.#controller.abort(new RpcError("DeadlineExceeded", "context deadline exceeded"));
  }

  [Symbol.dispose](): void {
    this.#deadlines.remove(this, this.#deadline);
    if (this.#onAbort !== undefined) this.#parent!.removeEventListener("abort", this.#onAbort);
  }
}

/** The messages of an answer; throws the status that ends it unless that is OK. */
async function* messagesOf(response: HttpResponse, options: GrpcClientOptions): AsyncGenerator<Uint8Array> {
  if (isWholeAnswer(response)) return;
  const frames = framesOf(response, options);
  for await (const chunk of response.body) {
    frames.push(chunk);
    for (let message = frames.next(); message; message = frames.next()) yield message;
  }
  frames.end();
  checkStatus(await response.trailers);
}

/** Headers with a status are all there is of an answer. Throws unless that is OK, and for what is no gRPC. */
function isWholeAnswer({ headers, status }: HttpResponse): boolean {
  if (headers["grpc-status"] !== undefined) {
    throwStatus(headers);
    return true;
  }
  if (status !== 200) throw ofHttpStatus(status);
  if (!String(headers["content-type"]).startsWith("application/grpc"))
    throw new RpcError(
      "Unknown",
      `unexpected HTTP status code received from server: ${status}; transport: received unexpected content-type "${String(headers["content-type"] ?? "")}"`,
    );
  return false;
}

function framesOf({ headers }: HttpResponse, options: GrpcClientOptions): FrameReader {
  return new FrameReader({
    maxBytes: maxBytesOf(options),
    encoding: headers["grpc-encoding"] as string | undefined,
  });
}

const maxBytesOf = ({ maxResponseBytes }: GrpcClientOptions): number => maxResponseBytes ?? 2 ** 31 - 1;

function checkStatus(trailers: Headers): void {
  if (trailers["grpc-status"] === undefined)
    throw new RpcError("Internal", "server closed the stream without sending trailers");
  throwStatus(trailers);
}

function throwStatus(headers: Headers): void {
  const number = Number(headers["grpc-status"]);
  if (number === 0) return;
  const code = (Object.keys(CODES) as Code[]).find((name) => CODES[name] === number) ?? "Unknown";
  throw new RpcError(code, decodeGrpcMessage(String(headers["grpc-message"] ?? "")));
}

function ofHttpStatus(status: number): RpcError {
  const codes: Readonly<Record<number, Code>> = {
    400: "Internal",
    401: "Unauthenticated",
    403: "PermissionDenied",
    404: "Unimplemented",
    429: "Unavailable",
    502: "Unavailable",
    503: "Unavailable",
    504: "Unavailable",
  };
  return new RpcError(codes[status] ?? "Unknown", `unexpected HTTP status code received from server: ${status}`);
}

function toRpcError(error: unknown, signal: AbortSignal | undefined): RpcError {
  if (error instanceof RpcError) return error;
  if (signal?.aborted) {
    const { reason } = signal;
    if (reason instanceof RpcError) return reason;
    return new RpcError("Canceled", "context canceled", { cause: reason });
  }
  const message = error instanceof Error ? error.message : String(error);
  const reset = (error as { rstCode?: number }).rstCode;
  if (reset === 8)
    return new RpcError("Canceled", "stream terminated by RST_STREAM with error code: CANCEL", { cause: error });
  if (reset === 11) return new RpcError("ResourceExhausted", message, { cause: error });
  return new RpcError("Unavailable", `connection error: desc = "transport: ${message}"`, { cause: error });
}
