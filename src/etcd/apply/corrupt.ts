/**
 * While a member's data is known to differ from that of the others, keys and leases can be neither read nor changed.
 * Upstream: server/etcdserver/apply/corrupt.go
 */
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { Alarms } from "./alarms.ts";
import type { Link, Request } from "./chain.ts";

export function refuseWhileCorrupt(alarms: Alarms): Link {
  return (next) => (request) => {
    if (alarms.raised.length > 0 && alarms.has("CORRUPT") && touchesData(request)) throw etcdError("corrupt");
    return next(request);
  };
}

function touchesData(request: Request): boolean {
  return (
    request.put !== undefined ||
    request.range !== undefined ||
    request.delete_range !== undefined ||
    request.txn !== undefined ||
    request.compaction !== undefined ||
    request.lease_grant !== undefined ||
    request.lease_revoke !== undefined
  );
}
