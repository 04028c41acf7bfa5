/**
 * A client of a member in the same process: it calls the services directly. Responses are not copied, so a reader gets what the store holds, and a
 * write is encoded only for the log.
 */
import type { EtcdClient } from "../protocols/etcd/client.ts";
import { KV, Lease, Maintenance, Watch } from "../protocols/etcd/generated.ts";
import { MessageQueue } from "../wire/rpc/message-queue.ts";
import {
  RpcError,
  type Call,
  type CallOptions,
  type Client,
  type ClientStream,
  type ServerStream,
  type Service,
} from "../wire/rpc/service.ts";

export interface Services {
  readonly kv: object;
  readonly watch: object;
  readonly lease: object;
  readonly maintenance: object;
}

/** `services` gives what serves at the moment, or throws while nothing does. */
export function directClient(services: () => Services): EtcdClient {
  return {
    kv: clientOf(KV, () => services().kv),
    watch: clientOf(Watch, () => services().watch),
    lease: clientOf(Lease, () => services().lease),
    maintenance: clientOf(Maintenance, () => services().maintenance),
    async close() {},
  };
}

type Handler = (first: unknown, second?: unknown, third?: unknown) => unknown;

const NEVER = new AbortController().signal;
const NO_METADATA = Object.freeze({});

function clientOf<S extends Service>(service: S, implementation: () => object): Client<S> {
  const client: Record<string, unknown> = {};
  for (const [name, { kind }] of Object.entries(service.methods)) {
    const handler = (): Handler => {
      const found = (implementation() as Record<string, Handler>)[name];
      if (found === undefined)
        throw new RpcError("Unimplemented", `unknown method ${name} for service ${service.name}`);
      return found;
    };
    if (kind === "unary") client[name] = (request: unknown, options?: CallOptions) => unary(handler, request, options);
    else if (kind === "server-stream")
      client[name] = (request: unknown, options?: CallOptions) =>
        open((stream, call) => handler()(request, stream, call), options);
    else client[name] = (options?: CallOptions) => open((stream, call) => handler()(stream, call), options);
  }
  return client as Client<S>;
}

async function unary(handler: () => Handler, request: unknown, options: CallOptions | undefined): Promise<unknown> {
  const signal = options?.signal;
  const call = options?.metadata && { metadata: options.metadata, signal: signal ?? NEVER, peer: "in-process" };
  if (signal === undefined) return handler()(request, call);
  if (signal.aborted) throw canceled(signal);
  const answer = handler()(request, call);
  if (!(answer instanceof Promise)) return answer;
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(canceled(signal));
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function open(
  run: (stream: ServerStream<unknown, unknown>, call: Call) => unknown,
  options: CallOptions = {},
): ClientStream<unknown, unknown> {
  const requests = new MessageQueue<unknown>();
  const answers = new MessageQueue<unknown>();
  const abort = new AbortController();
  const stop = () => {
    if (!abort.signal.aborted) abort.abort(options.signal?.reason);
    requests.end(); // Handlers leave their loop as at a client's end, and look at the signal then.
    answers.end(canceled(abort.signal));
  };
  const stream: ServerStream<unknown, unknown> = {
    send: (message) => answers.push(message),
    get drained() {
      return answers.drained;
    },
    [Symbol.asyncIterator]: () => requests,
  };
  const call: Call = { metadata: options.metadata ?? NO_METADATA, signal: abort.signal, peer: "in-process" };
  if (options.signal?.aborted) stop();
  else {
    options.signal?.addEventListener("abort", stop, { once: true });
    void (async () => run(stream, call))()
      .then(
        () => answers.end(),
        (error: unknown) =>
          answers.end(error instanceof RpcError ? error : new RpcError("Unknown", String(error), { cause: error })),
      )
      .finally(() => {
        requests.end();
        options.signal?.removeEventListener("abort", stop);
      });
  }
  return {
    send: (message) => void requests.push(message),
    end: () => requests.end(),
    cancel: stop,
    [Symbol.asyncIterator]: () => ({
      next: () => answers.next(),
      async return() {
        stop(); // A reader that leaves early.
        return { value: undefined, done: true as const };
      },
    }),
  };
}

function canceled(signal: AbortSignal): RpcError {
  const { reason } = signal;
  return reason instanceof RpcError ? reason : new RpcError("Canceled", "context canceled", { cause: reason });
}
