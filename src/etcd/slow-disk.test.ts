import assert from "node:assert/strict";
import { test } from "node:test";
import { EtcdMembers } from "../testing/etcd-members.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { kvService } from "./api/kv.ts";
import type { Member } from "./member.ts";

const NAMES = ["a", "b", "c"];
/** More than go to the disk in the turn in which they came. */
const PUTS = 20;

async function withMembers(act: (members: EtcdMembers, leader: Member) => Promise<void>): Promise<void> {
  const world = simulatedWorld(1);
  const members = new EtcdMembers(world);
  let done = false;
  const work = (async () => {
    await members.start(NAMES);
    const leader = await members.untilLeader();
    await put(leader);
    await act(members, leader);
    await members.stop();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
}

async function put(member: Member): Promise<void> {
  const value = Buffer.from("v");
  const keys = Array.from({ length: PUTS }, (_, i) => Buffer.from(`k${i}`));
  await Promise.all(keys.map((key) => kvService(member).Put({ key, value })));
}

test("a leader whose own disk is slow commits with what the others have kept", () =>
  withMembers(async (members, leader) => {
    const disk = members.diskOf(leader.options.name);
    const { clock } = members.world;
    disk.faults = { wait: () => new Promise((resolve) => clock.after(250, resolve)) };
    const begun = clock.monotonic();
    await put(leader);
    const took = clock.monotonic() - begun;
    assert.ok(took < 200, `the puts took ${took} ms`);
    disk.faults = {};
  }));

test("what a leader applied before its own log had it is not in its db file before that", () =>
  withMembers(async (members, leader) => {
    const { name } = leader.options;
    const disk = members.diskOf(name);
    // The next write, which is the log's, hangs; the db file could be written.
    let goOn = () => {};
    disk.faults = {
      wait: () => {
        disk.faults = {};
        return new Promise<void>((resolve) => (goOn = resolve));
      },
    };
    const before = leader.store.revision;
    await put(leader);
    assert.equal(leader.store.revision, before + PUTS);
    await members.pass(250);
    const killed = members.kill(name);
    goOn();
    await killed;
    const again = await members.restart(name);
    await members.until(() => again.store.revision === before + PUTS);
    assert.deepEqual(members.failures, []);
  }));
