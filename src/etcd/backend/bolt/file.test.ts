/** The file beside a map that does the same, through reopening and power cuts; and beside bbolt's own bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SimulatedFs } from "../../../testing/sim/fs.ts";
import { SeededRandom } from "../../../testing/sim/random.ts";
import type { File, Fs } from "../../../world/fs.ts";
import { BoltFile, type BoltOptions } from "./file.ts";
import { DamagedFile, decodeMeta, encodeMetaAt } from "./format.ts";
import type { BucketChanges, Change } from "./tree.ts";

type Content = Map<string, Map<string, string>>;

const b = (text: string) => Buffer.from(text, "latin1");
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
/** Small pages make deep trees of few keys. */
const SMALL: BoltOptions = { pageSize: 512, cacheBytes: 20 * 512 };

function disk(seed = 1): SimulatedFs {
  return new SimulatedFs(() => 0, new SeededRandom(seed));
}

async function opened(fs: Fs, options: BoltOptions = SMALL): Promise<{ file: BoltFile; content: Content }> {
  const file = await BoltFile.open(fs, "/db", options);
  const content: Content = new Map();
  await file.load((bucket, key, value) => {
    if (!content.has(bucket)) content.set(bucket, new Map());
    content.get(bucket)!.set(text(key), text(value));
  });
  assert.deepEqual(await file.check(), []);
  return { file, content };
}

type Operation =
  | { readonly kind: "commit"; readonly bucket: string; readonly changes: readonly (readonly [number, number])[] }
  | { readonly kind: "drop"; readonly bucket: string }
  | { readonly kind: "reopen" | "defragment" | "pin" | "unpin" };

const bucketName = fc.constantFrom("key", "meta", "lease");
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("commit" as const),
      bucket: bucketName,
      // Lengths of 0 delete; some values take pages of their own.
      changes: fc.array(
        fc.tuple(
          fc.nat(120),
          fc.oneof({ weight: 4, arbitrary: fc.nat(90) }, { weight: 4, arbitrary: fc.constant(0) }, fc.nat(2500)),
        ),
        { maxLength: 60, size: "max" },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop" as const), bucket: bucketName }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("reopen", "defragment", "pin", "unpin") }) },
);

function applied(before: Content, operation: Operation): Content {
  const after: Content = new Map([...before].map(([name, keys]) => [name, new Map(keys)]));
  if (operation.kind === "drop") after.delete(operation.bucket);
  if (operation.kind === "commit") {
    const keys = after.get(operation.bucket) ?? new Map<string, string>();
    for (const [key, length] of operation.changes) {
      if (length === 0) keys.delete(keyOf(key));
      else keys.set(keyOf(key), "v".repeat(length));
    }
    if (keys.size > 0) after.set(operation.bucket, keys);
    else after.delete(operation.bucket); // An empty bucket and none read alike here.
  }
  return after;
}

const keyOf = (number: number) => `key/${number}`;

function changesOf(operation: Operation): Map<string, BucketChanges | undefined> {
  if (operation.kind === "drop") return new Map([[operation.bucket, undefined]]);
  assert(operation.kind === "commit");
  const byKey = new Map(operation.changes);
  const changes = [...byKey].map(([key, length]): Change => ({
    key: b(keyOf(key)),
    value: length === 0 ? undefined : b("v".repeat(length)),
  }));
  changes.sort((x, y) => Buffer.compare(x.key, y.key));
  return new Map([[operation.bucket, { changes, fill: 0.9 }]]);
}

function contentOf(file: BoltFile): Content {
  const content: Content = new Map();
  for (const name of ["key", "meta", "lease"]) {
    const keys = new Map<string, string>();
    file.scan(file.bucket(b(name)), b(""), (key, value) => void keys.set(text(key), text(value)));
    if (keys.size > 0) content.set(name, keys);
  }
  return content;
}

const sorted = (content: Content) =>
  [...content].map(([name, keys]) => [name, [...keys].sort()] as const).sort(([x], [y]) => (x < y ? -1 : 1));

async function defragment(file: BoltFile): Promise<void> {
  let at = await file.defragment(undefined, 4, () => undefined);
  while (at !== undefined) {
    const next = await file.defragment(at, 4, () => undefined);
    if (next === undefined || (next.bucket === at.bucket && next.from.length === 0)) break;
    at = next;
  }
}

for (const storesFreelist of [false, true])
  test(`a file is a map of maps, whatever happens to it${storesFreelist ? ", with its free pages stored" : ""}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 30, size: "max" }), async (operations) => {
        const fs = disk();
        const options = { ...SMALL, storesFreelist };
        let { file } = await opened(fs, options);
        let expected: Content = new Map();
        let pinned: { readonly pin: ReturnType<BoltFile["pin"]>; readonly content: Content } | undefined;
        for (const operation of operations) {
          if (operation.kind === "reopen") {
            const again = await opened(fs, options);
            assert.deepEqual(sorted(again.content), sorted(expected));
            file = again.file;
            pinned = undefined;
          } else if (operation.kind === "defragment") await defragment(file);
          else if (operation.kind === "pin") pinned ??= { pin: file.pin(), content: expected };
          else if (operation.kind === "unpin") {
            if (pinned === undefined) continue;
            // What was pinned is a whole file still.
            const copy = disk();
            const parts: Uint8Array[] = [];
            for await (const part of file.stream(pinned.pin, 700)) parts.push(part);
            await copy.writeFile("/db", Buffer.concat(parts));
            assert.deepEqual(sorted((await opened(copy)).content), sorted(pinned.content));
            pinned.pin[Symbol.dispose]();
            pinned = undefined;
          } else {
            await file.commit(changesOf(operation));
            expected = applied(expected, operation);
          }
          assert.deepEqual(sorted(contentOf(file)), sorted(expected));
          assert.deepEqual(await file.check(), []);
        }
      }),
      { numRuns: 60, seed: 7 },
    );
  });

/** Writes and syncs go on until `left` of them are done; the next one dies with part of its bytes written. */
function dying(fs: SimulatedFs, budget: { left: number }): Fs {
  const spend = () => {
    if (budget.left-- <= 0) throw new Error("the power is gone");
  };
  return new Proxy(fs, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (name !== "open") return typeof value === "function" ? value.bind(target) : value;
      return async (...args: Parameters<Fs["open"]>): Promise<File> => {
        const file = await target.open(...args);
        return {
          ...file,
          write: async (position, chunks) => {
            if (budget.left === 0) await file.write(position, [Buffer.concat(chunks).subarray(0, 700)]);
            spend();
            await file.write(position, chunks);
          },
          sync: async () => (spend(), file.sync()),
          truncate: async (length) => (spend(), file.truncate(length)),
        };
      };
    },
  });
}

test("after a power cut at any write, the state is the one before or the one after", async () => {
  const operations = fc.array(
    operation.filter(({ kind }) => kind === "commit" || kind === "drop" || kind === "defragment"),
    { minLength: 3, maxLength: 12, size: "max" },
  );
  let cuts = 0;
  await fc.assert(
    fc.asyncProperty(operations, fc.nat(60), fc.nat(1000), async (operations, writes, seed) => {
      const fs = disk(seed);
      await opened(fs);
      const budget = { left: writes };
      const { file } = await opened(dying(fs, budget));
      let before: Content = new Map();
      let after: Content = before;
      try {
        for (const operation of operations) {
          after = applied(before, operation);
          if (operation.kind === "defragment") await defragment(file);
          else await file.commit(changesOf(operation));
          before = after;
        }
      } catch (error) {
        assert.equal((error as Error).message, "the power is gone");
        cuts++;
      }
      fs.powerCut();
      const { content } = await opened(fs);
      const found = JSON.stringify(sorted(content));
      assert([before, after].some((state) => JSON.stringify(sorted(state)) === found));
    }),
    { numRuns: 400, seed: 11 },
  );
  assert(cuts > 100, `only ${cuts} of the runs were cut`);
});

test("a transaction for which there is no room leaves the file as it was, and the next ones do what they should", async () => {
  const operations = fc.array(
    fc.tuple(
      operation.filter(({ kind }) => kind === "commit" || kind === "drop" || kind === "defragment"),
      fc.option(fc.nat(4)),
    ),
    { minLength: 3, maxLength: 20, size: "max" },
  );
  let failures = 0;
  await fc.assert(
    fc.asyncProperty(operations, async (operations) => {
      const fs = disk();
      let { file } = await opened(fs);
      let expected: Content = new Map();
      for (const [operation, room] of operations) {
        let left = room ?? Infinity;
        // The meta page, which comes after a sync, has its place already.
        let isMeta = false;
        fs.faults = {
          sync: () => void (isMeta = true),
          write: (_, bytes) => {
            if (bytes > 0 && !isMeta && left-- <= 0) throw new Error("ENOSPC");
            if (bytes > 0) isMeta = false;
          },
        };
        try {
          if (operation.kind === "defragment") await defragment(file);
          else {
            await file.commit(changesOf(operation));
            expected = applied(expected, operation);
          }
        } catch (error) {
          assert.equal((error as Error).message, "ENOSPC");
          assert(file.isIntact);
          failures++;
        }
        assert.deepEqual(sorted(contentOf(file)), sorted(expected));
        assert.deepEqual(await file.check(), []);
        fs.faults = {};
      }
      const inUse = file.inUseBytes;
      const again = await opened(fs);
      assert.deepEqual(sorted(again.content), sorted(expected));
      assert.equal(again.file.inUseBytes, inUse);
      file = again.file;
    }),
    { numRuns: 150, seed: 5 },
  );
  assert(failures > 100, `only ${failures} have failed`);
});

test("a meta page is bbolt's, byte for byte", () => {
  const page = encodeMetaAt(1, { pageSize: 4096, root: 3, sequence: 0, freelist: 2, pages: 4, txid: 1 });
  // What bbolt 1.4.3 makes of a new file.
  const golden =
    "01000000000000000400000000000000edda0ced020000000010000000000000030000000000000000000000000000000200000000000000040000000000000001000000000000000f4879511a354c26";
  assert.equal(Buffer.from(page.subarray(0, 80)).toString("hex"), golden);
  assert.deepEqual(decodeMeta(Buffer.from(golden.padEnd(8192, "0"), "hex")), {
    pageSize: 4096,
    root: 3,
    sequence: 0,
    freelist: 2,
    pages: 4,
    txid: 1,
  });
});

test("a damaged meta page leaves the other one; two of them leave nothing", async () => {
  const fs = disk();
  const { file } = await opened(fs, { pageSize: 1024 });
  await file.commit(new Map([["key", { changes: [{ key: b("a"), value: b("1") }] }]]));
  await file.commit(new Map([["key", { changes: [{ key: b("a"), value: b("2") }] }]]));
  const handle = await fs.open("/db", { write: true });
  await handle.write((file.meta.txid % 2) * 1024 + 40, [b("damage")]);
  assert.equal((await opened(fs)).content.get("key")?.get("a"), "1");
  await handle.write(((file.meta.txid + 1) % 2) * 1024 + 40, [b("damage")]);
  await assert.rejects(opened(fs), DamagedFile);
});
