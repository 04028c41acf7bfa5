/** Answers a range request from the store. Upstream: server/etcdserver/txn/range.go */
import type {
  RangeRequest,
  RangeRequestSortTarget,
  RangeResponse,
  ResponseHeader,
} from "../../protocols/etcd/generated.ts";
import { unreachable } from "../../base/assert.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { KeyValue } from "../backend/backend.ts";
import type { Store } from "../mvcc/store.ts";

const EMPTY = new Uint8Array(0);

export function applyRange(
  store: Store,
  request: Init<RangeRequest>,
  header: ResponseHeader | undefined,
): RangeResponse {
  store.countRange();
  const filtered = isFiltered(request);
  const wanted = request.limit ?? 0;
  const order = request.sort_order ?? "NONE";
  // Sorting and filtering come before the limit, so they need all there is; else one more than the limit tells that there is more.
  const limit = order !== "NONE" || filtered || wanted <= 0 ? 0 : wanted + 1;
  const result = store.range(request.key!, request.range_end, {
    limit,
    revision: request.revision ?? 0,
    countOnly: request.count_only ?? false,
  });
  let { kvs } = result;
  if (filtered) kvs = kvs.filter((kv) => passes(request, kv));
  sortKvs(request, kvs);
  let more = false;
  if (wanted > 0 && kvs.length > wanted) {
    kvs.length = wanted;
    more = true;
  }
  if (request.keys_only) kvs = withoutValues(request, kvs);
  return { header, kvs, more, count: result.count };
}

/** Upstream answers from its index, which knows no leases, where no value is needed for the order. */
export function withoutValues({ sort_target }: Init<RangeRequest>, kvs: readonly KeyValue[]): KeyValue[] {
  return kvs.map((kv) => {
    const { key, create_revision, mod_revision, version } = kv;
    return {
      key,
      create_revision,
      mod_revision,
      version,
      value: EMPTY,
      lease: sort_target === "VALUE" ? kv.lease : 0n,
    };
  });
}

export type Order = (a: KeyValue, b: KeyValue) => number;

/** Undefined for the order of keys, in which they come. */
export function orderOf({ sort_order, sort_target = "KEY" }: Init<RangeRequest>): Order | undefined {
  if (sort_target === "KEY" && sort_order !== "DESCEND") return undefined;
  const direction = sort_order === "DESCEND" ? -1 : 1;
  return (a, b) => direction * compareBy(sort_target, a, b);
}

export function sortKvs(request: Init<RangeRequest>, kvs: KeyValue[]): void {
  const order = kvs.length < 2 ? undefined : orderOf(request);
  if (order !== undefined) kvs.sort(order);
}

export function isFiltered(request: Init<RangeRequest>): boolean {
  return (
    !!request.min_mod_revision ||
    !!request.max_mod_revision ||
    !!request.min_create_revision ||
    !!request.max_create_revision
  );
}

export function passes(request: Init<RangeRequest>, kv: KeyValue): boolean {
  return (
    (!request.min_mod_revision || kv.mod_revision >= request.min_mod_revision) &&
    (!request.max_mod_revision || kv.mod_revision <= request.max_mod_revision) &&
    (!request.min_create_revision || kv.create_revision >= request.min_create_revision) &&
    (!request.max_create_revision || kv.create_revision <= request.max_create_revision)
  );
}

function compareBy(target: RangeRequestSortTarget, a: KeyValue, b: KeyValue): number {
  switch (target) {
    case "KEY":
      return Buffer.compare(a.key, b.key);
    case "VERSION":
      return a.version - b.version;
    case "CREATE":
      return a.create_revision - b.create_revision;
    case "MOD":
      return a.mod_revision - b.mod_revision;
    case "VALUE":
      return Buffer.compare(a.value, b.value);
    default:
      return unreachable(target);
  }
}
