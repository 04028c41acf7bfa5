/** While the store is full, only requests that free space are admitted. Upstream: server/etcdserver/apply/capped.go */
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { RequestOp, TxnRequest } from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { Alarms } from "./alarms.ts";
import type { Link, Request } from "./chain.ts";

export function refuseWithoutSpace(alarms: Alarms): Link {
  return (next) => (request) => {
    if (alarms.raised.length > 0 && alarms.has("NOSPACE") && takesSpace(request)) throw etcdError("noSpace");
    return next(request);
  };
}

function takesSpace(request: Request): boolean {
  if (request.put !== undefined || request.lease_grant !== undefined) return true;
  return request.txn !== undefined && mayPut(request.txn);
}

/** On either branch: which one is taken is not told before. */
function mayPut({ success = [], failure = [] }: Init<TxnRequest>): boolean {
  const puts = ({ request_put, request_txn }: Init<RequestOp>) =>
    request_put !== undefined || (request_txn !== undefined && mayPut(request_txn));
  return success.some(puts) || failure.some(puts);
}
