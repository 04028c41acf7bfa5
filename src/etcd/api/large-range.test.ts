import assert from "node:assert/strict";
import { test } from "node:test";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { RangeResponse } from "../../protocols/etcd/generated.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { EncodedPieces, type Codec } from "../../wire/rpc/codec.ts";
import { Store } from "../mvcc/store.ts";
import { isLarge, largeRange } from "./large-range.ts";

const b = (text: string) => Buffer.from(text);
const ALL = { key: b("k"), range_end: b("l") };
const KEYS = 6000;

function filled(): Store {
  const store = new Store(new MemoryBackend(), { attach() {}, detach() {}, leaseOf: () => 0n });
  store.begin();
  for (let i = 0; i < KEYS; i++) store.put(b(`k${String(i).padStart(5, "0")}`), b("v"), 0n);
  store.end();
  return store;
}

function put(store: Store, key: string): void {
  store.begin();
  store.put(b(key), b("later"), 0n);
  store.end();
}

const read = (store: Store, onPause: (pauses: number) => void, request = {}, codec?: Codec) => {
  let pauses = 0;
  const header = (revision: number) => ({ cluster_id: 1n, member_id: 2n, revision, raft_term: 3 });
  const pause = () => Promise.resolve(onPause(++pauses));
  return largeRange({ store, header, pause, codec }, { ...ALL, ...request });
};

test("a large range is of one revision, and what is written meanwhile does not wait for it", async () => {
  const store = filled();
  const { kvs, count, more, header } = await read(store, (pauses) => {
    put(store, `k${String(5900 - pauses).padStart(5, "0")}`);
    put(store, `k9999${pauses}`);
  });
  assert.deepEqual([kvs.length, count, more, header!.revision], [KEYS, KEYS, false, 2]);
  assert(kvs.every(({ value, mod_revision }) => mod_revision === 2 && String(Buffer.from(value)) === "v"));
  assert(store.revision > 12, "nothing was written between the slices");
});

test("to a wire a large range goes as bytes, in pieces that are the whole answer together", async () => {
  const codec = etcdCodec();
  for (const request of [{}, { limit: 5500 }, { keys_only: true }]) {
    const store = filled();
    const answer: unknown = await read(store, () => {}, request, codec);
    assert(answer instanceof EncodedPieces && answer.pieces.length > 10);
    const { kvs, count, more, header } = codec.decode(RangeResponse, answer.bytes);
    const { limit = KEYS } = request as { limit?: number };
    assert.deepEqual([kvs.length, count, more, header!.revision], [limit, KEYS, limit < KEYS, 2]);
    assert.equal(String(Buffer.from(kvs.at(-1)!.key)), `k0${limit - 1}`);
    assert.equal(kvs[0]!.value.length, "keys_only" in request ? 0 : 1);
  }
});

test("a compaction in the middle makes a range of the present begin anew, and ends one of the past", async () => {
  const store = filled();
  const compactOnce = (pauses: number) => {
    if (pauses !== 3) return;
    put(store, "k00000");
    put(store, "k00001");
    store.compact(store.revision);
  };
  const { kvs, header } = await read(store, compactOnce);
  assert.deepEqual([kvs.length, header!.revision, kvs[1]!.mod_revision], [KEYS, 4, 4]);
  const again = filled();
  await assert.rejects(
    read(
      again,
      (pauses) => {
        if (pauses !== 3) return;
        put(again, "k00000");
        again.compact(again.revision);
      },
      { revision: 2 },
    ),
    /compacted/,
  );
});

test("small ranges, counts, and what is sorted or filtered are no large ranges", () => {
  const store = filled();
  assert.equal(isLarge(store, ALL), true);
  for (const request of [
    { limit: 10 },
    { count_only: true },
    { sort_order: "DESCEND" },
    { sort_order: "ASCEND", sort_target: "MOD" },
    { min_mod_revision: 2 },
    { range_end: b("k00100") },
    { range_end: b("") },
  ] as const)
    assert.equal(isLarge(store, { ...ALL, ...request }), false, JSON.stringify(request));
});
