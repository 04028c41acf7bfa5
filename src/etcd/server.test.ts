import assert from "node:assert/strict";
import { test } from "node:test";
import { ComponentGroup } from "../base/component-group.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import { isEtcdError } from "../protocols/etcd/errors.ts";
import type { WatchResponse } from "../protocols/etcd/generated.ts";
import type { ClientStream } from "../wire/rpc/service.ts";
import { simulatedWorld, type SimulatedWorld } from "../testing/sim/world.ts";
import type { EtcdOptions } from "./options.ts";
import { createEtcd } from "./server.ts";

const b = (text: string) => Buffer.from(text);
const s = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** Runs `body` against a member on the world's disk; `kill` stops it as a power cut does. */
async function withEtcd(
  world: SimulatedWorld,
  body: (client: EtcdClient) => Promise<void>,
  options: Partial<EtcdOptions> = {},
): Promise<void> {
  const etcd = createEtcd({ dataDir: "/data", ...options }, { ...world, log: silent, metrics: new Metrics() });
  const group = new ComponentGroup();
  let done = false;
  const work = (async () => {
    await group.start(etcd);
    await body(etcd.client());
    await group[Symbol.asyncDispose]();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 3_600_000);
  await work;
}

async function next(stream: ClientStream<unknown, WatchResponse>): Promise<WatchResponse> {
  const { value, done } = await stream[Symbol.asyncIterator]().next();
  assert.ok(!done, "the watch has ended");
  return value as WatchResponse;
}

test("a key is created, found, changed under a comparison, and deleted", () =>
  withEtcd(simulatedWorld(1), async ({ kv }) => {
    const create = (value: string, revision: number) =>
      kv.Txn({
        compare: [{ key: b("/registry/pods/a"), target: "MOD", result: "EQUAL", mod_revision: revision }],
        success: [{ request_put: { key: b("/registry/pods/a"), value: b(value) } }],
        failure: [{ request_range: { key: b("/registry/pods/a") } }],
      });
    const first = await create("one", 0);
    assert.equal(first.succeeded, true);
    assert.equal(first.header?.revision, 2);
    const refused = await create("two", 0);
    assert.equal(refused.succeeded, false);
    assert.equal(s(refused.responses[0]!.response_range!.kvs[0]!.value), "one");
    assert.equal((await create("two", 2)).header?.revision, 3);
    const { kvs, count } = await kv.Range({ key: b("/registry/"), range_end: b("/registry0") });
    assert.equal(count, 1);
    assert.deepEqual(
      kvs.map(({ key, value, version, create_revision, mod_revision }) => [
        s(key),
        s(value),
        version,
        create_revision,
        mod_revision,
      ]),
      [["/registry/pods/a", "two", 2, 2, 3]],
    );
    const past = await kv.Range({ key: b("/registry/pods/a"), revision: 2 });
    assert.equal(s(past.kvs[0]!.value), "one");
    assert.equal((await kv.DeleteRange({ key: b("/registry/pods/a") })).deleted, 1);
    assert.equal((await kv.Range({ key: b("/registry/pods/a") })).count, 0);
  }));

test("a watch tells the past it was asked for, then the present, each revision once", () =>
  withEtcd(simulatedWorld(2), async ({ kv, watch }) => {
    for (let i = 0; i < 5; i++) await kv.Put({ key: b("k"), value: b(`${i}`) });
    const stream = watch.Watch();
    stream.send({ create_request: { key: b("a"), range_end: b("z"), start_revision: 3, prev_kv: true } });
    assert.equal((await next(stream)).created, true);
    const revisions: number[] = [];
    const previous: string[] = [];
    const collect = async (until: number) => {
      while (revisions.at(-1) !== until)
        for (const { kv: now, prev_kv } of (await next(stream)).events) {
          revisions.push(now!.mod_revision);
          previous.push(s(prev_kv!.value));
        }
    };
    await collect(6);
    await kv.Put({ key: b("k"), value: b("5") });
    await collect(7);
    assert.deepEqual(revisions, [3, 4, 5, 6, 7]);
    assert.deepEqual(previous, ["0", "1", "2", "3", "4"]);
    stream.cancel();
  }));

test("a watch from a compacted revision fails with the compaction revision", () =>
  withEtcd(simulatedWorld(3), async ({ kv, watch }) => {
    for (let i = 0; i < 5; i++) await kv.Put({ key: b("k"), value: b(`${i}`) });
    await kv.Compact({ revision: 4 });
    const stream = watch.Watch();
    stream.send({ create_request: { key: b("k"), start_revision: 2 } });
    assert.equal((await next(stream)).created, true);
    const { canceled, compact_revision, header } = await next(stream);
    assert.deepEqual(
      { canceled, compact_revision, revision: header?.revision },
      { canceled: true, compact_revision: 4, revision: 0 },
    );
    await assert.rejects(kv.Range({ key: b("k"), revision: 3 }), (error) => isEtcdError(error, "compacted"));
    assert.equal((await kv.Range({ key: b("k"), revision: 4 })).kvs.length, 1);
    stream.cancel();
  }));

test("a lease that nobody renews takes its keys along", () => {
  const world = simulatedWorld(4);
  return withEtcd(world, async ({ kv, lease }) => {
    const { ID, TTL } = await lease.LeaseGrant({ TTL: 1 });
    assert.equal(TTL, 2);
    await kv.Put({ key: b("k"), value: b("v"), lease: ID });
    assert.deepEqual((await lease.LeaseTimeToLive({ ID, keys: true })).keys.map(s), ["k"]);
    await new Promise<void>((resolve) => world.clock.after(6000, resolve));
    assert.equal((await kv.Range({ key: b("k") })).count, 0);
    assert.equal((await lease.LeaseTimeToLive({ ID })).TTL, -1);
  });
});

test("after a power cut everything acknowledged is there, with its revisions, leases and members", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const world = simulatedWorld(seed);
    let revision = 0;
    let id = 0n;
    await withEtcd(world, async ({ kv, lease }) => {
      id = (await lease.LeaseGrant({ TTL: 100 })).ID;
      for (let i = 0; i < 20; i++) await kv.Put({ key: b(`k${i % 7}`), value: b(`${i}`), lease: i % 2 ? id : 0n });
      await kv.DeleteRange({ key: b("k1"), range_end: b("k3") });
      revision = (await kv.Compact({ revision: 10 })).header!.revision;
    });
    world.fs.powerCut();
    await withEtcd(world, async ({ kv, lease }) => {
      const { header, kvs } = await kv.Range({ key: b("k"), range_end: b("l") });
      assert.equal(header!.revision, revision);
      assert.deepEqual(
        kvs.map(({ key, value }) => `${s(key)}=${s(value)}`),
        ["k0=14", "k3=17", "k4=18", "k5=19", "k6=13"],
      );
      assert.deepEqual((await lease.LeaseTimeToLive({ ID: id, keys: true })).keys.map(s), ["k3", "k5", "k6"]);
      await assert.rejects(kv.Range({ key: b("k"), revision: 9 }), (error) => isEtcdError(error, "compacted"));
    });
  }
});

for (const enableV2 of [true, false])
  test(`the v2 API is ${enableV2 ? "served" : "not there where it is switched off, and the v3 API is"}`, () => {
    const world = simulatedWorld(1);
    const ask = async () => {
      await using http = world.net.httpClient({ base: "http://127.0.0.1:2379" });
      const statuses: number[] = [];
      for (const path of ["/v2/keys", "/v2/members", "/v2/stats/self", "/version", "/health"])
        statuses.push((await http.request({ method: "GET", path })).status);
      const v2 = enableV2 ? 200 : 404;
      assert.deepEqual(statuses, [v2, v2, v2, 200, 200]);
    };
    return withEtcd(world, ask, { enableV2, listenClientUrls: ["http://127.0.0.1:2379"] });
  });
