/** RPC services as JSON over POST, as etcd's gateway serves them. Upstream: grpc-ecosystem/grpc-gateway/runtime. */
import type { Exchange, HttpHandler, HttpRequest } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import type { Codec } from "./codec.ts";
import type { Binding } from "./grpc-server.ts";
import { inProcess } from "./in-process.ts";
import { acceptWebSocket, isWebSocketRequest, requestedProtocols } from "../websocket/websocket.ts";
import { fromJson, JsonError, JsonSplitter, toJson } from "./json.ts";
import {
  CODES,
  RpcError,
  type CallOptions,
  type ClientStream,
  type Code,
  type Implementation,
  type Method,
  type Service,
} from "./service.ts";

export interface GatewayOptions {
  readonly services: readonly Binding[];
  readonly codec: Codec;
  readonly clock: Clock;
  /** Other paths of the same methods: `/v3/kv/lease/revoke` for `/v3/lease/revoke`. */
  readonly aliases?: Readonly<Record<string, string>>;
  readonly maxRequestBytes?: number;
}

interface Route {
  readonly method: Method<any, any>;
  readonly call: (...args: any[]) => any;
}

export function gatewayHandler(options: GatewayOptions): HttpHandler {
  const { codec, clock, aliases = {}, maxRequestBytes = 4 << 20 } = options;
  const { registry } = codec;
  const routes = new Map<string, Route>();
  for (const { service, implementation } of options.services) {
    const client = inProcess(service, implementation as Implementation<Service>, { codec, clock, peer: "gateway" });
    for (const [name, method] of Object.entries(service.methods))
      if (method.post) routes.set(method.post, { method, call: (client as Record<string, Route["call"]>)[name]! });
  }

  async function unary(exchange: Exchange, { method, call }: Route, context: CallOptions): Promise<void> {
    const text = await readText(exchange.request, maxRequestBytes);
    const message = fromJson(registry, method.input, text.trim() === "" ? {} : parseWhole(text));
    const answer: unknown = await call(message, context);
    exchange.respond(200, ANSWER_HEADERS, JSON.stringify(toJson(registry, method.output, answer)));
  }

  async function streaming(exchange: Exchange, { method, call }: Route, context: CallOptions): Promise<void> {
    let stream: ClientStream<unknown, unknown>;
    let sending: Promise<void> = Promise.resolve();
    if (method.kind === "server-stream") {
      const text = await readText(exchange.request, maxRequestBytes);
      stream = call(fromJson(registry, method.input, text.trim() === "" ? {} : parseWhole(text)), context);
    } else {
      stream = call(context);
      sending = sendAll(exchange.request, stream, (json) => fromJson(registry, method.input, json));
      sending.catch(() => stream.cancel());
    }
    // Headers go out with the first answer, so that an error before it can still be the HTTP status.
    let out: ReturnType<Exchange["stream"]> | undefined;
    try {
      for await (const answer of stream) {
        out ??= exchange.stream(200, ANSWER_HEADERS);
        if (!out.write(`${JSON.stringify({ result: toJson(registry, method.output, answer) })}\n`)) await out.drained;
      }
      (out ?? exchange.stream(200, ANSWER_HEADERS)).end();
    } catch (error) {
      const cause = await sending.then(
        () => error,
        (first: unknown) => first,
      );
      if (!out) throw cause;
      out.write(`${JSON.stringify({ error: errorBody(toRpcError(cause)) })}\n`);
      out.end();
    }
  }

  /** A message each way is a text of one JSON value. Whoever can't set headers gives its token as a second subprotocol after `Bearer`. */
  async function webSocket(exchange: Exchange, { method, call }: Route, context: CallOptions): Promise<void> {
    const socket = acceptWebSocket(exchange, ["Bearer"], { maxMessageBytes: maxRequestBytes });
    if (socket === undefined) return;
    const say = (json: unknown) => socket.send(JSON.stringify(json));
    const read = (data: Uint8Array) => fromJson(registry, method.input, parseWhole(Buffer.from(data).toString()));
    try {
      if (method.kind === "bidi" || method.kind === "client-stream") {
        const stream = call(context) as ClientStream<unknown, unknown>;
        const reading = (async () => {
          for await (const { data } of socket) stream.send(read(data) as never);
        })().finally(() => stream.cancel()); // Who closes the socket has left.
        reading.catch(() => {}); // The stream that it fed fails too, and that is answered.
        try {
          for await (const answer of stream) await say({ result: toJson(registry, method.output, answer) });
        } catch (error) {
          await reading;
          throw error;
        }
      } else {
        const messages = socket[Symbol.asyncIterator]();
        const first = await messages.next();
        if (first.done === true) return;
        const stop = new AbortController();
        void socket.closed.then(() => stop.abort(new RpcError("Canceled", "context canceled")));
        const called: unknown = call(read(first.value.data), { ...context, signal: stop.signal });
        const left = messages.next(); // Reads on, so that the other side's close is seen.
        void left.then(
          () => stop.abort(new RpcError("Canceled", "context canceled")),
          () => stop.abort(new RpcError("Canceled", "context canceled")),
        );
        if (method.kind === "unary") await say(toJson(registry, method.output, await called));
        else
          for await (const answer of called as AsyncIterable<unknown>)
            await say({ result: toJson(registry, method.output, answer) });
      }
    } catch (error) {
      const body = errorBody(toRpcError(error));
      await say(method.kind === "unary" ? body : { error: body }).catch(() => {}); // It may be gone.
    } finally {
      socket.close();
    }
  }

  return async (exchange) => {
    const { request } = exchange;
    const path = request.url.replace(/\?.*/, "").replace(/^\/v3beta\//, "/v3/");
    const route = routes.get(aliases[path] ?? path);
    if (!route) return fail(exchange, new RpcError("NotFound", "Not Found"));
    if (isWebSocketRequest(exchange)) {
      const metadata = metadataOf(request);
      const token = bearerOf(request);
      if (token !== undefined) metadata["authorization"] ??= metadata["token"] = token;
      return webSocket(exchange, route, { metadata });
    }
    if (request.method !== "POST") return fail(exchange, new RpcError("Unimplemented", "Method Not Allowed"));
    try {
      const context = { signal: request.signal, metadata: metadataOf(request) };
      await (route.method.kind === "unary" ? unary : streaming)(exchange, route, context);
    } catch (error) {
      fail(exchange, toRpcError(error));
    }
  };
}

const JSON_HEADERS = { "content-type": "application/json" } as const;
const ANSWER_HEADERS = { ...JSON_HEADERS, "grpc-metadata-content-type": "application/grpc" } as const;

function parseWhole(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JsonError(`proto: syntax error: ${(cause as Error).message}`, { cause });
  }
}

async function readText(request: HttpRequest, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.length;
    if (size > maxBytes)
      throw new RpcError("ResourceExhausted", `grpc: received message larger than max (${size} vs. ${maxBytes})`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function sendAll(
  request: HttpRequest,
  stream: ClientStream<unknown, unknown>,
  read: (json: unknown) => unknown,
): Promise<void> {
  const splitter = new JsonSplitter();
  const decoder = new TextDecoder();
  for await (const chunk of request.body)
    for (const json of splitter.push(decoder.decode(chunk, { stream: true }))) stream.send(read(json) as never);
  splitter.end();
  stream.end();
}

/** The gateway's own rule: `Authorization` and what is marked as meant for gRPC. */
function metadataOf({ headers }: HttpRequest): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== "string") continue;
    if (name === "authorization") metadata["authorization"] = metadata["token"] = value;
    else if (name.startsWith("grpc-metadata-")) metadata[name.slice("grpc-metadata-".length)] = value;
  }
  return metadata;
}

/** The token of `Sec-WebSocket-Protocol: Bearer, TOKEN`. */
function bearerOf({ headers }: HttpRequest): string | undefined {
  const [scheme, token] = requestedProtocols(headers);
  return scheme === "Bearer" ? token : undefined;
}

function toRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof JsonError) return new RpcError("InvalidArgument", error.message, { cause: error });
  return new RpcError("Unknown", error instanceof Error ? error.message : String(error), { cause: error });
}

const HTTP_STATUS: Readonly<Record<Code, number>> = {
  OK: 200,
  Canceled: 499,
  Unknown: 500,
  InvalidArgument: 400,
  DeadlineExceeded: 504,
  NotFound: 404,
  AlreadyExists: 409,
  PermissionDenied: 403,
  ResourceExhausted: 429,
  FailedPrecondition: 400,
  Aborted: 409,
  OutOfRange: 400,
  Unimplemented: 501,
  Internal: 500,
  Unavailable: 503,
  DataLoss: 500,
  Unauthenticated: 401,
};

/** `error` is what older gateways had; clients of either read it. */
const errorBody = (error: RpcError) => ({ error: error.message, code: CODES[error.code], message: error.message });

function fail(exchange: Exchange, error: RpcError): void {
  exchange.respond(HTTP_STATUS[error.code], JSON_HEADERS, JSON.stringify(errorBody(error)));
}
