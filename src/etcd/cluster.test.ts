/** Several members as one store: elections, replication, lost leaders, partitions, snapshots. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred } from "../base/deferred.ts";
import { isEtcdError } from "../protocols/etcd/errors.ts";
import { KV, Watch, type RangeResponse, type WatchResponse } from "../protocols/etcd/generated.ts";
import { EtcdMembers, infoOf } from "../testing/etcd-members.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { bind } from "../wire/rpc/grpc-server.ts";
import { MessageQueue } from "../wire/rpc/message-queue.ts";
import type { Call } from "../wire/rpc/service.ts";
import { Guard } from "./api/guard.ts";
import { kvService } from "./api/kv.ts";
import { leaseService } from "./api/lease.ts";
import { maintenanceService } from "./api/maintenance.ts";
import { watchService } from "./api/watch.ts";
import { memberContext } from "./cluster/identity.ts";
import type { Member } from "./member.ts";
import type { EtcdOptions } from "./options.ts";

const b = (text: string) => Buffer.from(text);

/** Runs `body` in virtual time, with members that end with it. */
async function withMembers(
  seed: number,
  options: Partial<EtcdOptions>,
  body: (members: EtcdMembers) => Promise<void>,
): Promise<void> {
  const world = simulatedWorld(seed);
  const members = new EtcdMembers(world, options);
  let done = false;
  const work = (async () => {
    await body(members);
    await members.stop();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 3_600_000);
  await work;
  assert.deepEqual(members.failures, []);
}

const put = (member: Member, key: string, value: string) => kvService(member).Put({ key: b(key), value: b(value) });

async function read(member: Member, key: string, serializable = false): Promise<string | undefined> {
  const { kvs } = await kvService(member).Range({ key: b(key), serializable });
  return kvs[0] === undefined ? undefined : Buffer.from(kvs[0].value).toString();
}

test("three members elect a leader, and what is written through any of them is read from all", async () => {
  await withMembers(1, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    for (const member of members.all) {
      await put(member, `by-${member.options.name}`, member.options.name);
      for (const other of members.all)
        assert.equal(await read(other, `by-${member.options.name}`), member.options.name);
    }
    const { term } = leader;
    const { header } = await put(leader, "x", "1");
    assert.equal(header!.raft_term, term);
    await Promise.all(members.all.map(({ published }) => published));
    for (const member of members.all) {
      assert.deepEqual(member.members.map(({ name }) => name).sort(), ["a", "b", "c"]);
      const status = await maintenanceService(member).Status();
      assert.equal(status.leader, leader.id);
      assert.deepEqual(status.errors, []);
    }
  });
});

test("when the leader is lost the others go on, and it catches up when it is back", async () => {
  await withMembers(2, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const first = await members.untilLeader();
    await put(first, "k", "1");
    const name = first.options.name;
    await members.kill(name);
    const second = await members.untilLeader();
    assert.notEqual(second.id, first.id);
    await put(second, "k", "2");
    for (const member of members.all) assert.equal(await read(member, "k"), "2");
    const back = await members.restart(name);
    await members.until(() => back.leader === second.id);
    assert.equal(await read(back, "k"), "2");
    assert.equal(back.store.revision, second.store.revision);
  });
});

test("what was acknowledged survives a loss of power everywhere", async () => {
  await withMembers(3, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    for (let i = 0; i < 30; i++) await put(leader, `k${i}`, String(i));
    for (const name of ["a", "b", "c"]) await members.kill(name);
    for (const name of ["a", "b", "c"]) await members.restart(name);
    await members.untilLeader();
    for (const member of members.all) for (let i = 0; i < 30; i++) assert.equal(await read(member, `k${i}`), String(i));
  });
});

test("a leader cut off from the others confirms no read and acknowledges no write", async () => {
  await withMembers(4, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const old = await members.untilLeader();
    await put(old, "k", "1");
    members.peers.loses = (from, to) => from === old.id || to === old.id;
    const lateRead = read(old, "k").then(
      () => assert.fail("a read was confirmed"),
      (error: unknown) => error,
    );
    const lateWrite = put(old, "k", "lost").then(
      () => assert.fail("a write was acknowledged"),
      (error: unknown) => error,
    );
    assert.equal(await read(old, "k", true), "1");
    const others = members.all.filter(({ id }) => id !== old.id);
    await members.until(() => others.some(({ leadership }) => leadership.isLeader));
    const leader = others.find(({ leadership }) => leadership.isLeader)!;
    await put(leader, "k", "2");
    assert.equal(await read(old, "k", true), "1");
    assert.ok(isEtcdError(await lateRead, "timeout"));
    assert.ok(isEtcdError(await lateWrite, "timeout"));
    assert.equal(old.leader, 0n);
    assert.ok((await maintenanceService(old).Status()).errors.includes("etcdserver: no leader"));
    members.peers.loses = () => false;
    await members.untilLeader();
    assert.equal(await read(old, "k"), "2");
  });
});

test("a request without a leader waits for one, and gives up when its time is over", async () => {
  await withMembers(5, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const first = await members.untilLeader();
    await put(first, "k", "1");
    const others = members.all.filter(({ id }) => id !== first.id);
    await members.kill(first.options.name);
    await members.until(() => others[0]!.leader === 0n);
    await put(others[0]!, "k", "2");
    await members.kill(others[1]!.options.name);
    await members.until(() => others[0]!.leader === 0n);
    const began = members.world.clock.monotonic();
    await assert.rejects(put(others[0]!, "k", "3"), (error) => isEtcdError(error, "deadlineExceeded"));
    assert.equal(Math.round((members.world.clock.monotonic() - began) / 100), 70);
  });
});

test("a follower that is too far behind is sent a snapshot, and its watchers miss nothing", async () => {
  await withMembers(6, { snapshotCatchupEntries: 10, snapshotCount: 50 }, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    const { ID } = await leaseService(leader, members.world.random).LeaseGrant({ TTL: 600 });
    await kvService(leader).Put({ key: b("leased"), value: b("x"), lease: ID });
    const slow = members.all.find(({ id }) => id !== leader.id)!;
    await members.until(() => slow.appliedIndex === leader.appliedIndex);
    const seen: number[] = [];
    const stream = slow.watchable.open({
      send: ({ events }) => {
        for (const { kv } of events) seen.push(kv!.mod_revision);
        return true;
      },
      drained: Promise.resolve(),
    });
    stream.create({ key: b("k"), range_end: b("l") });
    members.peers.loses = (from, to) => from === slow.id || to === slow.id;
    for (let i = 0; i < 300; i++) await put(leader, `k${i % 7}`, String(i));
    assert.equal(members.peers.snapshots, 0);
    members.peers.loses = () => false;
    await members.until(() => slow.appliedIndex === leader.appliedIndex);
    assert.ok(members.peers.snapshots >= 1, "no snapshot was sent");
    assert.equal(await read(slow, "k1"), await read(leader, "k1"));
    assert.deepEqual([...slow.lessor.get(ID)!.keys], ["leased"]);
    await put(leader, "k-last", "y");
    await members.until(() => seen.at(-1) === leader.store.revision);
    assert.deepEqual(
      seen,
      Array.from({ length: seen.length }, (_, i) => seen[0]! + i),
    );
    assert.equal(seen.length, 301);
    // What came with the snapshot is on its disk.
    await members.kill(slow.options.name);
    const again = await members.restart(slow.options.name);
    assert.equal(await read(again, "k1", true), await read(leader, "k1"));
    await members.untilLeader();
    assert.equal(await read(again, "k-last"), "y");
  });
});

test("a learner follows without a vote, serves what it has, and may become a member", async () => {
  await withMembers(7, {}, async (members) => {
    await members.start(["a"]);
    const leader = await members.untilLeader();
    await put(leader, "k", "1");
    const info = { ...infoOf("d"), isLearner: true };
    const change = { transition: "ConfChangeTransitionAuto" as const, context: memberContext(info) };
    const after = await leader.proposeConfChange({
      ...change,
      changes: [{ type: "ConfChangeAddLearnerNode", nodeId: info.ID }],
    });
    assert.deepEqual(after.map(({ isLearner }) => isLearner).sort(), [false, true]);
    const learner = await members.join("d");
    await members.until(() => learner.appliedIndex === leader.appliedIndex && leader.appliedIndex > 0);
    assert.equal(await read(learner, "k", true), "1");
    assert.ok(learner.isLearner);
    assert.deepEqual(leader.confState.learners, [info.ID]);
    await assert.rejects(leader.moveLeader(info.ID), (error) => isEtcdError(error, "badLeaderTransferee"));
    await leader.proposeConfChange({
      ...change,
      changes: [{ type: "ConfChangeAddNode", nodeId: info.ID }],
      context: memberContext({ ...info, isLearner: false }, true),
    });
    await members.until(() => !learner.isLearner);
    await leader.moveLeader(info.ID);
    assert.ok(learner.leadership.isLeader);
    await put(leader, "k", "2");
    assert.equal(await read(learner, "k"), "2");
  });
});

test("a follower whose disk fails acknowledges nothing", async () => {
  const world = simulatedWorld(10);
  const members = new EtcdMembers(world);
  let done = false;
  const work = (async () => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    await put(leader, "k", "1");
    const [one, other] = members.all.filter(({ id }) => id !== leader.id) as [Member, Member];
    await members.kill(one.options.name);
    members.started.get(other.options.name)!.fs.failWrites = new Error("ENOSPC");
    await assert.rejects(put(leader, "k", "2"), (error) => isEtcdError(error, "timeout"));
    assert.ok(members.failures.length > 0);
    assert.equal(await read(leader, "k", true), "1");
    await members.stop();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 60_000);
  await work;
});

test("a vote is remembered over a loss of power", async () => {
  await withMembers(11, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    const voter = members.all.find((member) => member.id !== leader.id && member.raftStatus().vote === leader.id)!;
    const { term } = voter.raftStatus();
    const { name } = voter.options;
    await members.kill(name);
    members.peers.loses = () => true;
    const again = (await members.restart(name)).raftStatus();
    assert.equal(again.term, term);
    assert.equal(again.vote, leader.id);
  });
});

test("requests that were under way when the leader was lost are told why they failed", async () => {
  await withMembers(15, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const first = await members.untilLeader();
    const [one, other] = members.all.filter(({ id }) => id !== first.id) as [Member, Member];
    // Both of them are still led, but nothing reaches the leader from them: their proposals get lost.
    members.peers.loses = (_, to, { type }) => to === first.id && type === "MsgProp";
    const asked = [put(one, "k", "1"), put(other, "k", "2")].map((answer) => answer.catch((error: unknown) => error));
    await members.pass(50);
    members.peers.loses = (from, to) => from === first.id || to === first.id;
    await members.until(() => one.leader === other.leader && one.leader !== first.id && one.leader !== 0n);
    const errors = await Promise.all(asked);
    const leader = [one, other].findIndex(({ leadership }) => leadership.isLeader);
    assert.ok(isEtcdError(errors[leader], "timeoutLeaderFailed"), String(errors[leader]));
    members.peers.loses = () => false;
    await members.untilLeader();
    await put(one, "k", "3");
  });
});

test("a leader that slept asks the others before it lets leases end", async () => {
  await withMembers(13, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    assert.equal(leader.ensureLeadership(), true);
    // Its clock goes on without it, as for a process that was stopped; meanwhile others may have elected a leader.
    members.peers.loses = (from, to) => from === leader.id || to === leader.id;
    members.sleeps(leader.options.name, 5000);
    await members.pass(4999);
    const checked = leader.ensureLeadership();
    assert.notEqual(checked, true);
    members.peers.loses = () => false;
    assert.equal(await checked, false);
  });
});

test("a learner answers what it can answer alone; streams that need a leader end without one", async () => {
  await withMembers(14, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    await put(leader, "k", "1");
    const call = (hasleader?: string): Call => ({
      metadata: { hasleader },
      signal: new AbortController().signal,
      peer: "test",
    });
    const guardOf = (member: Member) => new Guard(member, members.world.clock);
    const kvOf = (guard: Guard, member: Member) => guard.binding(bind(KV, kvService(member))).implementation;

    const follower = members.all.find(({ id }) => id !== leader.id)!;
    using guard = guardOf(follower);
    await kvOf(guard, follower)["Put"]!({ key: b("k"), value: b("2") }, call("true"));
    const { Watch: watch } = guard.binding(bind(Watch, watchService(follower))).implementation;
    const answers: WatchResponse[] = [];
    const requests = new MessageQueue<unknown>();
    requests.push({ create_request: { key: b("k") } });
    const stream = {
      send: (answer: WatchResponse) => answers.push(answer) > 0,
      drained: Promise.resolve(),
      [Symbol.asyncIterator]: () => requests,
    };
    const ended = (watch!(stream, call("true")) as Promise<void>).catch((error: unknown) => error);
    await members.until(() => answers.length > 0);
    members.peers.loses = (from, to) => from === follower.id || to === follower.id;
    await members.until(() => follower.leader === 0n);
    const lost = members.world.clock.monotonic();
    assert.throws(
      () => kvOf(guard, follower)["Range"]!({ key: b("k"), serializable: true }, call("true")),
      (error) => isEtcdError(error, "noLeader"),
    );
    assert.ok(isEtcdError(await ended, "noLeader"));
    assert.equal(Math.round((members.world.clock.monotonic() - lost) / 100), 30);
    members.peers.loses = () => false;
    await members.untilLeader();

    const info = { ...infoOf("d"), isLearner: true };
    await leader.proposeConfChange({
      transition: "ConfChangeTransitionAuto",
      changes: [{ type: "ConfChangeAddLearnerNode", nodeId: info.ID }],
      context: memberContext(info),
    });
    const learner = await members.join("d");
    await members.until(() => learner.isLearner && learner.appliedIndex === leader.appliedIndex);
    using learners = guardOf(learner);
    const { Range: range } = kvOf(learners, learner);
    assert.throws(
      () => range!({ key: b("k"), serializable: false }, call()),
      (error) => isEtcdError(error, "learnerNotSupported"),
    );
    const { kvs } = (await range!({ key: b("k"), serializable: true }, call())) as RangeResponse;
    assert.equal(Buffer.from(kvs[0]!.value).toString(), "2");
  });
});

test("a member that is removed hears of it and stops; the others go on", async () => {
  await withMembers(8, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    const gone = members.all.find(({ id }) => id !== leader.id)!;
    let told = false;
    void gone.removed.then(() => (told = true));
    const remove = (nodeId: bigint) =>
      leader.proposeConfChange({
        transition: "ConfChangeTransitionAuto",
        changes: [{ type: "ConfChangeRemoveNode", nodeId }],
        context: new Uint8Array(0),
      });
    assert.equal((await remove(gone.id)).length, 2);
    await members.until(() => told);
    await assert.rejects(remove(gone.id), (error) => isEtcdError(error, "memberNotFound"));
    await put(leader, "k", "1");
    assert.equal(leader.confState.voters.length, 2);
  });
});

test("leases are renewed through any member, outlive the leader, and end when nobody renews them", async () => {
  await withMembers(9, {}, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    const follower = members.all.find(({ id }) => id !== leader.id)!;
    const { ID } = await leaseService(follower, members.world.random).LeaseGrant({ TTL: 5 });
    await kvService(follower).Put({ key: b("leased"), value: b("x"), lease: ID });
    for (let i = 0; i < 4; i++) {
      await members.pass(3000);
      assert.equal(await follower.leases.renew(ID), 5);
    }
    assert.equal((await follower.leases.timeToLive(ID, true))!.keys.length, 1);
    assert.equal(await follower.leases.timeToLive(77n, false), undefined);
    assert.equal(await follower.leases.renew(77n), undefined);
    await members.kill(leader.options.name);
    await members.untilLeader();
    assert.equal(await read(follower, "leased"), "x");
    // A fresh term, and an election timeout more.
    await members.pass(5500);
    assert.equal(await read(follower, "leased"), "x");
    await members.pass(1500);
    assert.equal(await read(follower, "leased"), undefined);
  });
});

test("a snapshot of its own that another member's has overtaken leaves no mark in the log", async () => {
  await withMembers(16, { snapshotCatchupEntries: 10, snapshotCount: 1_000_000 }, async (members) => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    await put(leader, "k", "0");
    const slow = members.all.find(({ id }) => id !== leader.id)!;
    await members.until(() => slow.appliedIndex === leader.appliedIndex);
    members.peers.loses = (from, to) => from === slow.id || to === slow.id;
    for (let i = 0; i < 200; i++) await put(leader, "k", String(i));
    // Held up behind the writes of the other's snapshot.
    const file = members.started.get(slow.options.name)!.fs;
    const other = deferred();
    const write = file.writeFile.bind(file);
    file.writeFile = async (path, ...rest) => {
      if (path.endsWith(".snap") && members.peers.snapshots === 0) await other.promise;
      return write(path, ...rest);
    };
    const own = slow.snapshot();
    await members.pass(10);
    members.peers.loses = () => false;
    await members.until(() => slow.appliedIndex === leader.appliedIndex);
    other.resolve();
    await own;
    const { name } = slow.options;
    await members.kill(name);
    const again = await members.restart(name);
    await members.until(() => again.leader !== 0n);
    assert.equal(await read(again, "k"), "199");
  });
});
