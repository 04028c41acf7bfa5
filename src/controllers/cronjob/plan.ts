/** Which run of a CronJob is due. Pure. Upstream: pkg/controller/cronjob/utils.go */
import type { CronJob, Job } from "../../api/generated/batch.v1.ts";
import type { Schedule } from "./schedule.ts";

const TOO_MANY = 100;
/** A little after the time, so that a clock that is behind doesn't look too early. */
const LATE_MS = 100;

export interface Due {
  /** The latest time that has passed without a run. */
  readonly at: number | undefined;
  readonly tooManyMissed: boolean;
}

export function dueRun(cronJob: CronJob, schedule: Schedule, now: number): Due {
  const earliest = earliestOf(cronJob, now, true);
  const first = schedule.next(earliest);
  if (first === undefined || now < first) return { at: undefined, tooManyMissed: false };
  const second = schedule.next(first);
  if (second === undefined || now < second) return { at: first, tooManyMissed: false };
  const between = second - first;
  const missed = Math.floor((now - first) / between) + 1;
  // Most of the way in one leap; the last steps one by one, because schedules are not even.
  let at = first;
  for (
    let time: number | undefined = schedule.next(first + Math.max(0, missed - 2) * between - 1);
    time !== undefined && time <= now;
    time = schedule.next(time)
  )
    at = time;
  return { at, tooManyMissed: missed > TOO_MANY };
}

function earliestOf({ metadata, spec, status }: CronJob, now: number, withDeadline: boolean): number {
  const last = Date.parse(status?.lastScheduleTime ?? metadata.creationTimestamp);
  if (!withDeadline || spec.startingDeadlineSeconds === undefined) return last;
  return Math.max(last, now - spec.startingDeadlineSeconds * 1000);
}

export function nextLookMs(cronJob: CronJob, schedule: Schedule, now: number): number | undefined {
  const { at } = dueRun(cronJob, schedule, now);
  // From the last run, not from now: `@every` counts on from there.
  let next = schedule.next(at ?? earliestOf(cronJob, now, false));
  if (next !== undefined && next <= now) next = schedule.next(now);
  return next === undefined ? undefined : next + LATE_MS - now;
}

export function jobName({ metadata }: CronJob, at: number): string {
  return `${metadata.name}-${Math.floor(at / 60_000)}`;
}

export type Ended = "Complete" | "Failed";

export function endOf({ status }: Job): Ended | undefined {
  return status?.conditions?.find(
    ({ type, status: value }) => (type === "Complete" || type === "Failed") && value === "True",
  )?.type as Ended | undefined;
}

/** Finished Jobs beyond the limits, the oldest first. */
export function surplusJobs({ spec }: CronJob, children: readonly Job[]): readonly Job[] {
  const surplus = (end: Ended, limit: number | undefined) => {
    if (limit === undefined) return [];
    const ended = children.filter((job) => endOf(job) === end).sort(byStart);
    return ended.slice(0, Math.max(0, ended.length - limit));
  };
  return [...surplus("Complete", spec.successfulJobsHistoryLimit), ...surplus("Failed", spec.failedJobsHistoryLimit)];
}

function byStart(a: Job, b: Job): number {
  const [first, second] = [a.status?.startTime, b.status?.startTime];
  if (first === second) return a.metadata.name < b.metadata.name ? -1 : 1;
  if (first === undefined || second === undefined) return first === undefined ? 1 : -1;
  return first < second ? -1 : 1;
}
