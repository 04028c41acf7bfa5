/** Calls a service in the same process: messages are passed as objects, without encoding. */
import { deadline } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import type { Codec } from "./codec.ts";
import { MessageQueue } from "./message-queue.ts";
import {
  RpcError,
  type Call,
  type CallOptions,
  type Client,
  type ClientStream,
  type Implementation,
  type Init,
  type Method,
  type ServerStream,
  type Service,
} from "./service.ts";

export interface InProcessOptions {
  readonly codec: Codec;
  readonly clock: Clock;
  /** What the service sees as its caller. */
  readonly peer?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export function inProcess<S extends Service>(
  service: S,
  implementation: Implementation<S>,
  options: InProcessOptions,
): Client<S> {
  const handlers = implementation as Readonly<Record<string, ((...args: any[]) => unknown) | undefined>>;
  const client: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(service.methods)) {
    const handler = (...args: unknown[]) => {
      const found = handlers[name];
      if (!found) throw new RpcError("Unimplemented", `unknown method ${name} for service ${service.name}`);
      return found.apply(implementation, args);
    };
    if (method.kind === "unary")
      client[name] = (request: Init<any>, call?: CallOptions) => unaryCall(method, handler, options, request, call);
    else if (method.kind === "server-stream")
      client[name] = (request: Init<any>, call?: CallOptions) => {
        const whole = options.codec.fill(method.input, request);
        return streamCall(method, (stream, context) => handler(whole, stream, context), options, call);
      };
    else
      client[name] = (call?: CallOptions) =>
        streamCall(method, (stream, context) => handler(stream, context), options, call);
  }
  return client as Client<S>;
}

type Handler = (...args: any[]) => unknown;

async function unaryCall(
  method: Method<any, any>,
  handler: Handler,
  options: InProcessOptions,
  request: Init<any>,
  call: CallOptions = {},
): Promise<unknown> {
  const { codec } = options;
  const whole = codec.fill(method.input, request);
  const { signal, timeoutMs } = call;
  if (signal === undefined && timeoutMs === undefined)
    return codec.fill(method.output, (await guarded(handler, whole, contextOf(options, call, undefined))) as Init<any>);
  using limit = limitOf(options, call);
  if (limit.signal.aborted) throw canceled(limit.signal);
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(canceled(limit.signal));
    limit.signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    const work = guarded(handler, whole, contextOf(options, call, limit.signal));
    return codec.fill(method.output, (await Promise.race([work, aborted])) as Init<any>);
  } finally {
    limit.signal.removeEventListener("abort", onAbort);
  }
}

/** The handler's failure as the caller would see it over a wire. */
async function guarded(handler: Handler, request: unknown, context: Call): Promise<unknown> {
  try {
    return await handler(request, context);
  } catch (error) {
    throw toRpcError(error, context.signal);
  }
}

function streamCall(
  method: Method<any, any>,
  run: (stream: ServerStream<unknown, unknown>, context: Call) => unknown,
  options: InProcessOptions,
  call: CallOptions = {},
): ClientStream<unknown, unknown> {
  const { codec } = options;
  const abort = new AbortController();
  const limit = limitOf(options, call, abort.signal);
  const requests = new MessageQueue<unknown>();
  const answers = new MessageQueue<unknown>();
  const stream: ServerStream<unknown, unknown> = {
    send: (message) => answers.push(codec.fill(method.output, message as Init<any>)),
    get drained() {
      return answers.drained;
    },
    [Symbol.asyncIterator]: () => requests,
  };
  const stop = () => {
    const error = canceled(limit.signal);
    requests.end(error);
    answers.end(error);
  };
  if (limit.signal.aborted) stop();
  else {
    limit.signal.addEventListener("abort", stop, { once: true });
    // Not at once: over a wire, too, a call returns before its handler runs.
    void Promise.resolve()
      .then(() => run(stream, contextOf(options, call, limit.signal)))
      .then(
        () => answers.end(),
        (error: unknown) => answers.end(toRpcError(error, limit.signal)),
      )
      .finally(() => {
        requests.end();
        limit.signal.removeEventListener("abort", stop);
        limit[Symbol.dispose]();
      });
  }
  const cancel = () => abort.abort(new RpcError("Canceled", "context canceled"));
  return {
    send: (message) => void requests.push(codec.fill(method.input, message as Init<any>)),
    end: () => requests.end(),
    cancel,
    [Symbol.asyncIterator]: () => ({
      next: () => answers.next(),
      async return() {
        cancel(); // A reader that leaves early.
        return { value: undefined, done: true as const };
      },
    }),
  };
}

function limitOf(
  { clock }: InProcessOptions,
  { signal, timeoutMs }: CallOptions,
  cancel?: AbortSignal,
): { readonly signal: AbortSignal } & Disposable {
  const parents = [signal, cancel].filter((one) => one !== undefined);
  const parent = parents.length > 1 ? AbortSignal.any(parents) : parents[0];
  if (timeoutMs === undefined) return { signal: parent!, [Symbol.dispose]() {} };
  return deadline(clock, timeoutMs, parent, new RpcError("DeadlineExceeded", "context deadline exceeded"));
}

/** Without a signal from the caller one that never aborts is made when it is asked for. */
function contextOf(
  { peer = "in-process", metadata }: InProcessOptions,
  call: CallOptions,
  signal: AbortSignal | undefined,
): Call {
  let made = signal;
  return {
    metadata: { ...metadata, ...call.metadata },
    peer,
    get signal() {
      return (made ??= new AbortController().signal);
    },
  };
}

function canceled(signal: AbortSignal): RpcError {
  const { reason } = signal;
  return reason instanceof RpcError ? reason : new RpcError("Canceled", "context canceled", { cause: reason });
}

function toRpcError(error: unknown, signal: AbortSignal): RpcError {
  if (error instanceof RpcError) return error;
  if (signal.aborted) return canceled(signal);
  return new RpcError("Unknown", error instanceof Error ? error.message : String(error), { cause: error });
}
