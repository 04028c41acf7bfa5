/**
 * RPC services, declared once. The gRPC server and client, the JSON gateway and the in-process call are derived from the declaration, and it types
 * implementations and callers.
 */

import type { Peer } from "../../world/net.ts";

/** One field of a protobuf message, in the order of upstream's table. */
export interface MessageField {
  /** As in the .proto file; on the objects we handle too (etcd and CRI keep snake_case). */
  readonly name: string;
  readonly number: number;
  /** A protobuf scalar, or the full name of a message or an enum. */
  readonly type: string;
  readonly repeated?: boolean;
  /** Proto3 `optional`: absent differs from zero. */
  readonly optional?: boolean;
  /** A 64-bit number that is a `bigint` here: identifiers and nanosecond timestamps. The others are safe integers. */
  readonly big?: boolean;
  readonly map?: { readonly key: string; readonly value: string };
  readonly oneof?: string;
}

/** A message by its full name. `T` is only for the compiler. */
export interface MessageType<T> {
  readonly name: string;
  readonly fields: readonly MessageField[];
  readonly __type?: T;
}

/**
 * A message as its maker may write it: what is left out has its zero value. Handlers and callers receive whole messages: every scalar, list
 * and map is there, and only messages and members of a oneof may be undefined.
 */
export type Init<T> = T extends Uint8Array | bigint | string | number | boolean | undefined
  ? T
  : T extends readonly (infer E)[]
    ? readonly Init<E>[]
    : { readonly [K in keyof T]?: Init<T[K]> | undefined };

export type MethodKind = "unary" | "server-stream" | "client-stream" | "bidi";

export interface Method<I, O, K extends MethodKind = MethodKind> {
  readonly kind: K;
  readonly input: MessageType<I>;
  readonly output: MessageType<O>;
  /** The JSON gateway's path, for POST. */
  readonly post?: string;
}

export interface Service<
  M extends Readonly<Record<string, Method<any, any>>> = Readonly<Record<string, Method<any, any>>>,
> {
  /** `etcdserverpb.KV`: the first part of `/etcdserverpb.KV/Range`. */
  readonly name: string;
  readonly methods: M;
}

export function unary<I, O>(
  input: MessageType<I>,
  output: MessageType<O>,
  http?: { readonly post: string },
): Method<I, O, "unary"> {
  return { kind: "unary", input, output, ...http };
}
export function serverStream<I, O>(
  input: MessageType<I>,
  output: MessageType<O>,
  http?: { readonly post: string },
): Method<I, O, "server-stream"> {
  return { kind: "server-stream", input, output, ...http };
}
export function bidi<I, O>(
  input: MessageType<I>,
  output: MessageType<O>,
  http?: { readonly post: string },
): Method<I, O, "bidi"> {
  return { kind: "bidi", input, output, ...http };
}
export function defineService<const M extends Readonly<Record<string, Method<any, any>>>>(
  name: string,
  methods: M,
): Service<M> {
  return { name, methods };
}

/** What a handler knows of its call. */
export interface Call {
  readonly metadata: Readonly<Record<string, string | undefined>>;
  /** Aborts when the caller cancels, its deadline passes, or the server stops. */
  readonly signal: AbortSignal;
  readonly peer: string;
  /** The caller, as its connection identifies it. */
  readonly certificate?: Peer["certificate"];
}

/** The same call with another end. A call may be no plain object, and what is spread of it would lack its maker. */
export function withSignal({ metadata, peer, certificate }: Call, signal: AbortSignal): Call {
  return { metadata, peer, certificate, signal };
}

/** The server's half of a stream: reads requests by iterating, writes answers with `send`. */
export interface ServerStream<I, O> extends AsyncIterable<I> {
  /** False says that the reader is slow: await `drained` before more, or count it against the stream. */
  send(message: Init<O>): boolean;
  readonly drained: Promise<void>;
}

type Handler<M> =
  M extends Method<infer I, infer O, infer K>
    ? K extends "unary"
      ? (request: I, call: Call) => Promise<Init<O>> | Init<O>
      : K extends "server-stream"
        ? (request: I, stream: ServerStream<never, O>, call: Call) => Promise<void>
        : (stream: ServerStream<I, O>, call: Call) => Promise<void>
    : never;
export type Implementation<S extends Service> = { readonly [K in keyof S["methods"]]: Handler<S["methods"][K]> };

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The client's half of a stream. Iterating ends with the server's OK and throws its `RpcError`. */
export interface ClientStream<I, O> extends AsyncIterable<O> {
  send(message: Init<I>): void;
  /** No more requests. */
  end(): void;
  cancel(): void;
}

type Caller<M> =
  M extends Method<infer I, infer O, infer K>
    ? K extends "unary"
      ? (request: Init<I>, options?: CallOptions) => Promise<O>
      : K extends "server-stream"
        ? (request: Init<I>, options?: CallOptions) => AsyncIterable<O>
        : (options?: CallOptions) => ClientStream<I, O>
    : never;
export type Client<S extends Service> = { readonly [K in keyof S["methods"]]: Caller<S["methods"][K]> };

/** gRPC status codes. */
export const CODES = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;
export type Code = keyof typeof CODES;

/** A failure that the other side may see. The message is part of the contract: clients match on it. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: Code;
  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
