/** Which permissions a request needs, in upstream's order: the first that is missing decides the error. Upstream: server/etcdserver/apply/auth.go */
import type { DeleteRangeRequest, PutRequest, RequestOp, TxnRequest } from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { Lease, Lessor } from "../lease/lessor.ts";
import { keyText } from "../mvcc/key-text.ts";
import type { AuthInfo, AuthStore } from "./store.ts";

export interface Checker {
  readonly auth: AuthStore;
  readonly lessor: Pick<Lessor, "get">;
}

export function checkPutAllowed({ auth, lessor }: Checker, info: AuthInfo, request: Init<PutRequest>): void {
  const key = keyText(request.key!);
  auth.checkWrite(info, key, "");
  // Else the lease's end would delete a key that the user may not write.
  if (request.lease) checkLeaseWritable({ auth, lessor }, info, request.lease);
  if (request.prev_kv) auth.checkRead(info, key, "");
}

export function checkRangeAllowed(
  { auth }: Pick<Checker, "auth">,
  info: AuthInfo,
  { key, range_end }: { readonly key?: Uint8Array | undefined; readonly range_end?: Uint8Array | undefined },
): void {
  auth.checkRead(info, text(key), text(range_end));
}

export function checkDeleteAllowed({ auth }: Checker, info: AuthInfo, request: Init<DeleteRangeRequest>): void {
  auth.checkWrite(info, text(request.key), text(request.range_end));
  if (request.prev_kv) checkRangeAllowed({ auth }, info, request);
}

/** Both branches, taken or not: an answer must not tell what a comparison found to who may not see it. */
export function checkTxnAllowed(checker: Checker, info: AuthInfo, request: Init<TxnRequest>): void {
  for (const compare of request.compare ?? []) checkRangeAllowed(checker, info, compare);
  for (const op of request.success ?? []) checkOpAllowed(checker, info, op);
  for (const op of request.failure ?? []) checkOpAllowed(checker, info, op);
}

function checkOpAllowed(checker: Checker, info: AuthInfo, op: Init<RequestOp>): void {
  const { request_range: range, request_put: put, request_delete_range: deleted, request_txn: txn } = op;
  if (range !== undefined) checkRangeAllowed(checker, info, range);
  else if (put !== undefined) checkPutAllowed(checker, info, put);
  else if (deleted !== undefined) {
    // The other way round than for a lone request.
    if (deleted.prev_kv) checkRangeAllowed(checker, info, deleted);
    checker.auth.checkWrite(info, text(deleted.key), text(deleted.range_end));
  } else if (txn !== undefined) checkTxnAllowed(checker, info, txn);
}

/** Who ends a lease, or hangs a key on it, has to be allowed to write all that hangs on it. */
export function checkLeaseWritable({ auth, lessor }: Checker, info: AuthInfo, id: bigint): void {
  const lease = lessor.get(id);
  if (lease === undefined || auth.isAdmin(info)) return;
  for (const key of lease.keys) auth.checkWrite(info, key, "");
}

export function checkLeaseReadable(auth: AuthStore, info: AuthInfo, lease: Lease): void {
  if (auth.isAdmin(info)) return;
  for (const key of lease.keys) auth.checkRead(info, key, "");
}

function text(key: Uint8Array | undefined): string {
  return key === undefined ? "" : keyText(key);
}
