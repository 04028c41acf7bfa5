import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { RangeResponse } from "../../protocols/etcd/generated.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { EncodedPieces, type Codec } from "../../wire/rpc/codec.ts";
import { Store } from "../mvcc/store.ts";
import { applyRange } from "../apply/range.ts";
import { isLarge, largeRange } from "./large-range.ts";

const b = (text: string) => Buffer.from(text);
const ALL = { key: b("k"), range_end: b("l") };
const KEYS = 6000;

function filled(keys = KEYS): Store {
  const store = new Store(new MemoryBackend(), { attach() {}, detach() {}, leaseOf: () => 0n });
  store.begin();
  for (let i = 0; i < keys; i++) store.put(b(`k${String(i).padStart(5, "0")}`), b("v"), 0n);
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

test("whatever happens meanwhile, a large range is what it would have been in one turn", async () => {
  const orders = fc.record({
    sort_order: fc.constantFrom("NONE", "ASCEND", "DESCEND"),
    sort_target: fc.constantFrom("KEY", "VERSION", "CREATE", "MOD", "VALUE"),
  });
  const requests = fc.record(
    {
      limit: fc.oneof(fc.constantFrom(0, 1, KEYS), fc.nat(2 * KEYS)),
      revision: fc.nat(40),
      order: orders,
      keys_only: fc.boolean(),
      count_only: fc.boolean(),
      min_mod_revision: fc.nat(30),
      max_create_revision: fc.nat(30),
    },
    { requiredKeys: [] },
  );
  const acts = fc.array(fc.record({ kind: fc.constantFrom("put", "delete", "compact", "keep"), at: fc.nat(KEYS) }), {
    minLength: 30,
    maxLength: 200,
  });
  let overtaken = 0;
  await fc.assert(
    fc.asyncProperty(requests, acts, acts, async ({ order, ...request }, before, meanwhile) => {
      const store = filled();
      const act = ({ kind, at }: { kind: string; at: number }) => {
        const key = (i: number) => b(`k${String(i).padStart(5, "0")}`);
        if (kind === "compact") return drop(store);
        store.begin();
        for (let i = at; i < Math.min(KEYS, at + 200); i += 7)
          if (kind === "put") store.put(key(i), b(`${at % 10}`), 0n);
          else if (kind === "delete") store.deleteRange(key(i), undefined);
          else {
            store.put(key(i), b(`${at % 10}`), 0n);
            store.keepVersions(key(i), 1);
          }
        store.end();
      };
      for (const one of before) if (one.kind === "put" || one.kind === "delete") act(one);
      const revision = (request.revision ?? 0) % (store.revision + 1);
      const whole = { ...ALL, ...request, revision, ...order };
      const expected = plain(applyRange(store, whole, undefined));
      const { compactRevision } = store;
      const left = [...meanwhile];
      const found = await read(store, () => left.splice(0, 8).forEach(act), whole);
      if (store.compactRevision > Math.max(compactRevision, revision || store.revision)) overtaken++;
      assert.deepEqual(plain(found), expected);
    }),
    { numRuns: 60, seed: 4 },
  );
  assert(overtaken > 0, "no compaction has overtaken any");
});

/** Makes the past unreadable and drops it. */
function drop(store: Store): void {
  if (store.revision <= store.compactRevision) return;
  const work = store.compact(store.revision);
  while (!work.step(100_000));
}

const plain = ({ kvs, count, more }: RangeResponse) => ({
  count,
  more,
  kvs: kvs.map((kv) => `${Buffer.from(kv.key)} ${kv.mod_revision} ${kv.version} ${Buffer.from(kv.value)}`),
});

test("what is compacted in the middle of a range is in it, be it of the present or of the past; the next one of that revision fails", async () => {
  for (const revision of [0, 2]) {
    const store = filled();
    put(store, "k00001");
    const { kvs, header } = await read(
      store,
      (pauses) => {
        if (pauses !== 3) return;
        store.begin();
        store.deleteRange(ALL.key, ALL.range_end);
        store.end();
        put(store, "k0");
        drop(store);
      },
      { revision },
    );
    assert.deepEqual([kvs.length, header!.revision, kvs[1]!.mod_revision], [KEYS, 3, revision === 0 ? 3 : 2]);
    await assert.rejects(
      read(store, () => {}, { revision: 2 }),
      /compacted/,
    );
  }
});

test("a range begins anew where another state has come meanwhile", async () => {
  const store = filled();
  const { kvs } = await read(store, (pauses) => {
    if (pauses !== 2) return;
    store.reset(new MemoryBackend());
    for (let i = 0; i < 20; i++) put(store, `k${i}`);
  });
  assert.equal(kvs.length, 20);
});

test("no slice of a large range takes long, sorted, filtered or of the past", async () => {
  const store = filled(100_000);
  for (const request of [
    {},
    { sort_order: "DESCEND", sort_target: "KEY" },
    { sort_order: "ASCEND", sort_target: "VALUE", limit: 1 },
    { min_mod_revision: 3 },
    { revision: 2, limit: 500 },
    { revision: 2, count_only: true },
  ] as const) {
    put(store, "k00001");
    assert(isLarge(store, { ...ALL, ...request }));
    const turns: number[] = [];
    let at = performance.now();
    await read(
      store,
      () => {
        turns.push(performance.now() - at);
        at = performance.now();
      },
      request,
    );
    assert(turns.length >= 10, `${turns.length} turns for ${JSON.stringify(request)}`);
    // Others are at work on this machine, too: half of the slices may wait for them.
    const typical = turns.sort((a, b) => a - b)[Math.floor(turns.length * 0.5)]!;
    assert(typical < 50, `${typical} ms for ${JSON.stringify(request)}`);
  }
});

test("small ranges, counts of the present, and what has a small limit are no large ranges", () => {
  const store = filled();
  assert.equal(isLarge(store, ALL), true);
  for (const request of [
    { limit: 10 },
    { limit: 10, revision: store.revision },
    { count_only: true },
    { count_only: true, sort_order: "DESCEND" },
    { limit: 10, sort_order: "ASCEND" },
    { limit: 10, sort_target: "MOD" },
    { range_end: b("k00100"), sort_order: "DESCEND" },
    { range_end: b("") },
  ] as const)
    assert.equal(isLarge(store, { ...ALL, ...request }), false, JSON.stringify(request));
  for (const request of [{ sort_order: "DESCEND" }, { min_mod_revision: 2 }, { limit: 10, revision: 1 }] as const)
    assert.equal(isLarge(store, { ...ALL, ...request }), true, JSON.stringify(request));
});
