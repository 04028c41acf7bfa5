import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "../../api/generated/batch.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { jobs, pods } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { jobController } from "./controller.ts";

const newJob = (spec: object) => ({
  metadata: { name: "j", namespace: "default" },
  spec: {
    parallelism: 1,
    completions: 1,
    backoffLimit: 6,
    selector: { matchLabels: { job: "j" } },
    template: { metadata: { labels: { job: "j" } }, spec: { restartPolicy: "Never", containers: [{ name: "c" }] } },
    ...spec,
  },
  status: {},
});

/** Pods end `ms` after they were made, as `phase` says. */
function setUp(phase: (pod: Pod) => string | undefined, ms = 100) {
  const world = controllerWorld([jobController]);
  const made: number[] = [];
  const seen = new Set<string>();
  const scan = () => {
    for (const pod of world.server.objects<Pod>(pods)) {
      if (seen.has(pod.metadata.uid)) continue;
      seen.add(pod.metadata.uid);
      made.push(world.clock.monotonic());
      const end = phase(pod);
      if (end === undefined) continue;
      world.clock.after(ms, () => {
        const current = world.server.get<Pod>(pods, `default/${pod.metadata.name}`);
        const finishedAt = world.now();
        const state = { terminated: { exitCode: end === "Failed" ? 1 : 0, finishedAt } };
        if (current !== undefined)
          world.server.put(pods, {
            ...current,
            status: { phase: end, containerStatuses: [{ name: "c", restartCount: 0, state }] },
          });
      });
    }
    world.clock.after(50, scan);
  };
  scan();
  const get = () => world.server.get<Job>(jobs, "default/j")!;
  const has = (type: string) =>
    get().status.conditions?.some((condition) => condition.type === type && condition.status === "True") ?? false;
  return { world, made, get, has };
}

test("a job completes, each pod counted once, no finalizer left", async () => {
  const { world, get, has } = setUp(() => "Succeeded");
  await using _ = world;
  world.server.put(jobs, newJob({ parallelism: 2, completions: 5 }));
  await world.clock.until(() => has("Complete"), 60_000);
  const { succeeded, failed, active, completionTime, conditions, uncountedTerminatedPods } = get().status;
  assert.deepEqual([succeeded, failed ?? 0, active ?? 0, uncountedTerminatedPods], [5, 0, 0, {}]);
  assert.ok(completionTime);
  assert.deepEqual(
    conditions!.map(({ type, reason, message }) => [type, reason, message]),
    ["SuccessCriteriaMet", "Complete"].map((type) => [
      type,
      "CompletionsReached",
      "Reached expected number of succeeded pods",
    ]),
  );
  await world.settle(5000);
  assert.deepEqual(
    world.server.objects<Pod>(pods).flatMap(({ metadata }) => metadata.finalizers ?? []),
    [],
  );
  assert.ok(world.events().includes("Normal Completed: Job completed"));
});

test("failures are retried later and later, and past the limit the job fails", async () => {
  const { world, made, get, has } = setUp(() => "Failed");
  await using _ = world;
  world.server.put(jobs, newJob({ backoffLimit: 3 }));
  await world.clock.until(() => has("Failed"), 200_000);
  const waits = made.slice(1).map((at, i) => Math.round((at - made[i]!) / 1000));
  assert.equal(waits.length, 3);
  for (const [i, wait] of waits.entries())
    assert.ok(wait >= 9 * 2 ** i && wait <= 11 * 2 ** i + 1, `wait ${i}: ${wait} s`);
  assert.equal(get().status.failed, 4);
  assert.ok(world.events().includes("Warning BackoffLimitExceeded: Job has reached the specified backoff limit"));
});

test("after a success the pause starts small again", async () => {
  let count = 0;
  const { world, made, has } = setUp(() => (++count === 3 ? "Succeeded" : "Failed"));
  await using _ = world;
  world.server.put(jobs, newJob({ completions: 2, backoffLimit: 4 }));
  await world.clock.until(() => made.length >= 5 || has("Failed"), 200_000);
  const waits = made.slice(1).map((at, i) => Math.round((at - made[i]!) / 10_000));
  assert.deepEqual(waits, [1, 2, 0, 1]);
});

test("an indexed job runs each index once, and says which are done", async () => {
  const { world, get, has } = setUp(() => "Succeeded");
  await using _ = world;
  world.server.put(jobs, newJob({ completionMode: "Indexed", parallelism: 2, completions: 4 }));
  await world.clock.until(() => has("Complete"), 60_000);
  assert.equal(get().status.completedIndexes, "0-3");
  const all = world.server.objects<Pod>(pods);
  assert.deepEqual(all.map(({ spec }) => spec.hostname).sort(), ["j-0", "j-1", "j-2", "j-3"]);
  assert.equal(
    all[0]!.spec.containers[0]!.env![0]!.valueFrom!.fieldRef!.fieldPath,
    "metadata.labels['batch.kubernetes.io/job-completion-index']",
  );
  assert.ok(
    all.every(
      ({ metadata }) =>
        metadata.generateName === `j-${metadata.annotations!["batch.kubernetes.io/job-completion-index"]}-`,
    ),
  );
});

test("an index that fails too often is given up, the others are not", async () => {
  const { world, get, has } = setUp(({ metadata }) =>
    metadata.annotations!["batch.kubernetes.io/job-completion-index"] === "1" ? "Failed" : "Succeeded",
  );
  await using _ = world;
  world.server.put(
    jobs,
    newJob({
      completionMode: "Indexed",
      parallelism: 3,
      completions: 3,
      backoffLimitPerIndex: 1,
      backoffLimit: 2147483647,
    }),
  );
  await world.clock.until(() => has("Failed"), 120_000);
  assert.deepEqual([get().status.completedIndexes, get().status.failedIndexes, get().status.failed], ["0,2", "1", 2]);
  assert.equal(get().status.conditions!.at(-1)!.reason, "FailedIndexes");
});

test("a suspended job stops its pods without counting them, and starts anew", async () => {
  const { world, get, has } = setUp(() => undefined);
  await using _ = world;
  world.server.put(jobs, newJob({ parallelism: 2, completions: 2 }));
  await world.settle(2000);
  assert.equal(get().status.active, 2);
  const set = (suspend: boolean) => world.server.put(jobs, { ...get(), spec: { ...get().spec, suspend } });
  set(true);
  await world.settle(2000);
  assert.deepEqual(
    [
      world.server.objects(pods).length,
      get().status.active ?? 0,
      get().status.failed ?? 0,
      get().status.startTime,
      has("Suspended"),
    ],
    [0, 0, 0, undefined, true],
  );
  set(false);
  await world.settle(2000);
  assert.deepEqual([world.server.objects(pods).length, has("Suspended")], [2, false]);
  assert.ok(
    world.events().includes("Normal Suspended: Job suspended") &&
      world.events().includes("Normal Resumed: Job resumed"),
  );
});

test("past its deadline a job fails and its pods go", async () => {
  const { world, get, has } = setUp(() => undefined);
  await using _ = world;
  world.server.put(jobs, newJob({ activeDeadlineSeconds: 30 }));
  await world.clock.until(() => has("Failed"), 40_000);
  assert.equal(get().status.conditions!.at(-1)!.reason, "DeadlineExceeded");
  assert.deepEqual(world.server.objects(pods), []);
});

test("pods of a job that is gone are let go", async () => {
  const { world } = setUp(() => undefined);
  await using _ = world;
  world.server.put(jobs, newJob({}));
  await world.settle(2000);
  world.server.take(jobs, "default/j");
  await world.settle(2000);
  assert.deepEqual(
    world.server.objects<Pod>(pods).flatMap(({ metadata }) => metadata.finalizers ?? []),
    [],
  );
});
