/**
 * The state machine of the log: applies committed requests and returns their responses. The same entries in the same order give the same state, so
 * nothing in here reads a clock or draws a random number.
 * Upstream: server/etcdserver/apply/apply.go, txn/txn.go
 */
import { etcdError } from "../../protocols/etcd/errors.ts";
import type {
  AlarmResponse,
  AuthenticateResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserGetResponse,
  AuthUserListResponse,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  InternalRaftRequest,
  LeaseGrantResponse,
  LeaseRevokeResponse,
  PutRequest,
  PutResponse,
  ResponseHeader,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { KeyValue } from "../backend/backend.ts";
import type { Lessor } from "../lease/lessor.ts";
import type { CompactionWork } from "../mvcc/compaction-queue.ts";
import { keyBytes } from "../mvcc/key-text.ts";
import type { Change, Store } from "../mvcc/store.ts";
import type { Alarms } from "./alarms.ts";
import { compareHolds } from "./compare.ts";
import { applyRange } from "./range.ts";

export type Applied =
  | PutResponse
  | DeleteRangeResponse
  | TxnResponse
  | CompactionResponse
  | LeaseGrantResponse
  | LeaseRevokeResponse
  | AlarmResponse
  | AuthStatusResponse
  | AuthenticateResponse
  | AuthUserGetResponse
  | AuthUserListResponse
  | AuthRoleGetResponse
  | AuthRoleListResponse
  | undefined;

export interface ApplierDeps {
  readonly store: Store;
  readonly lessor: Lessor;
  readonly alarms: Alarms;
  /** The header that goes with the state as it is now. */
  readonly header: () => ResponseHeader;
  /** Told what each transaction changed. */
  readonly onChanges: (changes: readonly Change[]) => void;
  /** Told the work that a compaction leaves to do, and where the one before went. */
  readonly onCompaction: (work: CompactionWork, before: number) => void;
}

const EMPTY = new Uint8Array(0);
const NO_HEADER: ResponseHeader = { cluster_id: 0n, member_id: 0n, revision: 0, raft_term: 0 };
const NO_KVS: DeleteRangeResponse["prev_kvs"] = [];

/** The selected branch of a transaction and of those inside it, told from the state before any of it runs. */
interface Path {
  readonly succeeded: boolean;
  /** By the number of the operation. */
  readonly inner: ReadonlyMap<number, Path> | undefined;
}

export class Applier {
  readonly #deps: ApplierDeps;
  readonly #store: Store;
  readonly #lessor: Lessor;
  /** How many versions of the keys it writes the present request wants to keep; 0 for all. */
  #keep = 0;

  constructor(deps: ApplierDeps) {
    this.#deps = deps;
    this.#store = deps.store;
    this.#lessor = deps.lessor;
  }

  /** Applies one committed request. What it throws as an `RpcError` is the request's answer. */
  apply(request: Init<InternalRaftRequest>): Applied {
    this.#keep = request.t8s_keep_versions ?? 0;
    if (request.txn !== undefined) return this.txn(request.txn);
    if (request.put !== undefined) return this.#put(request.put);
    if (request.delete_range !== undefined) return this.#deleteRange(request.delete_range);
    if (request.compaction !== undefined) {
      const { revision = 0 } = request.compaction;
      const before = this.#store.compactRevision;
      this.#deps.onCompaction(this.#store.compact(revision), before);
      return { header: this.#deps.header() };
    }
    if (request.lease_grant !== undefined) {
      const { ID = 0n, TTL = 0 } = request.lease_grant;
      const lease = this.#lessor.grant(ID, TTL);
      return { header: this.#deps.header(), ID, TTL: lease.ttl, error: "" };
    }
    if (request.lease_checkpoint !== undefined) {
      for (const { ID = 0n, remaining_TTL = 0 } of request.lease_checkpoint.checkpoints ?? [])
        this.#lessor.checkpoint(ID, remaining_TTL);
      return { header: this.#deps.header() };
    }
    if (request.lease_revoke !== undefined) return this.#revoke(request.lease_revoke.ID ?? 0n);
    if (request.alarm !== undefined) {
      const header = this.#deps.header();
      return { header, alarms: this.#deps.alarms.apply(request.alarm) };
    }
    return undefined;
  }

  #put(request: Init<PutRequest>): PutResponse {
    this.#checkLease(request);
    this.#checkIgnores(request);
    return this.#write(() => this.#putOp(request));
  }

  #deleteRange(request: Init<DeleteRangeRequest>): DeleteRangeResponse {
    return this.#write(() => this.#deleteRangeOp(request));
  }

  /** Also for transactions that only read, which come here without the log. */
  txn(request: Init<TxnRequest>): TxnResponse {
    const path = this.#pathOf(request);
    this.#checkPath(request, path);
    return this.#write(() => this.#txnOp(request, path));
  }

  #write<R extends { readonly header?: ResponseHeader | undefined }>(run: () => R): R {
    this.#store.begin();
    let response: R;
    let changes: readonly Change[];
    try {
      response = run();
    } finally {
      // What failed in the middle would stay half done: everything is checked before, and a bug in here stops the member.
      changes = this.#store.end();
    }
    (response as { header?: ResponseHeader }).header = this.#deps.header();
    if (changes.length === 0) return response;
    this.#deps.onChanges(changes);
    if (this.#keep > 0) for (const { kv } of changes) if (kv.version > 0) this.#store.keepVersions(kv.key, this.#keep);
    return response;
  }

  #putOp(request: Init<PutRequest>): PutResponse {
    const key = request.key!;
    let value = request.value ?? EMPTY;
    let lease = request.lease ?? 0n;
    let previous: KeyValue | undefined;
    if (request.ignore_value || request.ignore_lease || request.prev_kv) {
      previous = this.#store.get(key);
      if (request.ignore_value) value = previous!.value;
      if (request.ignore_lease) lease = previous!.lease;
    }
    this.#store.put(key, value, lease);
    return { header: undefined, prev_kv: request.prev_kv ? previous : undefined };
  }

  #deleteRangeOp(request: Init<DeleteRangeRequest>): DeleteRangeResponse {
    const deleted = this.#store.deleteRange(request.key!, request.range_end);
    return { header: undefined, deleted: deleted.length, prev_kvs: request.prev_kv ? deleted : NO_KVS };
  }

  #txnOp(request: Init<TxnRequest>, path: Path): TxnResponse {
    const ops = (path.succeeded ? request.success : request.failure) ?? [];
    const responses: ResponseOp[] = [];
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      // Inner headers tell nothing but the revision, and those of transactions not even that, as upstream's.
      if (op.request_put !== undefined) {
        const response = this.#putOp(op.request_put);
        responses.push({ response_put: { ...response, header: this.#innerHeader() } });
      } else if (op.request_range !== undefined) {
        responses.push({ response_range: applyRange(this.#store, op.request_range, this.#innerHeader()) });
      } else if (op.request_delete_range !== undefined) {
        const response = this.#deleteRangeOp(op.request_delete_range);
        responses.push({ response_delete_range: { ...response, header: this.#innerHeader() } });
      } else if (op.request_txn !== undefined) {
        const response = this.#txnOp(op.request_txn, path.inner!.get(i)!);
        responses.push({ response_txn: { ...response, header: NO_HEADER } });
      } else responses.push({}); // No client gets it into the log.
    }
    return { header: undefined, succeeded: path.succeeded, responses };
  }

  #innerHeader(): ResponseHeader {
    return { cluster_id: 0n, member_id: 0n, revision: this.#store.revisionNow, raft_term: 0 };
  }

  #pathOf(request: Init<TxnRequest>): Path {
    const succeeded = (request.compare ?? []).every((compare) => compareHolds(this.#store, compare));
    const ops = (succeeded ? request.success : request.failure) ?? [];
    let inner: Map<number, Path> | undefined;
    for (let i = 0; i < ops.length; i++) {
      const nested = ops[i]!.request_txn;
      if (nested !== undefined) (inner ??= new Map()).set(i, this.#pathOf(nested));
    }
    return { succeeded, inner };
  }

  /** Everything that could fail, before anything is done. */
  #checkPath(request: Init<TxnRequest>, path: Path): void {
    const ops = (path.succeeded ? request.success : request.failure) ?? [];
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      if (op.request_put !== undefined) {
        this.#checkLease(op.request_put);
        this.#checkIgnores(op.request_put);
      } else if (op.request_range !== undefined) {
        const { revision = 0 } = op.request_range;
        // Alone, a read of a negative revision is one of the present.
        if (revision < 0 && this.#store.compactRevision > 0) throw etcdError("compacted");
        this.#store.checkReadable(revision);
      } else if (op.request_txn !== undefined) this.#checkPath(op.request_txn, path.inner!.get(i)!);
    }
  }

  #checkIgnores(request: Init<PutRequest>): void {
    if ((request.ignore_value || request.ignore_lease) && this.#store.get(request.key!) === undefined)
      throw etcdError("keyNotFound");
  }

  #checkLease(request: Init<PutRequest>): void {
    if (request.lease && this.#lessor.get(request.lease) === undefined) throw etcdError("leaseNotFound");
  }

  /** The keys go with the lease, in one revision and in order. */
  #revoke(id: bigint): LeaseRevokeResponse {
    const lease = this.#lessor.revoke(id);
    return this.#write(() => {
      for (const key of [...lease.keys].sort()) this.#store.deleteRange(keyBytes(key), undefined);
      return { header: undefined };
    });
  }
}
