/** Validates a request before it costs anything. Upstream: server/etcdserver/api/v3rpc/key.go */
import { etcdError } from "../../protocols/etcd/errors.ts";
import {
  RangeRequestSortOrderValues,
  RangeRequestSortTargetValues,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { keyText } from "../mvcc/key-text.ts";

export function checkRange(request: Init<RangeRequest>): void {
  if (!request.key?.length) throw etcdError("emptyKey");
  if (request.sort_order !== undefined && !(request.sort_order in RangeRequestSortOrderValues))
    throw etcdError("invalidSortOption");
  if (request.sort_target !== undefined && !(request.sort_target in RangeRequestSortTargetValues))
    throw etcdError("invalidSortOption");
}

export function checkPut(request: Init<PutRequest>): void {
  if (!request.key?.length) throw etcdError("emptyKey");
  if (request.ignore_value && request.value?.length) throw etcdError("valueProvided");
  if (request.ignore_lease && request.lease) throw etcdError("leaseProvided");
}

export function checkDeleteRange(request: Init<DeleteRangeRequest>): void {
  if (!request.key?.length) throw etcdError("emptyKey");
}

export function checkTxn(request: Init<TxnRequest>, maxOps: number): void {
  checkTxnShape(request, maxOps);
  const success = request.success ?? [];
  const failure = request.failure ?? [];
  // One operation can't meet itself: the common case ends here.
  if (success.length > 1 || success[0]?.request_txn !== undefined) checkOverlaps(success);
  if (failure.length > 1 || failure[0]?.request_txn !== undefined) checkOverlaps(failure);
}

function checkTxnShape(request: Init<TxnRequest>, maxOps: number): void {
  const compare = request.compare ?? [];
  const success = request.success ?? [];
  const failure = request.failure ?? [];
  const ops = Math.max(compare.length, success.length, failure.length);
  if (ops > maxOps) throw etcdError("tooManyOps");
  for (const { key } of compare) if (!key?.length) throw etcdError("emptyKey");
  for (const op of success) checkOp(op, maxOps - ops);
  for (const op of failure) checkOp(op, maxOps - ops);
}

function checkOp(op: Init<RequestOp>, maxOps: number): void {
  if (op.request_range !== undefined) checkRange(op.request_range);
  else if (op.request_put !== undefined) checkPut(op.request_put);
  else if (op.request_delete_range !== undefined) checkDeleteRange(op.request_delete_range);
  else if (op.request_txn !== undefined) checkTxnShape(op.request_txn, maxOps);
  else throw etcdError("keyNotFound"); // Upstream's answer, whatever its sense.
}

interface Deleted {
  readonly from: string;
  readonly end: string | undefined;
}

/** What one path writes. The two branches of an inner transaction exclude each other, so a key may be in both. */
function checkOverlaps(ops: readonly Init<RequestOp>[]): { readonly puts: Set<string>; readonly deletes: Deleted[] } {
  const deletes: Deleted[] = [];
  for (const { request_delete_range: request } of ops)
    if (request !== undefined)
      deletes.push({
        from: keyText(request.key!),
        end: request.range_end?.length ? keyText(request.range_end) : undefined,
      });
  const puts = new Set<string>();
  const put = (key: string): void => {
    if (deletes.some(({ from, end }) => (end === undefined ? key === from : from <= key && key < end)))
      throw etcdError("duplicateKey");
    puts.add(key);
  };
  for (const { request_txn: request } of ops) {
    if (request === undefined) continue;
    const success = checkOverlaps(request.success ?? []);
    const failure = checkOverlaps(request.failure ?? []);
    for (const key of success.puts) {
      if (puts.has(key)) throw etcdError("duplicateKey");
      put(key);
    }
    for (const key of failure.puts) {
      if (puts.has(key) && !success.puts.has(key)) throw etcdError("duplicateKey");
      put(key);
    }
    deletes.push(...success.deletes, ...failure.deletes);
  }
  for (const { request_put: request } of ops) {
    if (request === undefined) continue;
    const key = keyText(request.key!);
    if (puts.has(key)) throw etcdError("duplicateKey");
    put(key);
  }
  return { puts, deletes };
}

/** A transaction that can't write needs no entry in the log. An inner transaction counts as a write, as upstream has it. */
export function isReadOnly(request: Init<TxnRequest>): boolean {
  const reads = (ops: readonly Init<RequestOp>[] | undefined) =>
    ops === undefined || ops.every((op) => op.request_range !== undefined);
  return reads(request.success) && reads(request.failure);
}

/** Every read of it is content with what this member has. */
export function isSerializable(request: Init<TxnRequest>): boolean {
  const serializable = (ops: readonly Init<RequestOp>[] | undefined) =>
    ops === undefined || ops.every((op) => op.request_range?.serializable === true);
  return serializable(request.success) && serializable(request.failure);
}
