/** What every backend does, beside a list that does the same; and what the one with a file keeps over restarts and power cuts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { simulatedWorld, type SimulatedWorld } from "../../testing/sim/world.ts";
import { BUCKETS, type Backend, type BucketName, type KeyValue } from "./backend.ts";
import { BoltBackend, type BoltBackendOptions } from "./bolt-backend.ts";
import { BoltFile } from "./bolt/file.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { decodeRow, encodeRow, revisionKey } from "./rows.ts";

const b = (text: string) => Buffer.from(text);
/** Memory for next to nothing, so that rows are read from the file. */
const TINY: BoltBackendOptions = { batchIntervalMs: 100, batchLimit: 50, cacheBytes: 3000, pageSize: 512 };

async function opened(world: SimulatedWorld, options: Partial<BoltBackendOptions> = {}): Promise<BoltBackend> {
  const fail = (error: unknown) => assert.fail(error as Error);
  return BoltBackend.open("/db", { ...TINY, ...options }, { ...world, onFailure: fail });
}

type Operation =
  | { readonly kind: "write"; readonly lengths: readonly number[]; readonly skip: number }
  | { readonly kind: "compact"; readonly share: number }
  | { readonly kind: "bucket"; readonly name: BucketName; readonly key: number; readonly length: number }
  | { readonly kind: "wait" | "reopen" | "defragment" };

const operations: fc.Arbitrary<readonly Operation[]> = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constant("write" as const),
        lengths: fc.array(fc.nat(300), { minLength: 1, maxLength: 4 }),
        skip: fc.constantFrom(0, 0, 0, 0, 700),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("compact" as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("bucket" as const),
        name: fc.constantFrom(...BUCKETS),
        key: fc.nat(20),
        length: fc.nat(40),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("wait", "reopen", "defragment") }) },
  ),
  { maxLength: 80, size: "max" },
);

/** The same, in the plainest way. */
class Twin {
  rows: { readonly row: KeyValue; readonly sub: number }[] = [];
  readonly buckets = new Map<string, Map<string, string>>();
  main = 1;

  write(backend: Backend, { lengths, skip }: Operation & { kind: "write" }): void {
    this.main += 1 + skip;
    lengths.forEach((length, sub) => {
      // Every fourth is a tombstone.
      const isTombstone = length % 4 === 0;
      const row: KeyValue = {
        key: b(`key-${length}`),
        create_revision: isTombstone ? 0 : Math.max(1, this.main - length),
        mod_revision: this.main,
        version: isTombstone ? 0 : 1 + length,
        value: isTombstone ? b("") : Buffer.alloc(length, 0x61),
        lease: isTombstone || length % 3 > 0 ? 0n : 0x7fff_ffff_ffff_fff0n + BigInt(length % 8),
      };
      this.rows.push({ row, sub });
      backend.put(row, sub);
    });
  }

  compact(backend: Backend, share: number): void {
    const kept: typeof this.rows = [];
    this.rows.forEach((entry, i) => {
      if ((i * 0.618) % 1 < share) backend.delete(entry.row.mod_revision, entry.sub, entry.row.version === 0);
      else kept.push(entry);
    });
    this.rows = kept;
  }

  put(backend: Backend, { name, key, length }: Operation & { kind: "bucket" }): void {
    const bucket = backend.bucket(name);
    let entries = this.buckets.get(name);
    if (entries === undefined) this.buckets.set(name, (entries = new Map()));
    if (length === 0) {
      bucket.delete(`k${key}`);
      entries.delete(`k${key}`);
    } else {
      bucket.put(`k${key}`, b("x".repeat(length)));
      entries.set(`k${key}`, "x".repeat(length));
    }
  }

  compare(backend: Backend): void {
    const plain = ({ row, sub }: { row: KeyValue; sub: number }) =>
      `${row.mod_revision}_${sub} ${row.create_revision} ${row.version} ${row.lease} ${Buffer.from(row.key)} ${row.value.length}`;
    const scan = (from: number, to: number) => {
      const seen: string[] = [];
      backend.scan(from, to, (row, sub) => void seen.push(plain({ row, sub })));
      return seen;
    };
    const between = (from: number, to: number) =>
      this.rows.filter(({ row }) => row.mod_revision >= from && row.mod_revision <= to).map(plain);
    assert.deepEqual(scan(0, this.main), this.rows.map(plain));
    const [from, to] = [Math.floor(this.main / 3), Math.floor(this.main / 2)];
    assert.deepEqual(scan(from, to), between(from, to));
    for (const { row, sub } of this.rows) {
      const found = backend.get(row.mod_revision, sub);
      assert(found !== undefined, `${row.mod_revision}_${sub} is gone`);
      assert.equal(plain({ row: found, sub }), plain({ row, sub }));
    }
    assert.equal(backend.get(this.main, 9), undefined);
    for (const name of BUCKETS) {
      const found: [string, string][] = [];
      backend.bucket(name).forEach((key, value) => void found.push([key, Buffer.from(value).toString()]));
      assert.deepEqual(found, [...(this.buckets.get(name) ?? [])].sort());
    }
  }
}

for (const kind of ["memory", "bolt"] as const)
  test(`a ${kind} backend has what was put into it and not deleted`, async () => {
    await fc.assert(
      fc.asyncProperty(operations, async (operations) => {
        const world = simulatedWorld(1);
        const twin = new Twin();
        let backend: Backend = kind === "memory" ? new MemoryBackend() : await opened(world);
        for (const operation of operations) {
          if (operation.kind === "write") twin.write(backend, operation);
          else if (operation.kind === "compact") twin.compact(backend, operation.share);
          else if (operation.kind === "bucket") twin.put(backend, operation);
          else if (backend instanceof BoltBackend) {
            if (operation.kind === "wait") await world.clock.advance(150);
            else if (operation.kind === "defragment") await driven(world, backend.defragment());
            else {
              await driven(world, backend.close());
              backend = await driven(world, opened(world));
            }
          }
          twin.compare(backend);
        }
        if (!(backend instanceof BoltBackend)) return;
        assert.deepEqual(await driven(world, backend.check()), []);
        await driven(world, backend.close());
      }),
      { numRuns: 40, seed: 3 },
    );
  });

async function driven<T>(world: SimulatedWorld, promise: Promise<T>): Promise<T> {
  let over = false;
  promise.then(
    () => (over = true),
    () => (over = true),
  );
  await world.clock.until(() => over, world.clock.monotonic() + 600_000);
  return promise;
}

test("a power cut leaves the rows of whole entries, with the index of the last of them", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const world = simulatedWorld(seed);
    let index = 0;
    const backend = await opened(world);
    backend.beforeCommit = () => backend.bucket("meta").put("consistent_index", b(String(index)));
    const work = (async () => {
      for (let entry = 1; entry <= 40 + seed * 7; entry++) {
        index = entry;
        for (let sub = 0; sub < 3; sub++)
          backend.put(
            {
              key: b("k"),
              create_revision: 2,
              mod_revision: entry + 1,
              version: entry,
              value: Buffer.alloc(50),
              lease: 0n,
            },
            sub,
          );
        if (entry % 5 === 0) await new Promise<void>((resolve) => world.clock.after(seed % 23, resolve));
      }
    })();
    await driven(world, work);
    world.fs.powerCut();
    const rows: number[] = [];
    const after = await driven(
      world,
      BoltBackend.open("/db", TINY, { ...world, onFailure: () => {} }, (key) => void rows.push(key.length)),
    );
    const kept = Number(Buffer.from(after.bucket("meta").get("consistent_index") ?? b("0")).toString());
    assert.equal(rows.length, kept * 3);
    assert(seed < 3 || kept > 0, "nothing was committed");
  }
});

test("what was put is in the file after the interval, and at once after many operations", async () => {
  const world = simulatedWorld(1);
  const backend = await opened(world);
  const row = (main: number): KeyValue => ({
    key: b("k"),
    create_revision: 2,
    mod_revision: main,
    version: main - 1,
    value: b("v"),
    lease: 0n,
  });
  const inFile = async () => {
    const file = await BoltFile.open(world.fs, "/db", { readOnly: true });
    let rows = 0;
    file.scan(file.bucket(b("key")), b(""), () => void rows++);
    return rows;
  };
  backend.put(row(2), 0);
  await world.clock.advance(99);
  assert.equal(await inFile(), 0);
  await world.clock.advance(2);
  assert.equal(await inFile(), 1);
  for (let main = 3; main < 53; main++) backend.put(row(main), 0);
  await world.clock.advance(0);
  assert.equal(await inFile(), 51);
});

test("a row is upstream's message under upstream's key", () => {
  const row: KeyValue = {
    key: b("foo"),
    create_revision: 2,
    mod_revision: 300,
    version: 3,
    value: b("bar"),
    lease: 0x1234567890n,
  };
  assert.equal(Buffer.from(encodeRow(row)).toString("hex"), "0a03666f6f100218ac0220032a036261723090f1d9a2a302");
  const { key, create_revision, mod_revision, version, value, lease } = decodeRow(revisionKey(300, 1), encodeRow(row));
  assert.deepEqual(
    { key: Buffer.from(key), create_revision, mod_revision, version, value: Buffer.from(value), lease },
    row,
  );
  const gone: KeyValue = { ...row, create_revision: 0, version: 0, value: b(""), lease: 0n };
  assert.equal(Buffer.from(encodeRow(gone)).toString("hex"), "0a03666f6f");
  assert.equal(Buffer.from(revisionKey(300, 1, true)).toString("hex"), "000000000000012c5f000000000000000174");
});
