/** Each failpoint stands somewhere: a member alone passes these, and for the others it is told who does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ComponentGroup } from "../base/component-group.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { SeededRandom } from "../testing/sim/random.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { FAILPOINTS, FailpointSwitch } from "./failpoints.ts";
import { createEtcd } from "./server.ts";

const OF_SEVERAL = "only where there are several members";
const OF_SNAPSHOTS = "when a leader has sent its state";
const OF_FILE = "the memory back end has no file to write";
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
  beforeMoveVictims: "when a reader was slow",
  beforeCheckpointInLeaseRenew: "with the gate LeaseCheckpoint",
  beforeCommit: OF_FILE,
  afterCommit: OF_FILE,
  commitBeforePreCommitHook: OF_FILE,
  commitAfterPreCommitHook: OF_FILE,
  beforeStartDBTxn: OF_FILE,
  afterStartDBTxn: OF_FILE,
  beforeWritebackBuf: OF_FILE,
  afterWritebackBuf: OF_FILE,
  compactBeforeCommitScheduledCompact: OF_FILE,
  compactAfterCommitScheduledCompact: OF_FILE,
  compactBeforeSetFinishedCompact: OF_FILE,
  compactAfterSetFinishedCompact: OF_FILE,
  compactBeforeCommitBatch: OF_FILE,
  compactAfterCommitBatch: OF_FILE,
  compactAfterAcquiredBatchTxLock: OF_FILE,
  defragBeforeCopy: OF_FILE,
  defragBeforeRename: OF_FILE,
  defragOpenFileError: OF_FILE,
  defragdbFail: OF_FILE,
};

test("a member passes the points of what it does", async () => {
  const world = simulatedWorld(1);
  const points = new FailpointSwitch({
    random: new SeededRandom(1),
    panic: (message) => assert.fail(message),
    block() {},
    print() {},
  });
  for (const name of FAILPOINTS) points.set(name, "print");
  let done = false;
  const work = (async () => {
    const etcd = createEtcd(
      { dataDir: "/data" },
      { ...world, log: silent, metrics: new Metrics(), failpoints: points.points },
    );
    await using group = new ComponentGroup();
    await group.start(etcd);
    const { kv, watch, lease } = etcd.client();
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
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
  const passed = FAILPOINTS.filter((name) => points.get(name)!.strikes > 0);
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
