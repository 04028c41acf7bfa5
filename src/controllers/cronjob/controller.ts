/** Creates Jobs on the schedule of a CronJob. Upstream: pkg/controller/cronjob/cronjob_controllerv2.go */
import type { CronJob, CronJobStatus, Job } from "../../api/generated/batch.v1.ts";
import type { Client } from "../../client/client.ts";
import { type Outcome, again, defineController, done } from "../../client/controller.ts";
import { isNamespaceTerminating, itself, ownedBy as ownerTrigger } from "../../client/controller-runner.ts";
import type { EventRecorder } from "../../client/events.ts";
import { cronJobs, jobs } from "../../client/resources.ts";
import { type Draft, controllerOf } from "../../machinery/meta/object.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { hasReason } from "../../machinery/status.ts";
import { controllerReference } from "../shared/claim.ts";
import { sameStatus } from "../shared/equality.ts";
import { messageOf } from "../shared/pod-control.ts";
import { dueRun, endOf, jobName, nextLookMs, surplusJobs } from "./plan.ts";
import { type Schedule, parseSchedule } from "./schedule.ts";
import { UTC, type Zone, formatIn, zoneNamed } from "./time-zone.ts";

const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";

export const cronJobController = defineController({
  name: "cronjob-controller",
  aliases: ["cronjob"],
  workers: { flag: "concurrent-cron-job-syncs", default: 5 },
  triggers: [itself(cronJobs), ownerTrigger(jobs, cronJobs)],
  create: ({ informers, clock, events }) => ({
    async reconcile(key, signal, client) {
      const cronJob = informers.of(cronJobs).get(key);
      if (cronJob === undefined) return done;
      const children = informers
        .of(jobs)
        .list(cronJob.metadata.namespace)
        .filter((job) => controllerOf(job)?.kind === "CronJob" && controllerOf(job)?.name === cronJob.metadata.name);
      return await new Pass(client, events, cronJob, children, clock.now(), signal).run();
    },
  }),
});

type Active = NonNullable<CronJobStatus["active"]>;

class Pass {
  readonly #client: Client;
  readonly #events: EventRecorder;
  readonly #cronJob: CronJob;
  readonly #children: readonly Job[];
  readonly #now: number;
  readonly #signal: AbortSignal;
  #status: CronJobStatus;

  constructor(
    client: Client,
    events: EventRecorder,
    cronJob: CronJob,
    children: readonly Job[],
    now: number,
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#events = events;
    this.#cronJob = cronJob;
    this.#children = children;
    this.#now = now;
    this.#signal = signal;
    this.#status = cronJob.status ?? {};
  }

  async run(): Promise<Outcome> {
    for (const job of surplusJobs(this.#cronJob, this.#children)) await this.#delete(job);
    await this.#updateActive();
    let outcome: Outcome;
    try {
      outcome = await this.#start();
    } finally {
      if (!sameStatus(this.#status, this.#cronJob.status))
        await this.#client.updateStatus(cronJobs, { ...this.#cronJob, status: this.#status }, { signal: this.#signal });
    }
    return outcome;
  }

  /** Brings the list of running Jobs in line with those that there are. */
  async #updateActive(): Promise<void> {
    let active: Active = this.#status.active ?? [];
    let lastSuccessfulTime = this.#status.lastSuccessfulTime;
    for (const job of this.#children) {
      const listed = active.some(({ uid }) => uid === job.metadata.uid);
      const end = endOf(job);
      const { name } = job.metadata;
      if (end === undefined && !listed) {
        // Our own status may be stale: before a job counts as unknown, look at the live one.
        const live = await this.#live();
        if (live?.status?.active?.some(({ uid }) => uid === job.metadata.uid)) {
          active = live.status.active;
          continue;
        }
        this.#tell("Warning", "UnexpectedJob", `Saw a job that the controller did not create or forgot: ${name}`);
      } else if (end !== undefined && listed) {
        active = active.filter(({ uid }) => uid !== job.metadata.uid);
        this.#tell("Normal", "SawCompletedJob", `Saw completed job: ${name}, condition: ${end}`);
      }
      if (
        end === "Complete" &&
        job.status?.completionTime !== undefined &&
        job.status.completionTime > (lastSuccessfulTime ?? "")
      )
        lastSuccessfulTime = job.status.completionTime;
    }
    for (const reference of active) {
      if (this.#children.some(({ metadata }) => metadata.uid === reference.uid)) continue;
      if (await this.#jobExists(reference.name ?? "")) continue;
      this.#tell("Normal", "MissingJob", `Active job went missing: ${reference.name}`);
      active = active.filter((each) => each !== reference);
    }
    const { active: _, ...others } = this.#status;
    this.#status = {
      ...others,
      ...(active.length > 0 && { active }),
      ...(lastSuccessfulTime !== undefined && { lastSuccessfulTime }),
    };
  }

  async #start(): Promise<Outcome> {
    const { spec, metadata } = this.#cronJob;
    if (metadata.deletionTimestamp !== undefined) return done;
    const zone = this.#zone();
    if (zone === undefined || spec.suspend) return done;
    const schedule = this.#schedule(zone);
    if (schedule === undefined) return done;
    const { at, tooManyMissed } = dueRun(this.#cronJob, schedule, this.#now);
    if (tooManyMissed)
      this.#tell(
        "Warning",
        "TooManyMissedTimes",
        "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
      );
    const wait = nextLookMs(this.#cronJob, schedule, this.#now);
    const later = wait === undefined ? done : again(wait);
    if (at === undefined) return later;
    if (spec.startingDeadlineSeconds !== undefined && at + spec.startingDeadlineSeconds * 1000 < this.#now) {
      this.#tell("Warning", "MissSchedule", `Missed scheduled time to start a job: ${rfc1123(at)}`);
      return later;
    }
    const active = this.#status.active ?? [];
    const name = jobName(this.#cronJob, at);
    if (active.some((each) => each.name === name) || this.#status.lastScheduleTime === formatTime(at)) return later;
    if (spec.concurrencyPolicy === "Forbid" && active.length > 0) {
      const words = "Not starting job because prior execution is running and concurrency policy is Forbid";
      this.#tell("Normal", "JobAlreadyActive", words);
      return later;
    }
    if (spec.concurrencyPolicy === "Replace") for (const reference of active) await this.#replace(reference.name ?? "");
    const job = await this.#create(name, at, zone);
    if (job === undefined) return later;
    const { kind, apiVersion } = job;
    const { namespace, uid, resourceVersion } = job.metadata;
    this.#status = {
      ...this.#status,
      active: [
        ...(this.#status.active ?? []),
        { kind, apiVersion, ...(namespace !== undefined && { namespace }), name, uid, resourceVersion },
      ],
      lastScheduleTime: formatTime(at),
    };
    return later;
  }

  #zone(): Zone | undefined {
    const { timeZone } = this.#cronJob.spec;
    if (timeZone === undefined) return UTC;
    try {
      return zoneNamed(timeZone);
    } catch {
      this.#tell(
        "Warning",
        "UnknownTimeZone",
        `invalid timeZone: ${JSON.stringify(timeZone)}: unknown time zone ${timeZone}`,
      );
      return undefined;
    }
  }

  #schedule(zone: Zone): Schedule | undefined {
    let { schedule } = this.#cronJob.spec;
    let own = zone;
    const prefix = /^(?:CRON_)?TZ=(\S+)\s+/.exec(schedule);
    if (prefix !== null) {
      const link = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/";
      this.#tell(
        "Warning",
        "UnsupportedSchedule",
        `CRON_TZ or TZ used in schedule ${JSON.stringify(schedule)} is not officially supported, see ${link} for more details`,
      );
      schedule = schedule.slice(prefix[0].length);
    }
    try {
      if (prefix !== null) own = zoneNamed(prefix[1]!);
      return parseSchedule(schedule, own);
    } catch (error) {
      this.#tell(
        "Warning",
        "UnparseableSchedule",
        `unparseable schedule: ${JSON.stringify(this.#cronJob.spec.schedule)} : ${messageOf(error)}`,
      );
      return undefined;
    }
  }

  async #create(name: string, at: number, zone: Zone): Promise<Job | undefined> {
    const { jobTemplate } = this.#cronJob.spec;
    const { labels, annotations } = jobTemplate.metadata ?? {};
    const draft: Draft<Job> = {
      metadata: {
        name,
        namespace: this.#cronJob.metadata.namespace,
        ...(labels && { labels }),
        annotations: { ...annotations, [SCHEDULED_AT]: formatIn(zone, at) },
        ownerReferences: [controllerReference(this.#cronJob)],
      },
      spec: jobTemplate.spec,
    };
    try {
      const job = await this.#client.create(jobs, draft, { signal: this.#signal });
      this.#tell("Normal", "SuccessfulCreate", `Created job ${name}`);
      return job;
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined;
      if (hasReason(error, "AlreadyExists")) {
        const existing = await this.#client.get(
          jobs,
          { namespace: this.#cronJob.metadata.namespace ?? "", name },
          { signal: this.#signal },
        );
        const ours = controllerOf(existing)?.uid === this.#cronJob.metadata.uid;
        return ours && endOf(existing) === undefined ? existing : undefined;
      }
      this.#tell("Warning", "FailedCreate", `Error creating job: ${messageOf(error)}`);
      throw error;
    }
  }

  async #replace(name: string): Promise<void> {
    const { namespace = "" } = this.#cronJob.metadata;
    let job: Job;
    try {
      job = await this.#client.get(jobs, { namespace, name }, { signal: this.#signal });
    } catch (error) {
      this.#tell("Warning", "FailedGet", `Get job: ${messageOf(error)}`);
      throw error;
    }
    await this.#delete(job);
    this.#status = {
      ...this.#status,
      active: (this.#status.active ?? []).filter(({ uid }) => uid !== job.metadata.uid),
    };
  }

  async #delete({ metadata }: Job): Promise<void> {
    const { namespace = "", name } = metadata;
    try {
      await this.#client.delete(jobs, { namespace, name }, { propagationPolicy: "Background", signal: this.#signal });
      this.#tell("Normal", "SuccessfulDelete", `Deleted job ${name}`);
    } catch (error) {
      if (hasReason(error, "NotFound")) return;
      this.#tell("Warning", "FailedDelete", `Deleted job: ${messageOf(error)}`);
      throw error;
    }
  }

  async #live(): Promise<CronJob | undefined> {
    const { namespace = "", name } = this.#cronJob.metadata;
    try {
      return await this.#client.get(cronJobs, { namespace, name }, { signal: this.#signal });
    } catch (error) {
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  async #jobExists(name: string): Promise<boolean> {
    try {
      await this.#client.get(
        jobs,
        { namespace: this.#cronJob.metadata.namespace ?? "", name },
        { signal: this.#signal },
      );
      return true;
    } catch (error) {
      if (hasReason(error, "NotFound")) return false;
      throw error;
    }
  }

  #tell(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#events.event(this.#cronJob, type, reason, message);
  }
}

/** `Mon, 02 Jan 2006 15:04:05 +0000` */
function rfc1123(at: number): string {
  return new Date(at).toUTCString().replace("GMT", "+0000");
}
