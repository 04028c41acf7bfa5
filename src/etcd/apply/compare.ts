/** Evaluates the comparisons of a transaction. Upstream: server/etcdserver/txn/txn.go */
import type { Compare } from "../../protocols/etcd/generated.ts";
import { unreachable } from "../../base/assert.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { KeyValue } from "../backend/backend.ts";
import type { Store } from "../mvcc/store.ts";

const EMPTY = new Uint8Array(0);
/** What a missing key compares as, but for its value, which equals nothing. */
const MISSING: KeyValue = { key: EMPTY, create_revision: 0, mod_revision: 0, version: 0, value: EMPTY, lease: 0n };

/** For a range, it must hold for every key there is. */
export function compareHolds(store: Store, compare: Init<Compare>): boolean {
  if (!compare.range_end?.length) {
    const kv = store.get(compare.key!);
    return kv === undefined ? compare.target !== "VALUE" && holds(compare, MISSING) : holds(compare, kv);
  }
  const { kvs } = store.range(compare.key!, compare.range_end, { limit: 0, revision: 0, countOnly: false });
  if (kvs.length === 0) return compare.target !== "VALUE" && holds(compare, MISSING);
  return kvs.every((kv) => holds(compare, kv));
}

function holds(compare: Init<Compare>, kv: KeyValue): boolean {
  const order = orderOf(compare, kv);
  switch (compare.result ?? "EQUAL") {
    case "EQUAL":
      return order === 0;
    case "NOT_EQUAL":
      return order !== 0;
    case "GREATER":
      return order > 0;
    case "LESS":
      return order < 0;
    default:
      return true;
  }
}

function orderOf(compare: Init<Compare>, kv: KeyValue): number {
  switch (compare.target ?? "VERSION") {
    case "VERSION":
      return kv.version - (compare.version ?? 0);
    case "CREATE":
      return kv.create_revision - (compare.create_revision ?? 0);
    case "MOD":
      return kv.mod_revision - (compare.mod_revision ?? 0);
    case "VALUE":
      return Buffer.compare(kv.value, compare.value ?? EMPTY);
    case "LEASE": {
      const wanted = compare.lease ?? 0n;
      return kv.lease < wanted ? -1 : kv.lease > wanted ? 1 : 0;
    }
    default:
      return unreachable(compare.target as never);
  }
}
