/** What a member does that has no room left: what it can't keep ends it at once, what it can do without it does without. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EtcdMembers } from "../testing/etcd-members.ts";
import type { SimulatedFs } from "../testing/sim/fs.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { kvService } from "./api/kv.ts";
import { maintenanceService } from "./api/maintenance.ts";
import type { Member } from "./member.ts";
import { hashKV } from "./mvcc/hash.ts";

const b = (text: string) => Buffer.from(text);
const NAMES = ["a", "b", "c"];

/** No room for what `matches`. */
function fills(fs: SimulatedFs, matches: RegExp): void {
  fs.faults.write = (path, bytes) => {
    if (bytes > 0 && matches.test(path))
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  };
}

async function puts(member: Member, count: number, value = "v"): Promise<void> {
  for (let i = 0; i < count; i++) await kvService(member).Put({ key: b(`k${i}`), value: b(value) });
}

async function three(run: (members: EtcdMembers, leader: string) => Promise<void>, seed: number): Promise<void> {
  const world = simulatedWorld(seed);
  const members = new EtcdMembers(world, { snapshotCount: 20, snapshotCatchupEntries: 10 });
  let isOver = false;
  const work = (async () => {
    await members.start(NAMES);
    const { id } = await members.untilLeader();
    await run(
      members,
      NAMES.find((name) => members.member(name).id === id)!,
    );
    await members.stop();
  })().finally(() => (isOver = true));
  work.catch(() => {});
  await world.clock.until(() => isOver, 600_000);
  await work;
}

test("a leader whose db file can't be written ends at once, though a follower waits for a snapshot of it, and the others go on", () =>
  three(async (members, name) => {
    const [far, near] = NAMES.filter((one) => one !== name) as [string, string];
    const leader = members.member(name);
    await members.kill(far);
    await puts(leader, 300);
    fills(members.started.get(name)!.fs, /\/db$/);
    await members.restart(far);
    await members.until(() => members.failures.length > 0);
    assert.match(String(members.failures[0]), /failed to commit tx/);
    assert.match(String((members.failures[0] as Error).cause), /ENOSPC/);
    const { snapshots } = members.peers;
    await assert.rejects(kvService(leader).Put({ key: b("x"), value: b("v") }), /server stopped/);
    const before = members.world.clock.monotonic();
    await leader.close();
    assert.ok(members.world.clock.monotonic() - before < 50, "it takes its time to end");
    members.started.delete(name);
    assert.ok(members.peers.snapshots <= snapshots + 1, `${members.peers.snapshots} snapshots were tried`);
    await members.untilLeader();
    await puts(members.member(near), 30);
    await members.until(() => members.member(far).appliedIndex === members.member(near).appliedIndex);
    assert.equal(hashKV(members.member(far).store, 0), hashKV(members.member(near).store, 0));
  }, 1));

test("a defragmentation that finds no room fails, and the member goes on", () =>
  three(async (members, name) => {
    const member = members.member(name);
    const kv = kvService(member);
    await puts(member, 200, "v".repeat(2000));
    await kv.Compact({ revision: member.store.revision, physical: true });
    const { fs } = members.started.get(name)!;
    fills(fs, /\/db$/);
    const refused = maintenanceService(member).Defragment({});
    await assert.rejects(refused, { code: "Unknown", message: "ENOSPC: no space left on device, write" });
    fs.faults = {};
    await puts(member, 50);
    await maintenanceService(member).Defragment({});
    await members.until(() => members.all.every((one) => one.appliedIndex === member.appliedIndex));
    assert.equal(new Set(members.all.map(({ store }) => hashKV(store, 0))).size, 1);
    assert.deepEqual(members.failures, []);
  }, 2));

test("a snapshot for which there is no room leaves nothing behind, and is taken when there is", () =>
  three(async (members, name) => {
    const far = NAMES.find((one) => one !== name)!;
    await members.kill(far);
    await puts(members.member(name), 300);
    const fs = members.diskOf(far);
    fills(fs, /\/snap\/tmp/);
    const member = await members.restart(far);
    await members.until(() => members.peers.snapshots > 2);
    await members.pass(1);
    assert.deepEqual(
      (await fs.list("/data/member/snap")).filter((one) => !one.endsWith(".snap")),
      ["db"],
    );
    fs.faults = {};
    await members.until(() => member.appliedIndex === members.member(name).appliedIndex);
    // What an older process had begun to receive or to write is gone when the next begins; so is what a later snapshot replaces.
    for (const one of ["tmp123", "db.tmp.77", ".0-1.snap.ab12.tmp"])
      await fs.writeFile(`/data/member/snap/${one}`, "x");
    await fs.writeFile("/data/member/snap/0000000000000002.snap.db", "x");
    await fs.syncDir("/data/member/snap");
    await members.kill(far);
    const last = await members.restart(far);
    assert.deepEqual(
      (await fs.list("/data/member/snap")).filter((one) => !one.endsWith(".snap")),
      ["0000000000000002.snap.db", "db"],
    );
    await last.snapshot();
    assert.deepEqual(
      (await fs.list("/data/member/snap")).filter((one) => !one.endsWith(".snap")),
      ["db"],
    );
  }, 3));
