import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RpcError } from "../../wire/rpc/service.ts";
import type { KeyValue } from "../backend/backend.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import type { CompactionWork } from "./compaction-queue.ts";
import { keyText } from "./key-text.ts";
import { RestoredIndex } from "./restored-index.ts";
import { Store } from "./store.ts";

type Op =
  | { readonly put: string; readonly value: string }
  | { readonly delete: string; readonly end: string }
  | { readonly compact: number };

/** Every revision as a whole map: slow, large, and plainly right. */
class NaiveStore {
  readonly states: Map<string, Omit<KeyValue, "key">>[] = [new Map(), new Map()];
  compactRevision = -1;

  get revision(): number {
    return this.states.length - 1;
  }

  transact(ops: readonly Op[]): void {
    const revision = this.states.length;
    const state = new Map(this.states.at(-1));
    let changed = false;
    for (const op of ops) {
      if ("put" in op) {
        const before = state.get(op.put);
        changed = true;
        state.set(op.put, {
          create_revision: before?.create_revision ?? revision,
          mod_revision: revision,
          version: (before?.version ?? 0) + 1,
          value: Buffer.from(op.value),
          lease: 0n,
        });
      } else if ("delete" in op)
        for (const key of state.keys())
          if (op.end === "" ? key === op.delete : op.delete <= key && key < op.end) {
            state.delete(key);
            changed = true;
          }
    }
    if (changed) this.states.push(state);
  }
}

const key = fc.constantFrom("a", "aa", "b", "c", "d");
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ put: key, value: fc.string({ maxLength: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ delete: key, end: fc.constantFrom("", "", "b", "z") }) },
);
const transaction = fc.oneof(
  { weight: 8, arbitrary: fc.array(op, { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.nat({ max: 5 }).map((compact): Op[] => [{ compact }]) },
);

const text = (kv: KeyValue) =>
  `${keyText(kv.key)}=${Buffer.from(kv.value).toString()} ${kv.create_revision}/${kv.mod_revision} v${kv.version}`;

test("a store reads at every revision as a store that keeps whole copies, through compaction and restoring", () => {
  fc.assert(
    fc.property(
      fc.array(transaction, { minLength: 10, maxLength: 60, size: "max" }),
      fc.integer({ min: 1, max: 3 }),
      (transactions, rowsAStep) => {
        const store = new Store(new MemoryBackend(), { attach() {}, detach() {}, leaseOf: () => 0n });
        const naive = new NaiveStore();
        const work: CompactionWork[] = [];
        for (const ops of transactions) {
          const first = ops[0]!;
          if ("compact" in first) {
            const at = naive.revision - first.compact;
            if (at <= naive.compactRevision || at < 0) {
              assert.throws(() => store.compact(at <= naive.compactRevision ? at : -1), RpcError);
              continue;
            }
            work.push(store.compact(at));
            naive.compactRevision = at;
          } else {
            store.begin();
            for (const op of ops) {
              if ("put" in op) store.put(Buffer.from(op.put), Buffer.from(op.value), 0n);
              else if ("delete" in op) store.deleteRange(Buffer.from(op.delete), Buffer.from(op.end));
            }
            store.end();
            naive.transact(ops);
          }
          if (work[0]?.step(rowsAStep)) work.shift(); // Between two writes, as it really goes.
          compareAll(store, naive);
        }
        while (work.length > 0) if (work[0]!.step(rowsAStep)) work.shift();
        compareAll(store, naive);

        const index = new RestoredIndex();
        const restored = new Store(new MemoryBackend(), { attach() {}, detach() {}, leaseOf: () => 0n });
        store.backend.scan(0, store.revision, (row, sub) => {
          restored.backend.put(row, sub);
          const { mod_revision: main, create_revision: created, version, lease } = row;
          index.add(Buffer.from(row.key).toString("latin1"), { main, sub, created, version, lease });
        });
        restored.restore(index, store.revision, store.compactRevision);
        compareAll(restored, naive);
        assert.equal(restored.backend.sizeBytes, store.backend.sizeBytes);
      },
    ),
    { numRuns: 150 },
  );
});

function compareAll(store: Store, naive: NaiveStore): void {
  assert.equal(store.revision, naive.revision);
  const all = { limit: 0, countOnly: false };
  for (let revision = 1; revision <= naive.revision; revision++) {
    const read = () => store.range(Buffer.from("a"), Buffer.from("\0"), { ...all, revision });
    if (revision < naive.compactRevision) {
      assert.throws(read, /required revision has been compacted/);
      continue;
    }
    const want = [...naive.states[revision]!].sort(([a], [b]) => (a < b ? -1 : 1));
    const { kvs, count } = read();
    assert.deepEqual(
      kvs.map(text),
      want.map(([key, kv]) => text({ key: Buffer.from(key), ...kv })),
    );
    assert.equal(count, want.length);
  }
  const [present] = naive.states.slice(-1);
  assert.equal(store.keys, present!.size);
  const inside = store.range(Buffer.from("aa"), Buffer.from("d"), { limit: 1, revision: 0, countOnly: false });
  const keys = [...present!.keys()].filter((key) => key >= "aa" && key < "d").sort();
  assert.equal(inside.count, keys.length);
  assert.deepEqual(
    inside.kvs.map(({ key }) => keyText(key)),
    keys.slice(0, 1),
  );
}
