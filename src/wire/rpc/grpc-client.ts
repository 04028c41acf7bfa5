/** Calls RPC services over HTTP/2 as gRPC does. */
import { deadline } from "../../world/time.ts";
import type { Headers, HttpClient, HttpResponse } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import type { Codec } from "./codec.ts";
import { decodeGrpcMessage, formatGrpcTimeout, FrameReader, framed, PREFIX_BYTES } from "./frames.ts";
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

export function grpcClient<S extends Service>(service: S, options: GrpcClientOptions): Client<S> {
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

async function unaryCall(
  path: string,
  method: Method<any, any>,
  options: GrpcClientOptions,
  request: Init<any>,
  call: CallOptions = {},
): Promise<unknown> {
  using limit = callSignal(options.clock, call);
  try {
    const body = framed(options.codec.encodeTransient(method.input, request, PREFIX_BYTES));
    const response = await options.http.request({
      method: "POST",
      path,
      headers: headersOf(options, call),
      body,
      ...(limit.signal && { signal: limit.signal }),
    });
    let answer: Uint8Array | undefined;
    for await (const message of messagesOf(response, options)) {
      if (answer) throw new RpcError("Internal", "cardinality violation: received multiple messages for unary call");
      answer = message;
    }
    if (!answer) throw new RpcError("Internal", "cardinality violation: received no response message for unary call");
    return options.codec.decode(method.output, answer);
  } catch (error) {
    throw toRpcError(error, limit.signal);
  }
}

function streamCall(
  path: string,
  method: Method<any, any>,
  options: GrpcClientOptions,
  call: CallOptions = {},
): ClientStream<unknown, unknown> {
  const abort = new AbortController();
  const limit = callSignal(options.clock, call, abort.signal);
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

function headersOf({ metadata }: GrpcClientOptions, call: CallOptions): Headers {
  return {
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "typernetes",
    ...(call.timeoutMs !== undefined && { "grpc-timeout": formatGrpcTimeout(call.timeoutMs) }),
    ...metadata,
    ...call.metadata,
  };
}

function callSignal(
  clock: Clock,
  { signal, timeoutMs }: CallOptions,
  cancel?: AbortSignal,
): { readonly signal: AbortSignal | undefined } & Disposable {
  const parents = [signal, cancel].filter((one) => one !== undefined);
  const parent = parents.length > 1 ? AbortSignal.any(parents) : parents[0];
  if (timeoutMs === undefined) return { signal: parent, [Symbol.dispose]() {} };
  return deadline(clock, timeoutMs, parent, new RpcError("DeadlineExceeded", "context deadline exceeded"));
}

/** The messages of an answer; throws the status that ends it unless that is OK. */
async function* messagesOf(response: HttpResponse, options: GrpcClientOptions): AsyncGenerator<Uint8Array> {
  const { headers, status } = response;
  if (headers["grpc-status"] !== undefined) return throwStatus(headers); // Trailers only.
  if (status !== 200) throw ofHttpStatus(status);
  if (!String(headers["content-type"]).startsWith("application/grpc"))
    throw new RpcError(
      "Unknown",
      `unexpected HTTP status code received from server: ${status}; transport: received unexpected content-type "${String(headers["content-type"] ?? "")}"`,
    );
  const frames = new FrameReader({
    maxBytes: options.maxResponseBytes ?? 2 ** 31 - 1,
    encoding: headers["grpc-encoding"] as string | undefined,
  });
  for await (const chunk of response.body) {
    frames.push(chunk);
    for (let message = frames.next(); message; message = frames.next()) yield message;
  }
  frames.end();
  const trailers = await response.trailers;
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
