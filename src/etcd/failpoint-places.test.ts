/** Each failpoint stands somewhere: a member alone passes these, and for the others it is told who does. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ComponentGroup } from "../base/component-group.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { SeededRandom } from "../testing/sim/random.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { sleep } from "../world/time.ts";
import { FAILPOINTS, FailpointSwitch } from "./failpoints.ts";
import { createEtcd } from "./server.ts";

const OF_SEVERAL = "only where there are several members";
const OF_SNAPSHOTS = "when a leader has sent its state";
const ELSEWHERE: Readonly<Record<string, string>> = {
  afterIsMemberExist: OF_SEVERAL,
  raftBeforeFollowerSend: OF_SEVERAL,
  raftDropHeartbeat: OF_SEVERAL,
  beforeLookupWhenForwardLeaseTimeToLive: OF_SEVERAL,
  beforeServeHTTPLeaseRenew: OF_SEVERAL,
  raftBeforeSaveSnap: OF_SNAPSHOTS,
  raftAfterSaveSnap: OF_SNAPSHOTS,
  raftBeforeApplySnap: OF_SNAPSHOTS,
  raftAfterApplySnap: OF_SNAPSHOTS,
  applyBeforeOpenSnapshot: OF_SNAPSHOTS,
  applyAfterOpenSnapshot: OF_SNAPSHOTS,
  raftBeforeWALSaveSnaphot: "with the first snapshot",
  raftAfterWALRelease: "with the first snapshot",
  defragOpenFileError: "ends a defragmentation before it begins",
  defragdbFail: "ends a defragmentation before it begins",
  beforeMoveVictims: "when a reader was slow",
  beforeCheckpointInLeaseRenew: "with the gate LeaseCheckpoint",
};

test("a member passes the points of what it does", async () => {
  const world = simulatedWorld(1);
  const points = new FailpointSwitch({
    random: new SeededRandom(1),
    panic: (message) => assert.fail(message),
    block() {},
    print() {},
  });
  for (const name of FAILPOINTS) if (!/^defrag(db|Open)/.test(name)) points.set(name, "print");
  let done = false;
  const work = (async () => {
    const etcd = createEtcd(
      { dataDir: "/data" },
      { ...world, log: silent, metrics: new Metrics(), failpoints: points.points },
    );
    await using group = new ComponentGroup();
    await group.start(etcd);
    const { kv, watch, lease, maintenance } = etcd.client();
    const key = Buffer.from("k");
    for (let i = 0; i < 20; i++) await kv.Put({ key: Buffer.from(`k${i}`), value: key });
    for await (const _ of kv.RangeStream({ key, range_end: Buffer.from("l") }));
    const stream = watch.Watch();
    stream.send({ create_request: { key, range_end: Buffer.from("l"), start_revision: 2 } });
    for await (const { events } of stream) if (events.length > 0) break;
    const asked = watch.Watch();
    asked.send({ create_request: { key } });
    asked.send({ progress_request: {} });
    for await (const { created } of asked) if (!created) break;
    const { ID } = await lease.LeaseGrant({ TTL: 10 });
    await lease.LeaseTimeToLive({ ID });
    await kv.Compact({ revision: 10, physical: true });
    await sleep(world.clock, 1000); // Compaction rests between batches.
    await maintenance.Defragment({});
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
  const passed = FAILPOINTS.filter((name) => (points.get(name)?.strikes ?? 0) > 0);
  assert.deepEqual(
    FAILPOINTS.filter((name) => !passed.includes(name) && !(name in ELSEWHERE)),
    [],
    "nothing passes these",
  );
  assert.deepEqual(
    passed.filter((name) => name in ELSEWHERE),
    [],
    "these are passed: take them off the list",
  );
});

test("every point is somewhere in the code", () => {
  const root = import.meta.dirname;
  const code = globSync("**/*.ts", { cwd: root })
    .filter((file) => !file.startsWith("failpoint") && !file.endsWith(".test.ts"))
    .map((file) => readFileSync(join(root, file), "utf8"))
    .join("\n");
  assert.deepEqual(
    FAILPOINTS.filter((name) => !new RegExp(`\\b${name}\\b`).test(code)),
    [],
  );
});
