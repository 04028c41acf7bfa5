/**
 * Clients on our etcd as processes: npm's `etcd3` and our own over gRPC, on one member and on three of which the leader is killed at work. Nothing
 * here needs another etcd.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Etcd3, type IOptions } from "etcd3";
import { machineWorld } from "../../src/cli/world.ts";
import { connectEtcd, etcdCodec } from "../../src/protocols/etcd/connect.ts";
import { Auth, Election, Lock } from "../../src/protocols/etcd/generated.ts";
import { EtcdProcesses, type EtcdProcess } from "../../src/testing/etcd-processes.ts";
import { grpcClient } from "../../src/wire/rpc/grpc-client.ts";
import { RpcError } from "../../src/wire/rpc/service.ts";

const b = (text: string) => Buffer.from(text);
const s = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const QUICK = ["--heartbeat-interval=50", "--election-timeout=500", "--bcrypt-cost=4"];

async function until(what: string, reached: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 120_000;
  while (!(await Promise.resolve(reached()).catch(() => false))) {
    assert.ok(performance.now() < end, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function start(processes: EtcdProcesses, count: number): Promise<readonly EtcdProcess[]> {
  const names = ["m0", "m1", "m2"].slice(0, count);
  await processes.reserve(names);
  const options = { initialCluster: processes.clusterOf(names), flags: QUICK };
  return Promise.all(names.map((name) => processes.start("ours", name, options)));
}

async function leaderOf(members: readonly EtcdProcess[]): Promise<EtcdProcess> {
  let leader: EtcdProcess | undefined;
  await until("a leader", async () => {
    for (const member of members) {
      const { header, leader: id } = await member.client.maintenance.Status({}, { timeoutMs: 2000 });
      if (header!.member_id === id) leader = member;
    }
    return leader !== undefined;
  });
  return leader!;
}

for (const count of [1, 3])
  test(`npm's etcd3 does all it can on ${count} of ours`, async () => {
    await using processes = await EtcdProcesses.create();
    const members = await start(processes, count);
    const options: IOptions = { hosts: members.map(({ endpoint }) => endpoint) };
    const client = new Etcd3(options);
    try {
      // Keys.
      await client.put("k/a").value("1");
      await client.put("k/b").value(2);
      assert.equal(await client.get("k/b").number(), 2);
      assert.deepEqual(await client.getAll().prefix("k/").strings(), { "k/a": "1", "k/b": "2" });
      assert.deepEqual(await client.getAll().prefix("k/").sort("Key", "Descend").keys(), ["k/b", "k/a"]);
      assert.equal(await client.getAll().prefix("k/").count(), 2);
      const swap = (was: string, to: string) =>
        client.if("k/a", "Value", "==", was).then(client.put("k/a").value(to)).else(client.get("k/a")).commit();
      assert.equal((await swap("1", "x")).succeeded, true);
      assert.equal((await swap("1", "y")).succeeded, false);
      // Ten who add to one number, none of which is lost.
      await client.put("sum").value(0);
      const add = () =>
        client
          .stm({ retries: 100 })
          .transact(async (tx) => tx.put("sum").value(Number(await tx.get("sum").number()) + 1));
      await Promise.all(Array.from({ length: 10 }, add));
      assert.equal(await client.get("sum").number(), 10);
      assert.equal((await client.delete().prefix("k/").exec()).deleted, "2");

      // Watches and leases.
      const watcher = await client.watch().prefix("w/").create();
      const seen: string[] = [];
      watcher.on("put", ({ key, value }) => seen.push(`${key} ${value}`));
      watcher.on("delete", ({ key }) => seen.push(`${key} gone`));
      const lease = client.lease(60);
      await lease.put("w/1").value("leased");
      await lease.keepaliveOnce();
      await lease.revoke();
      await until("the watch", () => seen.length === 2);
      assert.deepEqual(seen, ["w/1 leased", "w/1 gone"]);
      await watcher.cancel();

      // Locks and elections.
      let inside = 0;
      const turn = () =>
        client.lock("l").do(async () => {
          assert.equal(++inside, 1);
          await new Promise((resolve) => setTimeout(resolve, 5));
          inside--;
        });
      for (let i = 0; i < 3; i++) await turn();
      const held = await client.lock("l").acquire();
      await assert.rejects(client.lock("l").acquire());
      await held.release();
      const election = client.election("e");
      const first = election.campaign("first");
      const elected = (campaign: typeof first) => new Promise((resolve) => campaign.once("elected", resolve));
      await elected(first);
      // Only now: over several members the one who came second might be heard first.
      const second = election.campaign("second");
      const secondElected = elected(second);
      assert.equal(await election.leader(), "first");
      await first.resign();
      await secondElected;
      assert.equal(await election.leader(), "second");
      await second.resign();

      // Users.
      const role = client.role("r");
      await role.create();
      await role.grant({ permission: "Readwrite", range: client.range({ prefix: "mine/" }) });
      const user = client.user("ann");
      await user.create("pw");
      await user.addRole("r");
      const root = client.user("root");
      await root.create("pw");
      await client.role("root").create();
      await root.addRole("root");
      await client.auth.authEnable();
      const ann = new Etcd3({ ...options, auth: { username: "ann", password: "pw" } });
      // Another member may learn of it a little later.
      await until("ann may write", () =>
        ann
          .put("mine/1")
          .value("1")
          .then(() => true),
      );
      assert.equal(await ann.get("mine/1").string(), "1");
      await assert.rejects(ann.put("other").value("1").exec(), /permission denied/);
      await assert.rejects(client.get("mine/1").string());
      ann.close();
      const admin = new Etcd3({ ...options, auth: { username: "root", password: "pw" } });
      await admin.auth.authDisable();
      admin.close();
    } finally {
      client.close();
    }
  });

test("our client writes, watches, keeps its lease and its lock while the leader of three is killed", async () => {
  await using processes = await EtcdProcesses.create();
  const members = await start(processes, 3);
  const world = machineWorld();
  const leader = await leaderOf(members);
  const others = members.filter((member) => member !== leader);
  // The leader first: that one is lost.
  const client = connectEtcd(world, { endpoints: [leader, ...others].map(({ endpoint }) => endpoint) });
  const follower = others[0]!;
  const http = world.net.httpClient({ base: follower.endpoint, version: "2" });
  const grpc = { http, clock: world.clock, codec: etcdCodec() };
  const [lock, election, auth] = [grpcClient(Lock, grpc), grpcClient(Election, grpc), grpcClient(Auth, grpc)];
  try {
    const { ID } = await client.lease.LeaseGrant({ TTL: 60 });
    const { key } = await lock.Lock({ name: b("l"), lease: ID });
    const { leader: won } = await election.Campaign({ name: b("e"), lease: ID, value: b("me") });
    const watch = follower.client.watch.Watch();
    watch.send({ create_request: { key: b("n"), start_revision: 1 } });
    const seen: number[] = [];
    const watched = (async () => {
      for await (const { events } of watch) {
        for (const { kv } of events) seen.push(Number(s(kv!.value)));
        if (seen.at(-1) === 60) return;
      }
    })();
    let killed: Promise<void> | undefined;
    for (let i = 1; i <= 60; i++) {
      if (i === 20) killed = leader.kill("SIGKILL");
      // Tried until it is acknowledged; the same value may be written twice.
      await until(`put ${i}`, async () => {
        try {
          await client.kv.Put({ key: b("n"), value: b(String(i)) }, { timeoutMs: 3000 });
          return true;
        } catch (error) {
          assert.ok(error instanceof RpcError && i >= 20, String(error));
          return false;
        }
      });
    }
    await killed;
    await watched;
    watch.cancel();
    assert.deepEqual(
      [...new Set(seen)],
      Array.from({ length: 60 }, (_, i) => i + 1),
    );
    assert.deepEqual(
      seen,
      seen.toSorted((x, y) => x - y),
    );

    // What hung on the lease is there, and goes with it.
    const keepAlive = client.lease.LeaseKeepAlive();
    keepAlive.send({ ID });
    for await (const { TTL } of keepAlive) {
      assert.equal(TTL, 60);
      break;
    }
    const { keys } = await client.lease.LeaseTimeToLive({ ID, keys: true });
    assert.deepEqual(keys.map(s).sort(), [s(won!.key), s(key)].sort());
    assert.equal(s((await election.Leader({ name: b("e") })).kv!.value), "me");
    await lock.Unlock({ key });
    await client.lease.LeaseRevoke({ ID });
    await assert.rejects(election.Leader({ name: b("e") }), /election: no leader/);

    for (const [name, role] of [
      ["root", "root"],
      ["ann", "r"],
    ] as const) {
      await auth.UserAdd({ name, password: "pw" });
      await auth.RoleAdd({ name: role });
      await auth.UserGrantRole({ user: name, role });
    }
    await auth.RoleGrantPermission({ name: "r", perm: { permType: "READ", key: b("n") } });
    await auth.AuthEnable({});
    const { token } = await auth.Authenticate({ name: "ann", password: "pw" });
    // The token is good on the other one, too.
    const ann = connectEtcd(world, { endpoints: [others[1]!.endpoint], metadata: { token } });
    assert.equal(s((await ann.kv.Range({ key: b("n") })).kvs[0]!.value), "60");
    await assert.rejects(ann.kv.Put({ key: b("n") }), /permission denied/);
    await ann.close();
  } finally {
    await http.close();
    await client.close();
  }
});
