import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../observe/log.ts";
import { EtcdMembers } from "../testing/etcd-members.ts";
import { Simulation } from "../testing/sim/simulation.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { CorruptionCheck, minorityOf, suspectOf, type CorruptionDeps, type PeerHash } from "./corruption.ts";
import { featuresOf } from "./features.ts";
import { hashRevDuration } from "./metrics.ts";

const own = { hash: 1, revision: 10, compactRevision: 5 };
const peer = (id: bigint, partial: Partial<PeerHash> = {}): PeerHash => ({ id, ...own, ...partial });

test("a member is suspect whose hash, revision or compaction can't be", () => {
  const suspect = (peers: PeerHash[], after = own) => suspectOf(1n, own, after, peers)?.id;
  assert.equal(suspect([peer(2n), peer(3n)]), undefined);
  assert.equal(suspect([peer(2n, { hash: 9 })]), 2n);
  assert.equal(suspect([peer(2n, { hash: 9, compactRevision: 4 })]), undefined, "they can't be compared");
  assert.equal(suspect([peer(2n), peer(3n, { revision: 11 })]), 3n);
  assert.equal(
    suspect([peer(3n, { revision: 11 })], { ...own, revision: 12 }),
    undefined,
    "there were writes meanwhile",
  );
  assert.equal(suspect([peer(3n, { compactRevision: 6 })]), 3n);
  assert.equal(suspect([peer(2n)], { ...own, hash: 2 }), 1n, "the leader itself");
});

test("a majority tells who is wrong, and without one it is everybody", () => {
  const hashes = (...all: number[]) => all.map((hash, i) => ({ id: BigInt(i + 2), hash }));
  assert.deepEqual(minorityOf(1n, 7, hashes(7, 7), 3), []);
  assert.deepEqual(minorityOf(1n, 7, hashes(7, 8), 3), [3n]);
  assert.deepEqual(minorityOf(1n, 7, hashes(8, 8), 3), [1n]);
  assert.deepEqual(minorityOf(1n, 7, hashes(8), 3), [0n], "one has not answered");
  assert.deepEqual(minorityOf(1n, 7, hashes(8, 9), 3), [0n]);
});

function check(peers: Awaited<ReturnType<CorruptionDeps["peerHashes"]>>, compacted: readonly number[] = []) {
  const alarms: bigint[] = [];
  const asked: number[] = [];
  const corruption = new CorruptionCheck({
    clock: new Simulation(),
    log: silent,
    localId: 1n,
    isLeader: () => true,
    hash: async () => own,
    compactions: () => compacted.map((hashRevision) => ({ hash: 1, hashRevision, compactRevision: hashRevision - 1 })),
    peerHashes: async (revision) => {
      asked.push(revision);
      return peers;
    },
    linearizable: () => undefined,
    raiseAlarm: async (id) => void alarms.push(id),
  });
  return { corruption, alarms, asked };
}

test("a starting member refuses to serve keys that others don't have", async () => {
  await check([peer(2n), { id: 3n, hash: undefined }]).corruption.initial();
  await assert.rejects(check([peer(2n, { hash: 2 })]).corruption.initial(), /found data inconsistency with peers/);
  await check([peer(2n, { hash: 2, compactRevision: 1 })]).corruption.initial();
});

test("the leader raises the alarm for who differs", async () => {
  const { corruption, alarms } = check([peer(2n), peer(3n, { hash: 2 })]);
  await corruption.periodic();
  assert.deepEqual(alarms, [3n]);
});

test("compactions are compared newest first, each once, as soon as all have done them", async () => {
  const { corruption, alarms, asked } = check(
    [peer(2n, { compactRevision: 4 }), peer(3n, { compactRevision: 4 })],
    [3, 4, 5],
  );
  await corruption.atCompactions();
  await corruption.atCompactions();
  assert.deepEqual(asked, [5]);
  const behind = check([peer(2n, { compactRevision: 4 }), peer(3n, { compactRevision: 3 })], [4, 5]);
  await behind.corruption.atCompactions();
  assert.deepEqual([behind.asked, behind.alarms, alarms], [[5, 4], [], []]);
});

const text = (value: string) => Buffer.from(value);

test("members that compact remember the same hashes, and the leader finds the one whose keys are others", async () => {
  const world = simulatedWorld("corruption");
  const members = new EtcdMembers(world, { compactionBatchLimit: 2, compactionSleepIntervalMs: 1 });
  let done = false;
  const play = async () => {
    await members.start(["a", "b", "c"]);
    const leader = await members.untilLeader();
    const put = (key: string, value: string) => leader.propose({ put: { key: text(key), value: text(value) } });
    const compact = async (revision: number) => {
      await leader.propose({ compaction: { revision } });
      await members.until(() => members.all.every(({ compactions }) => compactions.hashes.at(revision) !== undefined));
    };
    for (let i = 0; i < 9; i++) await put(`k${i % 3}`, `${i}`);
    await leader.propose({ delete_range: { key: text("k1") } });
    await compact(6);
    await compact(11);
    const [first, ...others] = members.all.map(({ compactions }) => compactions.hashes.all);
    assert.deepEqual(
      first!.map(({ hashRevision, compactRevision }) => [hashRevision, compactRevision]),
      [
        [6, -1],
        [11, 6],
      ],
    );
    for (const other of others) assert.deepEqual(other, first);

    const alarms: bigint[] = [];
    const check = new CorruptionCheck({
      clock: world.clock,
      log: silent,
      localId: leader.id,
      isLeader: () => true,
      hash: () => assert.fail("not at the present"),
      compactions: () => leader.compactions.hashes.all,
      peerHashes: (revision) =>
        Promise.all(
          members.all
            .filter((member) => member !== leader)
            .map(async (member) => ({
              ...(await member.maintenance.hash(hashRevDuration, revision)),
              id: member.id,
              revision: member.store.revision,
            })),
        ),
      linearizable: () => undefined,
      raiseAlarm: async (id) => void alarms.push(id),
    });
    await check.atCompactions();
    assert.deepEqual(alarms, []);

    // One bit of an old value.
    const victim = members.all.find((member) => member !== leader)!;
    const { key, create_revision, mod_revision, version, lease } = victim.store.get(text("k2"))!;
    victim.store.backend.put({ key, create_revision, mod_revision, version, lease, value: text("9") }, 0);
    for (let i = 0; i < 3; i++) await put("k0", `later ${i}`);
    await compact(13);
    await check.atCompactions();
    assert.deepEqual(alarms, [victim.id]);
    await members.stop();
  };
  const playing = play().finally(() => (done = true));
  playing.catch(() => {});
  await world.clock.until(() => done, 120_000);
  await playing;
});

test("a compaction's hash is upstream's", async () => {
  const world = simulatedWorld("hashes");
  const members = new EtcdMembers(world, {
    features: featuresOf({ CompactHashCheck: "true" }),
    compactionSleepIntervalMs: 1,
  });
  let done = false;
  const play = async () => {
    await members.start(["a"]);
    const member = await members.untilLeader();
    const put = (key: string, value: string) => member.propose({ put: { key: text(key), value: text(value) } });
    const drop = (key: string) => member.propose({ delete_range: { key: text(key) } });
    const compact = async (revision: number) => {
      await member.propose({ compaction: { revision } });
      await members.until(() => member.compactions.hashes.at(revision) !== undefined);
    };
    for (let i = 1; i <= 9; i++) await put(`k${i % 3}`, `v${i}`);
    await drop("k1");
    await compact(6);
    await compact(11);
    await put("k0", "z");
    await drop("k2");
    await compact(13);
    await drop("k0");
    await compact(14);
    // From etcd 3.6.16, asked at /members/hashkv.
    assert.deepEqual(member.compactions.hashes.all, [
      { hash: 770320016, hashRevision: 6, compactRevision: -1 },
      { hash: 1515208924, hashRevision: 11, compactRevision: 6 },
      { hash: 507823686, hashRevision: 13, compactRevision: 11 },
      { hash: 7913497, hashRevision: 14, compactRevision: 13 },
    ]);
    await members.stop();
  };
  const playing = play().finally(() => (done = true));
  playing.catch(() => {});
  await world.clock.until(() => done, 120_000);
  await playing;
});
