/** Logs each unary request that takes too long, or every one at the debug level. Upstream: server/etcdserver/api/v3rpc/interceptor.go */
import type { Logger } from "../observe/log.ts";
import type { EndedCall } from "../wire/rpc/grpc-server.ts";
import type { Clock } from "../world/world.ts";
import type { TxnRequest } from "../protocols/etcd/generated.ts";
import type { Init } from "../wire/rpc/service.ts";
import { isReadOnly } from "./apply/check.ts";
import { describeRequest } from "./apply/describe.ts";
import { duration } from "./duration.ts";

export interface RequestLogDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly warningMs: number;
  /** Every request, and not just slow ones. */
  readonly every: boolean;
  /** Reads that take longer than this are told as slow to apply, as requests that change something are. */
  readonly warningApplyMs: number;
  readonly onSlowRead: () => void;
}

export function requestLog({
  clock,
  log,
  warningMs,
  every,
  warningApplyMs,
  onSlowRead,
}: RequestLogDeps): (call: EndedCall) => void {
  const details = log.v(1);
  return (call) => {
    if (call.tookMs > warningApplyMs && isRead(call)) {
      onSlowRead();
      log.warn("apply request took too long", {
        took: duration(call.tookMs),
        "expected-duration": duration(warningApplyMs),
        prefix: call.path.endsWith("/Range") ? "read-only range " : "read-only txn ",
        request: describeRequest((call.request ?? {}) as object),
        response: `range_response_count:${countsOf(call)[1]} size:${call.responseBytes}`,
      });
    }
    const slow = call.tookMs > warningMs;
    if (!slow && !every) return;
    const [requests, responses] = countsOf(call);
    const fields = {
      "start time": new Date(clock.now() - call.tookMs).toISOString(),
      "time spent": duration(call.tookMs),
      remote: call.peer(),
      "response type": call.path,
      "request count": requests,
      "request size": call.requestBytes,
      "response count": responses,
      "response size": call.responseBytes,
      "request content": describeRequest((call.request ?? {}) as object),
    };
    if (every) details.info("request stats", fields);
    else log.warn("request stats", fields);
  };
}

function isRead({ path, request }: EndedCall): boolean {
  return (
    path === "/etcdserverpb.KV/Range" || (path === "/etcdserverpb.KV/Txn" && isReadOnly(request as Init<TxnRequest>))
  );
}

/** How many keys a request brings and its answer has, where the question makes sense. */
function countsOf({ path, request, response }: EndedCall): readonly [number, number] {
  const asked = (request ?? {}) as { readonly success?: readonly unknown[]; readonly failure?: readonly unknown[] };
  const got = (response ?? {}) as {
    readonly kvs?: readonly unknown[];
    readonly deleted?: number;
    readonly succeeded?: boolean;
    readonly responses?: readonly unknown[];
  };
  switch (path) {
    case "/etcdserverpb.KV/Range":
      return [0, got.kvs?.length ?? 0];
    case "/etcdserverpb.KV/Put":
      return [1, 0];
    case "/etcdserverpb.KV/DeleteRange":
      return [0, got.deleted ?? 0];
    case "/etcdserverpb.KV/Txn":
      return [(got.succeeded === true ? asked.success : asked.failure)?.length ?? 0, got.responses?.length ?? 0];
    default:
      return [-1, -1];
  }
}
