/**
 * Clusters of real processes: ours alone, ours with Debian's etcd 3.4 in every role, changes of members, snapshots in both directions, and the
 * ways in which a cluster is found. Needs no etcd but ours where it says so; the rest skips.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { EtcdProcesses, type EtcdProcess } from "../../src/testing/etcd-processes.ts";
import { isEtcdError } from "../../src/protocols/etcd/errors.ts";

const UPSTREAM = "/usr/bin/etcd";
const skip = existsSync(UPSTREAM) ? false : "no etcd on this machine";
/** What keeps a test short: quick elections, little log. */
const QUICK = ["--heartbeat-interval=50", "--election-timeout=500"];
const b = (text: string) => Buffer.from(text);

async function put(member: EtcdProcess, key: string, value: string, timeoutMs = 60_000): Promise<void> {
  await member.client.kv.Put({ key: b(key), value: b(value) }, { timeoutMs });
}

async function get(member: EtcdProcess, key: string): Promise<string | undefined> {
  const { kvs } = await member.client.kv.Range({ key: b(key) }, { timeoutMs: 60_000 });
  return kvs[0] && Buffer.from(kvs[0].value).toString();
}

async function putMany(member: EtcdProcess, count: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) await put(member, `many${next % 100}`, `${next++}`);
  };
  await Promise.all(Array.from({ length: 64 }, work));
}

async function until(what: string, reached: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 120_000;
  for (;;) {
    if (await reached().catch(() => false)) return;
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const status = (member: EtcdProcess) => member.client.maintenance.Status({}, { timeoutMs: 2000 });
const idOf = async (member: EtcdProcess) => (await status(member)).header!.member_id;

async function leaderOf(members: readonly EtcdProcess[]): Promise<EtcdProcess> {
  let leader: EtcdProcess | undefined;
  await until("a leader", async () => {
    for (const member of members) {
      const { header, leader: id } = await status(member);
      if (id === header!.member_id) leader = member;
    }
    return leader !== undefined;
  });
  return leader!;
}

async function untilEqual(members: readonly EtcdProcess[]): Promise<void> {
  await until("equal stores", async () => {
    const hashes = await Promise.all(members.map((member) => member.client.maintenance.HashKV({ revision: 0 })));
    return new Set(hashes.map(({ hash, header }) => `${hash} ${header!.revision}`)).size === 1;
  });
}

async function moveLeader(members: readonly EtcdProcess[], to: EtcdProcess): Promise<void> {
  const leader = await leaderOf(members);
  if (leader === to) return;
  await leader.client.maintenance.MoveLeader({ targetID: await idOf(to) });
  await until(`${to.name} leads`, async () => (await leaderOf(members)) === to);
}

/** All started at once: none is ready before there is a quorum. */
async function startAll(
  processes: EtcdProcesses,
  members: Readonly<Record<string, string>>,
  flags: readonly string[] = QUICK,
): Promise<EtcdProcess[]> {
  const names = Object.keys(members);
  await processes.reserve(names);
  const initialCluster = processes.clusterOf(names);
  return Promise.all(
    names.map((name) => {
      const ours = members[name] === "ours" ? ["--snapshot-count=100", "--snapshot-catchup-entries=20"] : [];
      return processes.start(members[name]!, name, { initialCluster, flags: [...flags, ...ours] });
    }),
  );
}

test("three members elect, survive the loss of one, take it back, and all come back after kill -9", async () => {
  await using processes = await EtcdProcesses.create();
  const members = await startAll(processes, { a: "ours", b: "ours", c: "ours" });
  for (const member of members) await put(member, member.name, "1");
  assert.equal(await get(members[0]!, "c"), "1");
  const { members: known } = await members[1]!.cluster.MemberList({ linearizable: true });
  assert.deepEqual(known.map(({ name }) => name).sort(), ["a", "b", "c"]);
  const version = await (await fetch(`${members[0]!.endpoint}/version`)).json();
  assert.equal((version as { etcdcluster: string }).etcdcluster, "3.7.0");

  const lost = await leaderOf(members);
  const rest = members.filter((member) => member !== lost);
  await lost.kill("SIGKILL");
  await until("a write without the old leader", () => put(rest[0]!, "without", "it", 500).then(() => true));
  await putMany(rest[1]!, 300); // More than the log keeps: it comes back by a snapshot.
  const initialCluster = processes.clusterOf(["a", "b", "c"]);
  const back = await processes.start("ours", lost.name, { initialCluster, flags: QUICK });
  assert.equal(await get(back, "without"), "it");
  await untilEqual([back, ...rest]);
  await until("it says so", async () => /applied snapshot/.test(back.log));

  const lease = await back.client.lease.LeaseGrant({ TTL: 6000 });
  for (const member of [back, ...rest]) {
    const { TTL, grantedTTL } = await member.client.lease.LeaseTimeToLive({ ID: lease.ID });
    assert.ok(TTL > 5000 && grantedTTL === 6000, `${member.name} knows the lease`);
  }

  await Promise.all([back, ...rest].map((member) => member.kill("SIGKILL")));
  const again = await Promise.all(
    ["a", "b", "c"].map((name) => processes.start("ours", name, { initialCluster, flags: QUICK })),
  );
  for (const member of again) assert.equal(await get(member, "without"), "it");
});

test(
  "ours and Debian's 3.4 are one cluster, whoever leads, and a 3.4 that was away takes our snapshot",
  { skip },
  async () => {
    await using processes = await EtcdProcesses.create();
    const members = await startAll(processes, { a: "ours", b: "ours", old: UPSTREAM });
    const [a, , old] = members as [EtcdProcess, EtcdProcess, EtcdProcess];
    await until("the version of the oldest", async () => {
      const version = (await (await fetch(`${a.endpoint}/version`)).json()) as { readonly etcdcluster: string };
      return version.etcdcluster === "3.4.0";
    });
    for (const leader of [old, a]) {
      await moveLeader(members, leader);
      for (const member of members) {
        await put(member, `${leader.name}-${member.name}`, "1");
        assert.equal(await get(member, `${leader.name}-${member.name}`), "1");
      }
      const { ID } = await old.client.lease.LeaseGrant({ TTL: 6000 });
      for (const member of members) {
        const { TTL } = await member.client.lease.LeaseTimeToLive({ ID });
        assert.ok(TTL > 5000, `${member.name} is told of the lease by ${leader.name}`);
      }
    }
    await untilEqual(members);
    await old.kill("SIGKILL");
    await putMany(a, 300);
    const initialCluster = processes.clusterOf(["a", "b", "old"]);
    const back = await processes.start(UPSTREAM, "old", { initialCluster, flags: QUICK });
    await untilEqual([a, members[1]!, back]);
    await until("it says so", async () => /finished applying incoming snapshot|applied snapshot/.test(back.log));
    const { members: known } = await back.cluster.MemberList({});
    assert.deepEqual(known.map(({ name }) => name).sort(), ["a", "b", "old"]);
  },
);

test("a member of ours joins Debian's 3.4 by its snapshot, and takes over its data", { skip }, async () => {
  await using processes = await EtcdProcesses.create();
  await processes.reserve(["old", "a"]);
  const old = await processes.start(UPSTREAM, "old", { flags: [...QUICK, "--snapshot-count=200"] });
  await putMany(old, 5400); // It keeps the last 5,000 entries.
  const { member: added } = await old.cluster.MemberAdd({ peerURLs: [processes.peerUrl("a")], isLearner: true });
  const initialCluster = processes.clusterOf(["old", "a"]);
  const a = await processes.start("ours", "a", { initialCluster, state: "existing", flags: QUICK });
  await until("it says so", async () => /applied snapshot/.test(a.log));
  await until("the learner has caught up", async () => {
    await a.cluster.MemberPromote({ ID: added!.ID }).catch((error: unknown) => {
      if (!isEtcdError(error, "learnerNotSupported")) throw error;
    });
    await old.cluster.MemberPromote({ ID: added!.ID });
    return true;
  });
  await untilEqual([old, a]);
  await moveLeader([old, a], a);
  const { members: known } = await a.cluster.MemberList({ linearizable: true });
  const gone = known.find(({ name }) => name === "old")!;
  await until("the old member is removed", async () => {
    await a.cluster.MemberRemove({ ID: gone.ID });
    return true;
  });
  await put(a, "alone", "1");
  assert.equal(await get(a, "many7"), "5307");
});

test("members are added, promoted, moved and removed; a removed one ends, and is refused when it comes back", async () => {
  await using processes = await EtcdProcesses.create();
  await processes.reserve(["a", "b", "c"]);
  const a = await processes.start("ours", "a", { flags: QUICK });
  await put(a, "k", "1");
  const join = async (name: string, others: readonly string[], isLearner: boolean) => {
    const { member } = await a.cluster.MemberAdd({ peerURLs: [processes.peerUrl(name)], isLearner });
    const initialCluster = processes.clusterOf([...others, name]);
    return {
      id: member!.ID,
      process: await processes.start("ours", name, { initialCluster, state: "existing", flags: QUICK }),
    };
  };
  await assert.rejects(a.cluster.MemberAdd({ peerURLs: ["nonsense"] }), (error) => isEtcdError(error, "memberBadUrls"));
  await assert.rejects(a.cluster.MemberAdd({ peerURLs: [processes.peerUrl("a")] }), (error) =>
    isEtcdError(error, "peerUrlExists"),
  );
  await assert.rejects(a.cluster.MemberRemove({ ID: 1n }), (error) => isEtcdError(error, "memberNotFound"));
  const b = await join("b", ["a"], true);
  await assert.rejects(put(b.process, "k", "2"), (error) => isEtcdError(error, "learnerNotSupported"));
  await assert.rejects(a.cluster.MemberAdd({ peerURLs: ["http://127.0.0.1:1"], isLearner: true }), (error) =>
    isEtcdError(error, "tooManyLearners"),
  );
  await until("b votes", () => a.cluster.MemberPromote({ ID: b.id }).then(() => true));
  await assert.rejects(a.cluster.MemberPromote({ ID: b.id }), (error) => isEtcdError(error, "memberNotLearner"));
  await put(b.process, "k", "2");

  // The peers count as healthy once they have been seen for five seconds.
  let c: Awaited<ReturnType<typeof join>> | undefined;
  await until("c has joined", async () => {
    c ??= await join("c", ["a", "b"], false);
    return true;
  });
  await c!.process.cluster.MemberUpdate({
    ID: b.id,
    peerURLs: [processes.peerUrl("b").replace("127.0.0.1", "localhost")],
  });
  const { members } = await a.cluster.MemberList({ linearizable: true });
  assert.match(members.find(({ name }) => name === "b")!.peerURLs[0]!, /localhost/);
  await moveLeader([a, b.process, c!.process], b.process);
  await until("the leader is removed", () => c!.process.cluster.MemberRemove({ ID: b.id }).then(() => true));
  assert.equal(await b.process.exited, 0, "a removed member ends in order");
  assert.match(b.process.log, /the member has been permanently removed from the cluster/);
  await until("a new leader", () => put(a, "k", "3", 500).then(() => true));
  const again = await processes.start("ours", "b", { flags: QUICK, unready: true });
  assert.equal(await again.exited, 0);
  assert.match(again.log, /permanently removed/);
  assert.equal(await get(c!.process, "k"), "3");
});

test("a majority that is lost for good leaves a cluster of one, by --force-new-cluster", async () => {
  await using processes = await EtcdProcesses.create();
  const members = await startAll(processes, { a: "ours", b: "ours", c: "ours" });
  const a = members[0]!;
  await moveLeader(members, a);
  await put(a, "k", "1");
  await put(a, "k2", "1"); // Says with its entry that the one before is committed.
  await Promise.all(members.map((member) => member.kill("SIGKILL")));
  const alone = await processes.start("ours", "a", { flags: [...QUICK, "--force-new-cluster"] });
  assert.equal(await get(alone, "k"), "1");
  const { members: known } = await alone.cluster.MemberList({ linearizable: true });
  assert.deepEqual(
    known.map(({ name }) => name),
    ["a"],
  );
  await put(alone, "k", "2");
});

test("members find each other at another etcd by a token, and talk over TLS with certificates that they made", async () => {
  await using processes = await EtcdProcesses.create("https");
  await processes.reserve(["registry"]);
  const registry = await processes.start("ours", "registry", { flags: ["--peer-auto-tls"] });
  await put(registry, "/_etcd/registry/tok/_config/size", "2");
  await processes.reserve(["a", "b"]);
  const discovery = ["--peer-auto-tls", "--discovery-token=tok", `--discovery-endpoints=${registry.endpoint}`];
  const [a, b] = await Promise.all(
    ["a", "b"].map((name) => processes.start("ours", name, { initialCluster: "", flags: [...QUICK, ...discovery] })),
  );
  await put(a!, "k", "1");
  assert.equal(await get(b!, "k"), "1");
  await processes.reserve(["late"]);
  const late = await processes.start("ours", "late", { initialCluster: "", flags: discovery, unready: true });
  assert.notEqual(await late.exited, 0);
  assert.match(late.log, /discovery: cluster is full/);
});

test("a cluster that can't be is refused with upstream's words", async () => {
  await using processes = await EtcdProcesses.create();
  await processes.reserve(["a", "b"]);
  const refused = async (initialCluster: string, words: RegExp, state: "new" | "existing" = "new") => {
    const started = await processes.start("ours", "a", { initialCluster, state, unready: true });
    assert.notEqual(await started.exited, 0);
    assert.match(started.log, words);
  };
  await refused(`b=${processes.peerUrl("b")}`, /couldn't find local name "a" in the initial cluster configuration/);
  await refused(
    `a=${processes.peerUrl("b")}`,
    /--initial-cluster has a=.* but missing from --initial-advertise-peer-urls=/,
  );
  await refused(processes.clusterOf(["a", "b"]), /cannot fetch cluster info from peer urls/, "existing");
});
