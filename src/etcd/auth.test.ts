/** Authentication on several members, and at every door of one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isEtcdError } from "../protocols/etcd/errors.ts";
import { EtcdMembers } from "../testing/etcd-members.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { sleep } from "../world/time.ts";
import { inProcess } from "../wire/rpc/in-process.ts";
import { RpcError, type CallOptions, type Implementation, type Service } from "../wire/rpc/service.ts";
import { authService } from "./api/auth.ts";
import { HealthState } from "./api/health.ts";
import { kvService } from "./api/kv.ts";
import { directClient } from "./direct-client.ts";
import { leaseService } from "./api/lease.ts";
import type { Member } from "./member.ts";
import type { EtcdOptions } from "./options.ts";
import { servicesOf } from "./server.ts";
import { bindings } from "./serving.ts";

const b = (text: string) => Buffer.from(text);

async function withMembers(
  seed: number,
  names: readonly string[],
  body: (members: EtcdMembers) => Promise<void>,
  options: Partial<EtcdOptions> = {},
): Promise<void> {
  const world = simulatedWorld(seed);
  const members = new EtcdMembers(world, { bcryptCost: 4, ...options });
  let done = false;
  const work = (async () => {
    await members.start([...names]);
    await members.untilLeader();
    await body(members);
    await members.stop();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 3_600_000);
  await work;
  assert.deepEqual(members.failures, []);
}

const callOf = (token: string | undefined) => ({
  metadata: token === undefined ? {} : { token },
  signal: new AbortController().signal,
  peer: "test",
});

/** Root, and alice who may read and write `/a/`. */
async function enable(member: Member): Promise<void> {
  const auth = authService(member);
  for (const name of ["root", "alice"]) await auth.UserAdd({ name, password: `${name}-password` });
  await auth.UserGrantRole({ user: "root", role: "root" });
  await auth.RoleAdd({ name: "a" });
  await auth.RoleGrantPermission({ name: "a", perm: { permType: "READWRITE", key: b("/a/"), range_end: b("/a0") } });
  await auth.UserGrantRole({ user: "alice", role: "a" });
  await auth.AuthEnable({});
}

const tokenFor = async (member: Member, name: string) =>
  (await authService(member).Authenticate({ name, password: `${name}-password` })).token;

const put = (member: Member, key: string, token?: string) =>
  kvService(member).Put({ key: b(key), value: b("1") }, callOf(token));
const get = async (member: Member, key: string, token?: string) =>
  (await kvService(member).Range({ key: b(key) }, callOf(token))).kvs.length;

const fails = (work: Promise<unknown>, name: Parameters<typeof isEtcdError>[1]) =>
  assert.rejects(work, (error) => isEtcdError(error, name) || assert.fail(String(error)));

test("a token that one member gave is good at all of them, at once", async () => {
  await withMembers(1, ["a", "b", "c"], async (members) => {
    await enable(members.all[0]!);
    for (const giver of members.all) {
      const token = await tokenFor(giver, "alice");
      await Promise.all(members.all.map((member) => put(member, "/a/x", token)));
      for (const member of members.all) assert.equal(await get(member, "/a/x", token), 1);
    }
  });
});

test("a member that is behind waits for the entry that brings a token, and refuses one that never comes", async () => {
  await withMembers(2, ["a", "b", "c"], async (members) => {
    const leader = await members.untilLeader();
    await enable(leader);
    const behind = members.all.find(({ id }) => id !== leader.id)!;
    await members.until(() => behind.auth.enabled && behind.appliedIndex === leader.appliedIndex);
    members.peers.loses = (_, to, message) => to === behind.id && message.type === "MsgApp";
    const token = await tokenFor(leader, "alice");
    let answered = false;
    const reading = kvService(behind).Range({ key: b("/a/x"), serializable: true }, callOf(token));
    void Promise.resolve(reading).finally(() => (answered = true));
    await sleep(members.world.clock, 50);
    assert.equal(answered, false);
    members.peers.loses = () => false;
    assert.equal((await reading).kvs.length, 0);
    const began = members.world.clock.monotonic();
    await fails(put(leader, "/a/x", `${token.split(".")[0]}.99999999`), "invalidAuthToken");
    assert.equal(Math.round(members.world.clock.monotonic() - began), 7000);
  });
});

test("what is taken from a user through one member is gone for reads through another", async () => {
  await withMembers(3, ["a", "b", "c"], async (members) => {
    const [one, two] = members.all as [Member, Member, Member];
    await enable(one);
    const [root, alice] = [await tokenFor(one, "root"), await tokenFor(two, "alice")];
    assert.equal(await get(two, "/a/x", alice), 0);
    await authService(one).UserRevokeRole({ name: "alice", role: "a" }, callOf(root));
    await fails(get(two, "/a/x", alice), "permissionDenied");
    await authService(one).UserChangePassword({ name: "alice", password: "new" }, callOf(root));
    await fails(get(two, "/a/x", alice), "invalidAuthToken");
    await fails(tokenFor(two, "alice"), "authFailed");
  });
});

test("leases end under authentication, whatever hangs on them", async () => {
  await withMembers(4, ["a", "b", "c"], async (members) => {
    const leader = await members.untilLeader();
    await enable(leader);
    const root = await tokenFor(leader, "root");
    const { ID } = await leaseService(leader, members.world.random).LeaseGrant({ TTL: 2 }, callOf(root));
    await kvService(leader).Put({ key: b("/secret"), value: b("1"), lease: ID }, callOf(root));
    await members.until(() => leader.lessor.get(ID) === undefined);
    assert.equal(await get(leader, "/secret", await tokenFor(leader, "root")), 0);
  });
});

test("users, roles and permissions outlive a restart, and come to a member with the leader's snapshot", async () => {
  const options = { snapshotCount: 20, snapshotCatchupEntries: 5, walSegmentBytes: 4096 };
  await withMembers(
    5,
    ["a", "b", "c"],
    async (members) => {
      const leader = await members.untilLeader();
      const gone = members.all.find(({ id }) => id !== leader.id)!.options.name;
      await members.kill(gone);
      await enable(leader);
      const root = await tokenFor(leader, "root");
      for (let i = 0; i < 100; i++) await put(leader, `/a/${i}`, root);
      const back = await members.restart(gone);
      await members.until(() => back.appliedIndex >= leader.appliedIndex);
      assert.ok(members.peers.snapshots > 0, "there was no snapshot");
      assert.equal(back.auth.revision, leader.auth.revision);
      assert.deepEqual(back.auth.users, ["alice", "root"]);
      await fails(get(back, "/a/1"), "userEmpty");
      const alice = await tokenFor(back, "alice");
      assert.equal(await get(back, "/a/1", alice), 1);
      for (const name of ["a", "b", "c"]) await members.kill(name);
      for (const name of ["a", "b", "c"]) await members.restart(name);
      await members.untilLeader();
      for (const member of members.all) {
        await fails(get(member, "/a/1"), "userEmpty");
        await fails(get(member, "/secret", await tokenFor(member, "alice")), "permissionDenied");
      }
    },
    options,
  );
});

test("a password that is changed while it is checked gives no token", async () => {
  await withMembers(6, ["a"], async (members) => {
    const member = members.all[0]!;
    await enable(member);
    const root = await tokenFor(member, "root");
    const checking = tokenFor(member, "alice");
    const changing = authService(member).UserChangePassword({ name: "alice", password: "new" }, callOf(root));
    await Promise.all([fails(checking, "authFailed"), changing]);
  });
});

/** What may be asked by anyone; everything else is for users. */
const FOR_ANYONE = new Set([
  "etcdserverpb.Auth/AuthStatus",
  "etcdserverpb.Auth/Authenticate",
  "grpc.health.v1.Health/Check",
  "grpc.health.v1.Health/List",
  "grpc.health.v1.Health/Watch",
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]);
/** What every user may do: what keys are in it is another question. */
const FOR_USERS = new Set([
  "etcdserverpb.Auth/UserGet",
  "etcdserverpb.Cluster/MemberList",
  "etcdserverpb.KV/DeleteRange",
  "etcdserverpb.KV/Put",
  "etcdserverpb.KV/Range",
  "etcdserverpb.KV/RangeStream",
  "etcdserverpb.KV/Txn",
  "etcdserverpb.Lease/LeaseGrant",
  "etcdserverpb.Lease/LeaseKeepAlive",
  "etcdserverpb.Lease/LeaseLeases",
  "etcdserverpb.Lease/LeaseRevoke",
  "etcdserverpb.Lease/LeaseTimeToLive",
  "etcdserverpb.Maintenance/Alarm",
  "etcdserverpb.Maintenance/Status",
  "etcdserverpb.Watch/Watch",
  "v3electionpb.Election/Campaign",
  "v3electionpb.Election/Leader",
  "v3electionpb.Election/Observe",
  "v3electionpb.Election/Proclaim",
  "v3electionpb.Election/Resign",
  "v3lockpb.Lock/Lock",
  "v3lockpb.Lock/Unlock",
]);

const KEY = { key: b("/a/x") };
const LEADER = { name: b("/a/e"), key: b("/a/e/1"), rev: 1, lease: 1n };
/** The least that gets by the checks of a request's form. */
const BODIES: Readonly<Record<string, object>> = {
  Put: KEY,
  Range: KEY,
  RangeStream: KEY,
  DeleteRange: KEY,
  Txn: { compare: [KEY] },
  UserGet: { name: "alice" },
  Watch: { create_request: KEY },
  Lock: { name: b("/a/l") },
  Unlock: { key: b("/a/l/1") },
  Campaign: { name: b("/a/e") },
  Leader: { name: b("/a/e") },
  Observe: { name: b("/a/e") },
  Proclaim: { leader: LEADER },
  Resign: { leader: LEADER },
};

test("without a token nothing is answered, and what is root's only to root", async () => {
  await withMembers(7, ["a"], async (members) => {
    const member = members.all[0]!;
    const { world } = members;
    await enable(member);
    const alice = await tokenFor(member, "alice");
    const deps = { ...world, log: silent, metrics: new Metrics() };
    const wrong: string[] = [];
    const seen = new Set<string>();
    for (const { service, implementation } of bindings(member, servicesOf(member, deps), new HealthState(silent))) {
      const client = inProcess(service, implementation as Implementation<Service>, {
        codec: member.codec,
        clock: world.clock,
      });
      for (const [name, { kind }] of Object.entries(service.methods)) {
        const path = `${service.name}/${name}`;
        seen.add(path);
        const ask = async (metadata: Record<string, string>): Promise<string> => {
          const stop = new AbortController();
          const options: CallOptions = { metadata, signal: stop.signal };
          const body = BODIES[name] ?? {};
          try {
            const call = (client as Record<string, (...args: unknown[]) => any>)[name]!;
            if (kind === "unary") {
              await Promise.race([call(body, options), sleep(world.clock, 100)]);
              return "answered";
            }
            const stream = kind === "bidi" ? call(options) : call(body, options);
            if (kind === "bidi") stream.send(body);
            if (kind === "bidi") stream.end();
            for await (const answer of stream) return answer.cancel_reason || "answered";
            return "answered";
          } catch (error) {
            return error instanceof RpcError ? error.message : `threw ${String(error)}`;
          } finally {
            stop.abort();
          }
        };
        const anonymous = await ask({});
        if (anonymous.includes("etcdserver: user name is empty") === FOR_ANYONE.has(path))
          wrong.push(`${path} without a token: ${anonymous}`);
        if (FOR_ANYONE.has(path)) continue;
        const forged = await ask({ token: "abcdefghijklmnop.1" });
        if (!forged.includes("etcdserver: invalid auth token")) wrong.push(`${path} with a wrong token: ${forged}`);
        const user = await ask({ token: alice });
        if (user.includes("etcdserver: permission denied") === FOR_USERS.has(path))
          wrong.push(`${path} as a user: ${user}`);
      }
    }
    assert.deepEqual(wrong, []);
    for (const path of [...FOR_ANYONE, ...FOR_USERS]) assert.ok(seen.has(path), path);
  });
});

test("a client in the member's own process is asked for a token like any other", async () => {
  await withMembers(8, ["a"], async (members) => {
    const member = members.all[0]!;
    await enable(member);
    const deps = { ...members.world, log: silent, metrics: new Metrics() };
    const services = servicesOf(member, deps);
    const { kv } = directClient(() => services);
    const request = { key: b("/a/x"), value: b("1") };
    await fails(kv.Put(request), "userEmpty");
    const token = await tokenFor(member, "alice");
    assert.ok(await kv.Put(request, { metadata: { token } }));
    const { signal } = new AbortController();
    assert.equal((await kv.Range(request, { metadata: { token }, signal })).kvs.length, 1);
    await fails(kv.Put({ ...request, key: b("/b") }, { metadata: { token } }), "permissionDenied");
  });
});

test("no password is ever written down", async () => {
  await withMembers(9, ["a"], async (members) => {
    const member = members.all[0]!;
    await enable(member);
    const root = await tokenFor(member, "root");
    await authService(member).UserChangePassword({ name: "alice", password: "changed-password" }, callOf(root));
    const { fs } = [...members.started.values()][0]!;
    const texts: string[] = [];
    const walk = async (folder: string): Promise<void> => {
      for (const name of await fs.list(folder)) {
        const path = `${folder}/${name}`;
        if ((await fs.stat(path))?.kind === "dir") await walk(path);
        else texts.push(Buffer.from(await fs.readFile(path)).toString("latin1"));
      }
    };
    await walk("/");
    const all = texts.join();
    assert.ok(all.includes("alice"), "the log was not found");
    assert.doesNotMatch(all, /-password/);
  });
});
