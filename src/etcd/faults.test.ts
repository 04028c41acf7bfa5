/**
 * Members that lose their power, their links and their time, in any order, while clients read and write through any of them: what was acknowledged
 * stays, no read is older than what was acknowledged before it began, and in the end all hold the same.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RpcError } from "../wire/rpc/service.ts";
import { randomInt, type Random } from "../world/world.ts";
import { EtcdMembers } from "../testing/etcd-members.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { kvService } from "./api/kv.ts";
import type { Member } from "./member.ts";
import { hashKV } from "./mvcc/hash.ts";

const WRITERS = 4;
const FAULTS = 40;
const b = (text: string) => Buffer.from(text);

async function valueOf(member: Member, key: string): Promise<number> {
  const { kvs } = await kvService(member).Range({ key: b(key) });
  return kvs[0] === undefined ? 0 : Number(Buffer.from(kvs[0].value).toString());
}

/** Counts up in a key of its own until `isOver`. */
async function client(members: EtcdMembers, key: string, random: Random, isOver: () => boolean): Promise<number> {
  let acknowledged = 0;
  for (let count = 1; !isOver(); count++) {
    const all = members.all;
    const member = all[randomInt(random, all.length)];
    try {
      if (member !== undefined && random.next() < 0.3) {
        const least = acknowledged;
        const read = await valueOf(member, key);
        assert.ok(read >= least, `${key}: ${read} was read after ${least} had been acknowledged`);
      } else if (member !== undefined) {
        await kvService(member).Put({ key: b(key), value: b(String(count)) });
        acknowledged = count;
      }
    } catch (error) {
      if (!(error instanceof RpcError)) throw error; // Whether it was done is not known.
    }
    await members.pass(random.next() * 30);
  }
  return acknowledged;
}

/** One thing that goes wrong, or right again. */
async function fault(members: EtcdMembers, names: readonly string[], down: string[], random: Random): Promise<void> {
  const pick = (from: readonly string[]) => from[randomInt(random, from.length)]!;
  const up = names.filter((name) => !down.includes(name));
  const { peers } = members;
  switch (randomInt(random, 8)) {
    case 0:
    case 1: {
      if (down.length >= (names.length - 1) / 2) return;
      const name = pick(up);
      down.push(name);
      return members.kill(name);
    }
    case 2:
    case 3: {
      const name = down.shift();
      if (name !== undefined) await members.restart(name);
      return;
    }
    case 4: {
      const cut = members.all.map(({ id }) => id).filter(() => random.next() < 0.4);
      peers.loses = (from, to) => cut.includes(from) !== cut.includes(to);
      return;
    }
    case 5: {
      const share = random.next() * 0.3;
      peers.loses = () => random.next() < share;
      return;
    }
    case 6:
      if (random.next() < 0.5) return members.sleeps(pick(up), random.next() * 4000);
      for (const name of up) await members.kill(name);
      for (const name of up) await members.restart(name);
      return;
    default:
      peers.loses = () => false;
  }
}

async function run(seed: number, names: readonly string[]): Promise<void> {
  const world = simulatedWorld(seed);
  const random = world.random.fork("faults");
  const members = new EtcdMembers(world, { snapshotCatchupEntries: 20, snapshotCount: 60, walSegmentBytes: 20_000 });
  let done = false;
  const work = (async () => {
    await members.start(names);
    let isOver = false;
    const keys = Array.from({ length: WRITERS }, (_, i) => `k${i}`);
    const clients = keys.map((key) => client(members, key, random.fork(key), () => isOver));
    clients.forEach((one) => one.catch(() => (isOver = true)));
    const down: string[] = [];
    for (let i = 0; i < FAULTS && !isOver; i++) {
      await members.pass(200 + random.next() * 1500);
      await fault(members, names, down, random);
    }
    members.peers.loses = () => false;
    for (const name of down) await members.restart(name);
    await members.pass(3000);
    isOver = true;
    const acknowledged = await Promise.all(clients);
    const leader = await members.untilLeader();
    await kvService(leader).Put({ key: b("end"), value: b("1") });
    await members.until(() => members.all.every(({ appliedIndex }) => appliedIndex === leader.appliedIndex));
    for (const [i, key] of keys.entries())
      for (const member of members.all)
        assert.ok((await valueOf(member, key)) >= acknowledged[i]!, `${key} of ${member.options.name} lost a write`);
    assert.equal(new Set(members.all.map(({ store }) => `${store.revision} ${hashKV(store, 0)}`)).size, 1);
    assert.ok(Math.min(...acknowledged) > 20, `only ${acknowledged.join()} writes were acknowledged`);
    assert.deepEqual(members.failures, []);
    await members.stop();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 3_600_000);
  await work;
}

for (const [seed, names] of [
  [1, ["a", "b", "c"]],
  [2, ["a", "b", "c"]],
  [3, ["a", "b", "c", "d", "e"]],
] as const)
  test(`whatever fails, ${names.length} members keep what they acknowledged and agree (seed ${seed})`, () =>
    run(seed, names));
