import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../observe/log.ts";
import { Simulation } from "../testing/sim/simulation.ts";
import { CorruptionCheck, minorityOf, suspectOf, type CorruptionDeps, type PeerHash } from "./corruption.ts";

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

function check(peers: Awaited<ReturnType<CorruptionDeps["peerHashes"]>>) {
  const alarms: bigint[] = [];
  const asked: number[] = [];
  const corruption = new CorruptionCheck({
    clock: new Simulation(),
    log: silent,
    localId: 1n,
    isLeader: () => true,
    hash: async () => own,
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
  const { corruption, alarms, asked } = check([peer(2n), peer(3n)]);
  for (const revision of [3, 4, 5]) await corruption.compacted(revision);
  await corruption.atCompactions();
  await corruption.atCompactions();
  assert.deepEqual(asked, [5]);
  const behind = check([peer(2n), peer(3n, { compactRevision: 4 })]);
  for (const revision of [4, 5]) await behind.corruption.compacted(revision);
  await behind.corruption.atCompactions();
  assert.deepEqual([behind.asked, behind.alarms, alarms], [[5, 4], [], []]);
});
