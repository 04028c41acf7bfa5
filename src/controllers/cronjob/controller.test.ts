import assert from "node:assert/strict";
import { test } from "node:test";
import type { CronJob, Job } from "../../api/generated/batch.v1.ts";
import { cronJobs, jobs } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { cronJobController } from "./controller.ts";
import { dueRun, jobName, nextLookMs } from "./plan.ts";
import { parseSchedule } from "./schedule.ts";
import { UTC } from "./time-zone.ts";

const MINUTE = 60_000;
const cron = (spec: object = {}) => ({
  metadata: { name: "c", namespace: "default" },
  spec: {
    schedule: "*/5 * * * *",
    concurrencyPolicy: "Allow",
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
    jobTemplate: { spec: { template: {} } },
    ...spec,
  },
  status: {},
});
const setUp = () => {
  const world = controllerWorld([cronJobController]);
  const all = () => world.server.objects<Job>(jobs);
  const finish = (job: Job, type = "Complete") =>
    world.server.put(jobs, {
      ...job,
      status: { startTime: world.now(), completionTime: world.now(), conditions: [{ type, status: "True" }] },
    });
  return { world, all, finish, get: () => world.server.get<CronJob>(cronJobs, "default/c")! };
};

test("a job starts at each time, and old ones are cleared away", async () => {
  const { world, all, finish, get } = setUp();
  await using _ = world;
  world.server.put(cronJobs, cron());
  const seen = new Set<string>();
  for (let i = 0; i < 6; i++) {
    await world.clock.until(() => all().some(({ metadata }) => !seen.has(metadata.name)), 6 * MINUTE);
    for (const job of all()) if (!seen.has(job.metadata.name)) finish(job);
    for (const { metadata } of all()) seen.add(metadata.name);
    await world.settle(1000);
  }
  assert.equal(seen.size, 6);
  assert.equal(all().length, 3);
  const last = all().at(-1)!;
  assert.equal(last.metadata.name, jobName(get(), Date.parse(get().status.lastScheduleTime!)));
  assert.match(
    last.metadata.annotations!["batch.kubernetes.io/cronjob-scheduled-timestamp"]!,
    /^2030-01-01T00:30:00Z$/,
  );
  assert.deepEqual(get().status.active ?? [], []);
  assert.ok(get().status.lastSuccessfulTime);
  for (const reason of ["SuccessfulCreate", "SawCompletedJob", "SuccessfulDelete"])
    assert.ok(
      world.events().some((text) => text.includes(reason)),
      reason,
    );
});

test("Forbid waits for the job that runs, Replace ends it, Allow runs both", async () => {
  for (const [policy, count] of [
    ["Forbid", 1],
    ["Replace", 1],
    ["Allow", 2],
  ] as const) {
    const { world, all } = setUp();
    await using _ = world;
    world.server.put(cronJobs, cron({ concurrencyPolicy: policy }));
    await world.settle(11 * MINUTE);
    assert.equal(all().length, count, policy);
    const names = all().map(({ metadata }) => metadata.name);
    if (policy === "Forbid")
      assert.ok(
        world
          .events()
          .includes(
            "Normal JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid",
          ),
      );
    if (policy === "Replace")
      assert.deepEqual(names, [jobName(cron() as unknown as CronJob, Date.parse("2030-01-01T00:10:00Z"))]);
  }
});

test("a suspended one starts nothing, and a bad schedule is told", async () => {
  const { world, all } = setUp();
  await using _ = world;
  world.server.put(cronJobs, cron({ suspend: true }));
  world.server.put(cronJobs, { ...cron({ schedule: "x" }), metadata: { name: "bad", namespace: "default" } });
  await world.settle(20 * MINUTE);
  assert.deepEqual(all(), []);
  assert.ok(
    world
      .events()
      .some((text) =>
        text.startsWith('Warning UnparseableSchedule: unparseable schedule: "x" : expected exactly 5 fields'),
      ),
  );
});

test("after a time away only the latest missed run is made up for", () => {
  const at = (text: string) => Date.parse(text);
  const due = (schedule: string, last: string, now: string, spec: object = {}) => {
    const cronJob = { ...cron({ schedule, ...spec }), status: { lastScheduleTime: last } } as unknown as CronJob;
    const result = dueRun(cronJob, parseSchedule(schedule, UTC), at(now));
    return [result.at === undefined ? undefined : new Date(result.at).toISOString().slice(0, 16), result.tooManyMissed];
  };
  assert.deepEqual(due("*/5 * * * *", "2030-01-01T10:00:00Z", "2030-01-01T10:23:00Z"), ["2030-01-01T10:20", false]);
  assert.deepEqual(due("*/5 * * * *", "2030-01-01T10:00:00Z", "2030-01-01T10:04:59Z"), [undefined, false]);
  assert.deepEqual(due("* * * * *", "2030-01-01T10:00:00Z", "2030-01-01T12:00:30Z"), ["2030-01-01T12:00", true]);
  assert.deepEqual(due("*/5 * * * *", "2030-01-01T10:00:00Z", "2030-01-02T12:01:00Z"), ["2030-01-02T12:00", true]);
  assert.deepEqual(
    due("*/5 * * * *", "2030-01-01T10:00:00Z", "2030-01-02T12:04:00Z", { startingDeadlineSeconds: 200 }),
    [undefined, false],
  );
});

test("the next look comes just after the next time, also where times count from the last run", () => {
  const every = {
    ...cron({ schedule: "@every 90s" }),
    status: { lastScheduleTime: "2030-01-01T10:00:00Z" },
  } as unknown as CronJob;
  assert.equal(nextLookMs(every, parseSchedule("@every 90s", UTC), Date.parse("2030-01-01T10:01:00Z")), 30_100);
});
