import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { isEtcdError } from "../protocols/etcd/errors.ts";
import { simulatedWorld, type SimulatedWorld } from "../testing/sim/world.ts";
import { KEEP_VERSIONS, keepVersions } from "../protocols/etcd/client.ts";
import type { Call } from "../wire/rpc/service.ts";
import { hashKV } from "./mvcc/hash.ts";
import { kvService } from "./api/kv.ts";
import { leaseService } from "./api/lease.ts";
import { maintenanceService } from "./api/maintenance.ts";
import { Member } from "./member.ts";
import { DEFAULTS, type EtcdOptions } from "./options.ts";

const b = (text: string) => Buffer.from(text);

/** Runs `body` in virtual time. */
async function inside(world: SimulatedWorld, body: () => Promise<void>): Promise<void> {
  let done = false;
  const work = body().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
}

const open = (world: SimulatedWorld, options: Partial<EtcdOptions> = {}, failed: unknown[] = []) =>
  Member.open(
    { ...DEFAULTS, dataDir: "/data", ...options },
    { ...world, log: silent, metrics: new Metrics() },
    (error) => failed.push(error),
  );

test("a restart begins with the db file and the log behind it, however far the file had come", async () => {
  for (const waits of [0, 40, 1000]) {
    const world = simulatedWorld(1);
    await inside(world, async () => {
      const member = await open(world, { snapshotCount: 10 });
      const kv = kvService(member);
      await leaseService(member, world.random).LeaseGrant({ ID: 7n, TTL: 100 });
      for (let i = 0; i < 35; i++) {
        await kv.Put({ key: b(`k${i % 20}`), value: b(`${i}`), lease: i === 30 ? 7n : 0n });
        if (i === 22) await kv.Compact({ revision: 15 });
        if (i % 7 === 0 && waits > 0) await new Promise<void>((resolve) => world.clock.after(waits, resolve));
      }
      const before = await kv.Range({ key: b("k"), range_end: b("l") });
      world.fs.powerCut();
      world.fs.failWrites = new Error("the machine is off");
      await member.close().catch(() => {});
      world.fs.failWrites = undefined;
      const again = await open(world);
      const after = await kvService(again).Range({ key: b("k"), range_end: b("l") });
      const text = (kv: (typeof after.kvs)[number]) =>
        [Buffer.from(kv.key), Buffer.from(kv.value), kv.create_revision, kv.mod_revision, kv.version, kv.lease].join();
      assert.deepEqual(after.kvs.map(text), before.kvs.map(text));
      assert.equal(after.header!.revision, before.header!.revision);
      assert.equal(again.store.compactRevision, 15);
      assert.deepEqual([...again.lessor.get(7n)!.keys], ["k10"]);
      await again.close();
    });
  }
});

test("a put may say how many versions of its key to keep; other keys, other clients and a restart don't notice", async () => {
  const world = simulatedWorld(5);
  await inside(world, async () => {
    const member = await open(world);
    const kv = kvService(member);
    const call = (versions: string) =>
      ({ ...keepVersions(3), metadata: { [KEEP_VERSIONS]: versions } }) as unknown as Call;
    const versionsOf = async (of: Member, key: string) => {
      const seen: string[] = [];
      for (let revision = 1; revision <= of.store.revision; revision++) {
        const { kvs } = await kvService(of).Range({ key: b(key), revision });
        const text = kvs[0] === undefined ? "-" : `${Buffer.from(kvs[0].value)}/${kvs[0].version}`;
        if (seen.at(-1) !== text) seen.push(text);
      }
      return seen.join(" ");
    };
    for (const value of ["a", "b", "c"]) {
      await kv.Put({ key: b("counted"), value: b(value) });
      await kv.Put({ key: b("plain"), value: b(value) });
    }
    await kv.Put({ key: b("counted"), value: b("d") }, call("3"));
    assert.equal(await versionsOf(member, "counted"), "- b/2 c/3 d/4");
    await kv.Put({ key: b("counted"), value: b("e") });
    await kv.Txn({ success: [{ request_put: { key: b("counted"), value: b("f") } }] }, call("2"));
    assert.equal(await versionsOf(member, "counted"), "- e/5 f/6");
    await kv.DeleteRange({ key: b("counted") });
    await kv.Put({ key: b("counted"), value: b("g") }, call("1"));
    assert.equal(await versionsOf(member, "counted"), "- g/1");
    assert.equal(await versionsOf(member, "plain"), "- a/1 b/2 c/3");
    for (const wrong of ["0", "-1", "many", ""])
      assert.throws(() => kv.Put({ key: b("counted"), value: b("h") }, call(wrong)), /is not a number of versions/);
    const hash = hashKV(member.store, 0);
    await member.close();
    const again = await open(world);
    assert.equal(await versionsOf(again, "counted"), "- g/1");
    assert.equal(await versionsOf(again, "plain"), "- a/1 b/2 c/3");
    assert.equal(hashKV(again.store, 0), hash);
    await again.close();
  });
});

test("a full store refuses writes until its alarm is put out, and goes on reading and deleting", async () => {
  const world = simulatedWorld(2);
  await inside(world, async () => {
    const member = await open(world, { quotaBackendBytes: 100_000 });
    const kv = kvService(member);
    const put = async (key: string) => kv.Put({ key: b(key), value: Buffer.alloc(1000) });
    const isFull = (error: unknown) => isEtcdError(error, "noSpace");
    await assert.rejects(async () => {
      for (let i = 0; ; i++) {
        await put(`k${i}`);
        await new Promise<void>((resolve) => world.clock.after(20, resolve));
      }
    }, isFull);
    await new Promise<void>((resolve) => world.clock.after(10, resolve));
    const maintenance = maintenanceService(member);
    assert.deepEqual(
      (await maintenance.Alarm({ action: "GET" })).alarms.map(({ alarm }) => alarm),
      ["NOSPACE"],
    );
    await assert.rejects(async () => leaseService(member, world.random).LeaseGrant({ TTL: 10 }), isFull);
    assert.ok((await kv.DeleteRange({ key: b("k"), range_end: b("l") })).deleted > 5);
    await kv.Compact({ revision: member.store.revision });
    await new Promise<void>((resolve) => world.clock.after(200, resolve));
    await assert.rejects(put("x"), isFull);
    const { dbSize } = await maintenance.Status();
    await maintenance.Defragment();
    assert.ok((await maintenance.Status()).dbSize < dbSize / 2);
    await maintenance.Alarm({ action: "DEACTIVATE", memberID: member.id, alarm: "NOSPACE" });
    await put("x");
    await member.close();
  });
});

test("a disk that fails stops the member, and no write is acknowledged after it", async () => {
  const world = simulatedWorld(3);
  await inside(world, async () => {
    const failed: unknown[] = [];
    const member = await open(world, {}, failed);
    const kv = kvService(member);
    await kv.Put({ key: b("a"), value: b("1") });
    world.fs.failWrites = new Error("ENOSPC");
    const isStopped = (error: unknown) => isEtcdError(error, "stopped");
    await assert.rejects(async () => kv.Put({ key: b("a"), value: b("2") }), isStopped);
    world.fs.failWrites = undefined;
    await assert.rejects(async () => kv.Put({ key: b("a"), value: b("3") }), isStopped);
    assert.equal(failed.length, 1);
    assert.equal((await kv.Range({ key: b("a") })).kvs[0]!.value.toString(), "1");
  });
});

test("a request that is too large is refused before it costs anything", async () => {
  const world = simulatedWorld(4);
  await inside(world, async () => {
    const member = await open(world);
    const { revision } = member.store;
    await assert.rejects(
      async () => kvService(member).Put({ key: b("a"), value: Buffer.alloc(1_572_865) }),
      (error) => isEtcdError(error, "requestTooLarge"),
    );
    assert.equal(member.store.revision, revision);
    await member.close();
  });
});

test("a streamed range comes in growing pieces of one revision, and its last piece counts", async () => {
  const world = simulatedWorld(5);
  await inside(world, async () => {
    const member = await open(world);
    const kv = kvService(member);
    for (let i = 0; i < 50; i++) await kv.Put({ key: b(`k${i}`), value: b("v") });
    const pieces: { readonly kvs: number; readonly count: number; readonly revision: number | undefined }[] = [];
    await kv.RangeStream(
      { key: b("k"), range_end: b("l") },
      {
        send: ({ range_response }) => {
          const { kvs = [], count = 0, header } = range_response!;
          pieces.push({ kvs: kvs.length, count, revision: header?.revision });
          return true;
        },
        drained: Promise.resolve(),
        [Symbol.asyncIterator]: () => assert.fail(),
      },
    );
    assert.deepEqual(pieces, [
      { kvs: 10, count: 0, revision: undefined },
      { kvs: 20, count: 0, revision: undefined },
      { kvs: 20, count: 0, revision: undefined },
      { kvs: 0, count: 50, revision: 51 },
    ]);
    await member.close();
  });
});

test("others are answered between the pieces of a streamed range, however quick its reader is", async () => {
  const world = simulatedWorld(6);
  await inside(world, async () => {
    const member = await open(world);
    const kv = kvService(member);
    for (let i = 0; i < 500; i++) await kv.Put({ key: b(`k${i}`), value: b("v") });
    let pieces = 0;
    let piecesBefore = 0;
    await kv.RangeStream(
      { key: b("k"), range_end: b("l") },
      {
        send: () => {
          if (++pieces === 1) void kv.Put({ key: b("other"), value: b("v") }).then(() => (piecesBefore = pieces));
          return true;
        },
        drained: Promise.resolve(),
        [Symbol.asyncIterator]: () => assert.fail(),
      },
    );
    assert(pieces > 5);
    assert(piecesBefore > 0 && piecesBefore < pieces, `answered after ${piecesBefore} of ${pieces} pieces`);
    await member.close();
  });
});

test("a physical compaction is answered when its rows are gone, a logical one at once", async () => {
  const world = simulatedWorld(6);
  await inside(world, async () => {
    const member = await open(world, { compactionBatchLimit: 7 });
    const kv = kvService(member);
    for (let i = 0; i < 100; i++) await kv.Put({ key: b("k"), value: b(String(i)) });
    const rows = () => {
      let count = 0;
      member.store.backend.scan(0, member.store.revision, () => void count++);
      return count;
    };
    await kv.Compact({ revision: 51 });
    assert.equal(rows(), 100);
    const { header } = await kv.Compact({ revision: 91, physical: true });
    assert.equal(header!.revision, 101);
    assert.equal(rows(), 11);
    await member.close();
  });
});

test("a streamed range is of one revision whatever is written meanwhile, and is read no further than its reader", async () => {
  const world = simulatedWorld(6);
  await inside(world, async () => {
    const member = await open(world);
    const kv = kvService(member);
    for (let i = 0; i < 100; i++) await kv.Put({ key: b(`k${String(i).padStart(3, "0")}`), value: b("v") });
    const { revision } = member.store;
    const keys: string[] = [];
    let release!: () => void;
    const drained = new Promise<void>((resolve) => (release = resolve));
    let last: { readonly count?: number; readonly more?: boolean; readonly revision: number | undefined } | undefined;
    const streaming = kv.RangeStream(
      { key: b("k"), range_end: b("l"), limit: 60, keys_only: true },
      {
        send: ({ range_response }) => {
          const { kvs = [], count = 0, more = false, header } = range_response!;
          for (const { key, value } of kvs as readonly { key: Uint8Array; value: Uint8Array }[]) {
            keys.push(Buffer.from(key).toString());
            assert.equal(value.length, 0);
          }
          if (header !== undefined) last = { count, more, revision: header.revision };
          return false;
        },
        drained,
        [Symbol.asyncIterator]: () => assert.fail(),
      },
    );
    await kv.DeleteRange({ key: b("k050") });
    await kv.Put({ key: b("k0505"), value: b("new") });
    assert.equal(keys.length, 10, "the first piece, and nobody has taken it");
    release();
    await streaming;
    assert.deepEqual(
      keys,
      Array.from({ length: 60 }, (_, i) => `k${String(i).padStart(3, "0")}`),
    );
    assert.deepEqual(last, { count: 100, more: true, revision });
    await member.close();
  });
});

test("a transaction that has written reads the past where it is asked for, and refuses what is wrong first in its order", async () => {
  const world = simulatedWorld(1);
  await inside(world, async () => {
    const member = await open(world);
    const kv = kvService(member);
    await kv.Put({ key: b("a") });
    const { responses } = await kv.Txn({
      success: [
        { request_put: { key: b("b") } },
        { request_range: { key: b("a"), range_end: b("z"), revision: 2 } },
        { request_range: { key: b("a"), range_end: b("z") } },
      ],
    });
    assert.deepEqual(
      responses.map(({ response_range }) => response_range?.kvs.map(({ key }) => String(key))),
      [undefined, ["a"], ["a", "b"]],
    );
    await kv.Compact({ revision: 3 });
    const past = { request_range: { key: b("a"), revision: 2 } };
    const leased = { request_put: { key: b("c"), lease: 9n, ignore_value: true } };
    const refusalOf = async (success: NonNullable<Parameters<typeof kv.Txn>[0]["success"]>) =>
      Promise.resolve(kv.Txn({ success })).then(
        () => "none",
        (error: Error) => error.message,
      );
    assert.match(await refusalOf([past, leased]), /has been compacted/);
    assert.match(await refusalOf([leased, past]), /requested lease not found/);
    await member.close();
  });
});

test("keys alone have no lease, unless their values make the order", async () => {
  const world = simulatedWorld(1);
  await inside(world, async () => {
    const member = await open(world);
    const kv = kvService(member);
    await leaseService(member, world.random).LeaseGrant({ ID: 7n, TTL: 100 });
    await kv.Put({ key: b("a"), lease: 7n });
    const leaseOf = async (sort_target: "MOD" | "VALUE") =>
      (await kv.Range({ key: b("a"), keys_only: true, sort_target })).kvs[0]!.lease;
    assert.equal(await leaseOf("MOD"), 0n);
    assert.equal(await leaseOf("VALUE"), 7n);
    await member.close();
  });
});
