/**
 * The recipe behind locks and elections: whoever holds the oldest key under a prefix holds the lock, keys are attached to their holder's lease, and
 * each waits only for the next older key. The keys are `prefix/lease-in-hexadecimal`, as clients that run the recipe themselves lay them out, so
 * that both kinds share one queue.
 *
 * Upstream: client/v3/concurrency/key.go, session.go
 */
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  RangeRequest,
  RangeResponse,
  ResponseHeader,
  TxnRequest,
  TxnResponse,
  WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from "../../protocols/etcd/generated.ts";
import { MessageQueue } from "../../wire/rpc/message-queue.ts";
import { RpcError, withSignal, type Call, type Init, type ServerStream } from "../../wire/rpc/service.ts";

type Answer<T> = Promise<T> | T;

/** What the recipe runs on: the same services that clients call, with the caller's own rights. */
export interface Ground {
  readonly kv: {
    Range(request: Init<RangeRequest>, call: Call): Answer<RangeResponse>;
    Txn(request: Init<TxnRequest>, call: Call): Answer<TxnResponse>;
    DeleteRange(request: Init<DeleteRangeRequest>, call: Call): Answer<DeleteRangeResponse>;
  };
  readonly lease: { LeaseGrant(request: Init<LeaseGrantRequest>, call: Call): Answer<LeaseGrantResponse> };
  readonly watch: { Watch(stream: ServerStream<Init<WatchRequest>, WatchResponse>, call: Call): Promise<void> };
}

/** Seconds that a session lives when its client brings no lease. Nobody renews it here: that is the client's. */
const SESSION_TTL = 60;

export async function sessionLease(ground: Ground, lease: bigint, call: Call): Promise<bigint> {
  if (lease !== 0n) return lease;
  return (await ground.lease.LeaseGrant({ ID: 0n, TTL: SESSION_TTL }, call)).ID;
}

/** Where a session stands in the queue: its key, and the revision that made it. */
export interface Place {
  readonly key: Uint8Array;
  readonly revision: number;
  readonly header: ResponseHeader;
  /** What the key held before, where it was there already. */
  readonly before: Uint8Array | undefined;
}

/** Takes a place, or finds the one that this session has. */
export async function takePlace(
  ground: Ground,
  prefix: Uint8Array,
  lease: bigint,
  value: Uint8Array,
  call: Call,
): Promise<Place> {
  const key = Buffer.concat([prefix, Buffer.from(lease.toString(16))]);
  const answer = await ground.kv.Txn(
    {
      compare: [{ key, target: "CREATE", result: "EQUAL", create_revision: 0 }],
      success: [{ request_put: { key, value, lease } }],
      failure: [{ request_range: { key } }],
    },
    call,
  );
  const header = answer.header!;
  if (answer.succeeded) return { key, revision: header.revision, header, before: undefined };
  const kv = answer.responses[0]!.response_range!.kvs[0]!;
  return { key, revision: kv.create_revision, header, before: kv.value };
}

/** Resolves when nobody stands before `revision` any more. */
export async function waitForTurn(ground: Ground, prefix: Uint8Array, revision: number, call: Call): Promise<void> {
  for (;;) {
    const { kvs, header } = await ground.kv.Range(
      {
        key: prefix,
        range_end: prefixEnd(prefix),
        limit: 1,
        sort_order: "DESCEND",
        sort_target: "CREATE",
        max_create_revision: revision - 1,
      },
      call,
    );
    const ahead = kvs[0];
    if (ahead === undefined) return;
    for await (const { events } of watch(ground, { key: ahead.key, start_revision: header!.revision }, call))
      if (events.some(({ type }) => type === "DELETE")) break;
  }
}

/** The oldest key under a prefix. */
export function oldest(ground: Ground, prefix: Uint8Array, call: Call): Answer<RangeResponse> {
  return ground.kv.Range(
    { key: prefix, range_end: prefixEnd(prefix), limit: 1, sort_order: "ASCEND", sort_target: "CREATE" },
    call,
  );
}

/** One watcher's answers. Leaving the loop ends the watch; what ends the watch, or the call, ends the loop with its error. */
export async function* watch(
  ground: Ground,
  create: Init<WatchCreateRequest>,
  call: Call,
): AsyncGenerator<WatchResponse> {
  const requests = new MessageQueue<Init<WatchRequest>>();
  const answers = new MessageQueue<WatchResponse>();
  const stop = () => answers.end(canceled(call.signal));
  call.signal.addEventListener("abort", stop, { once: true });
  if (call.signal.aborted) stop();
  requests.push({ create_request: create });
  ground.watch
    .Watch(
      {
        send: (response) => answers.push(response as WatchResponse),
        get drained() {
          return answers.drained;
        },
        [Symbol.asyncIterator]: () => requests,
      },
      call,
    )
    .then(
      () => answers.end(),
      (error: unknown) => answers.end(error),
    );
  try {
    for await (const answer of answers) {
      if (answer.canceled) {
        if (answer.compact_revision > 0)
          throw new RpcError("Unknown", "etcdserver: mvcc: required revision has been compacted");
        throw new RpcError("Unknown", answer.cancel_reason || "lost watcher waiting for delete");
      }
      if (answer.events.length > 0) yield answer;
    }
    throw new RpcError("Unknown", "lost watcher waiting for delete");
  } finally {
    call.signal.removeEventListener("abort", stop);
    requests.end(new RpcError("Canceled", "context canceled"));
  }
}

/** The end of the range of keys that begin with these bytes. */
function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if (prefix[i]! === 0xff) continue;
    const end = Uint8Array.prototype.slice.call(prefix, 0, i + 1);
    end[i]!++;
    return end;
  }
  return new Uint8Array(1);
}

function canceled(signal: AbortSignal): RpcError {
  const { reason } = signal;
  return reason instanceof RpcError ? reason : new RpcError("Canceled", "context canceled", { cause: reason });
}

/** A call that outlives its caller, for what must be cleaned up behind one who left. */
export function detached(call: Call): Call {
  return withSignal(call, new AbortController().signal);
}

/** Errors of the services below come through a client there, and lose their code on the way. */
export async function asClient<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RpcError && error.message.startsWith("etcdserver: "))
      throw new RpcError("Unknown", error.message, { cause: error });
    throw error;
  }
}
