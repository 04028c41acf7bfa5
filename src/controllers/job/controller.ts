/**
 * Runs pods to completion and counts each exactly once: a pod keeps a finalizer until its outcome is in the Job's status.
 * Upstream: pkg/controller/job
 */
import type { Job, JobCondition, JobStatus } from "../../api/generated/batch.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { itself, ownedBy as ownerTrigger } from "../../client/controller-runner.ts";
import { jobs, pods } from "../../client/resources.ts";
import { type Draft, controllerOf, keyOf, splitKey } from "../../machinery/meta/object.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { selectorOf } from "../../machinery/selector/labels.ts";
import { hasReason } from "../../machinery/status.ts";
import { claim } from "../shared/claim.ts";
import { sameStatus } from "../shared/equality.ts";
import { type PodControl, createPod, deletePod, podFromTemplate } from "../shared/pod-control.ts";
import { addControllerIndex, ownedAndOrphaned } from "../shared/pods.ts";
import { matchesSelector } from "../shared/selector.ts";
import { allSettled, slowStart } from "../shared/slow-start.ts";
import { formatIndexes } from "./indexes.ts";
import {
  FAILURE_COUNT,
  FINALIZER,
  IGNORED_COUNT,
  INDEX,
  type PodPlan,
  type Verdict,
  type View,
  backoffMs,
  deadlineInMs,
  finishedAt,
  isFailed,
  isFinished,
  isIndexed,
  isSucceeded,
  isTracked,
  perIndex,
  planPods,
  verdictOf,
  viewOf,
} from "./plan.ts";
import { effectOf } from "./policy.ts";

const CONTROLLER = "kubernetes.io/job-controller";
const UNCOUNTED_MAX = 500;
const MIN_WAIT_MS = 1000;
const wakeOwner = ownerTrigger(pods, jobs);

export const jobController = defineController({
  name: "job-controller",
  aliases: ["job"],
  workers: { flag: "concurrent-job-syncs", default: 5 },
  backoff: { baseMs: 1000, maxMs: 60_000 },
  triggers: [
    itself(jobs),
    {
      resource: pods,
      keys(pod: Pod, informers) {
        if (controllerOf(pod) !== undefined) return wakeOwner.keys(pod, informers);
        return informers
          .of(jobs)
          .list(pod.metadata.namespace)
          .filter(({ spec }) => matchesSelector(spec.selector, pod.metadata.labels))
          .map(keyOf);
      },
    },
  ],
  create({ informers, clock, events }) {
    const allPods = informers.of(pods);
    addControllerIndex(allPods);
    /** Failures since the last success, by Job: the pause before the next try grows with them. */
    const failures = new Map<string, Failures>();

    return {
      async reconcile(key, signal, client) {
        const job = informers.of(jobs).get(key);
        if (job === undefined || isFinished(job)) {
          // Nobody counts these any more.
          const left = orphans(allPods.list(splitKey(key).namespace), splitKey(key).name, job);
          await allSettled(left.map((pod) => untrack(client, pod, signal)));
          failures.delete(key);
          return done;
        }
        const { spec, metadata } = job;
        if (spec.managedBy !== undefined && spec.managedBy !== CONTROLLER) return done;
        if (!["NonIndexed", "Indexed", undefined].includes(spec.completionMode)) {
          events.event(job, "Warning", "UnknownCompletionMode", "Skipped Job sync because completion mode is unknown");
          return done;
        }
        const selector = selectorOf(spec.selector);
        const owned = await claim({
          client,
          owners: jobs,
          owner: job,
          resource: pods,
          candidates: ownedAndOrphaned(allPods, job),
          matches: (pod) => selector.matches(pod.metadata.labels),
          finalizer: FINALIZER,
          signal,
        });
        if (metadata.deletionTimestamp !== undefined) {
          await allSettled(
            owned
              .filter((pod) => isTracked(pod) && (isSucceeded(pod) || isFailed(job, pod)))
              .map((pod) => untrack(client, pod, signal)),
          );
        }
        const now = clock.now();
        const former = failures.get(key);
        const known =
          former?.uid === metadata.uid ? former : { uid: metadata.uid, count: 0, lastAt: 0, seen: new Set<string>() };
        failures.set(key, known);
        const pass = new Pass({ client, events, owner: job, signal }, job, owned, known, now);
        const wait = await pass.run();
        return wait === undefined ? done : again(Math.max(MIN_WAIT_MS, wait));
      },
    };
  },
});

interface Failures {
  /** The Job's, so that a namesake starts from nothing. */
  readonly uid: string;
  count: number;
  lastAt: number;
  /** Uids that were taken into account. */
  readonly seen: Set<string>;
}

function orphans(candidates: readonly Pod[], name: string, job: Job | undefined): readonly Pod[] {
  return candidates.filter((pod) => {
    const owner = controllerOf(pod);
    return (
      isTracked(pod) &&
      owner?.kind === "Job" &&
      owner.name === name &&
      (job === undefined || owner.uid === job.metadata.uid || isFinished(job) !== undefined)
    );
  });
}

async function untrack(client: Client, { metadata }: Pod, signal: AbortSignal): Promise<void> {
  const patch = { metadata: { uid: metadata.uid, "$deleteFromPrimitiveList/finalizers": [FINALIZER] } };
  try {
    await client.patch(
      pods,
      { namespace: metadata.namespace ?? "", name: metadata.name },
      "application/strategic-merge-patch+json",
      patch,
      { signal },
    );
  } catch (error) {
    if (!hasReason(error, "NotFound")) throw error;
  }
}

/** One look at one Job. */
class Pass {
  readonly #control: PodControl;
  readonly #job: Job;
  readonly #pods: readonly Pod[];
  readonly #failures: Failures;
  readonly #now: number;

  constructor(control: PodControl, job: Job, owned: readonly Pod[], failures: Failures, now: number) {
    this.#control = control;
    this.#job = job;
    this.#pods = owned;
    this.#failures = failures;
    this.#now = now;
  }

  /** Ms until another look is due, whatever happens. */
  async run(): Promise<number | undefined> {
    const { client, signal } = this.#control;
    const job = this.#started();
    const view = viewOf(job, this.#pods);
    this.#noteFailures(view);
    const verdict = verdictOf(job, this.#pods, view, this.#now);
    const waits: number[] = [];
    const deadline = deadlineInMs(job, this.#now);
    if (deadline !== undefined && deadline > 0) waits.push(deadline);

    let error: unknown;
    let created = 0;
    let removed = 0;
    const deleting = job.metadata.deletionTimestamp !== undefined;
    try {
      if (verdict !== undefined) {
        removed = view.active.length;
        await allSettled(view.active.map((pod) => deletePod(this.#control, pod)));
      } else if (!deleting) {
        const plan = planPods(job, view, this.#backoffLeft(), this.#now);
        if (plan.waitMs !== undefined) waits.push(plan.waitMs);
        removed = plan.delete.length;
        // A pod that is stopped while the Job goes on is no failure: it leaves uncounted.
        await allSettled(plan.delete.map((pod) => untrack(client, pod, signal)));
        await allSettled(plan.delete.map((pod) => deletePod(this.#control, pod)));
        await slowStart(plan.create.length, async (i) => {
          await this.#start(plan.create[i]!);
          created++;
        });
      }
    } catch (cause) {
      error = cause;
    }

    const failing = verdict?.type === "FailureTarget";
    const { status, untracked } = this.#count(job, view, failing, view.active.length + created - removed);
    const next = this.#conclude(job, status, verdict, view, untracked.length === 0 && removed === 0);
    if (!sameStatus(next, this.#job.status))
      await client.updateStatus(jobs, { ...this.#job, status: next }, { signal });
    this.#tell(next, view);
    // Counted first, let go then: a crash in between counts nobody twice.
    await allSettled(untracked.map((pod) => untrack(client, pod, signal)));
    if (error !== undefined) throw error;
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /** The Job with its start, or without it while it is suspended. */
  #started(): Job {
    const { spec, status = {} } = this.#job;
    if (spec.suspend) return this.#job;
    if (status.startTime !== undefined) return this.#job;
    return { ...this.#job, status: { ...status, startTime: formatTime(this.#now) } };
  }

  #noteFailures({ newlyFailed, newlySucceeded }: View): void {
    const ends = [...newlyFailed, ...newlySucceeded].filter(({ metadata }) => !this.#failures.seen.has(metadata.uid));
    for (const pod of ends.sort((a, b) => finishedAt(a) - finishedAt(b))) {
      this.#failures.seen.add(pod.metadata.uid);
      if (isSucceeded(pod)) this.#failures.count = 0;
      else {
        this.#failures.count++;
        this.#failures.lastAt = finishedAt(pod);
      }
    }
  }

  #backoffLeft(): number {
    const { count, lastAt } = this.#failures;
    return count === 0 ? 0 : Math.max(0, lastAt + backoffMs(count) - this.#now);
  }

  /** Takes ended pods into the status, and those whose finalizer is gone from the waiting list into the numbers. */
  #count(
    job: Job,
    view: View,
    failing: boolean,
    active: number,
  ): { readonly status: JobStatus; readonly untracked: readonly Pod[] } {
    const { status = {} } = job;
    const tracked = new Map(this.#pods.filter(isTracked).map((pod) => [pod.metadata.uid, pod]));
    const waiting = status.uncountedTerminatedPods ?? {};
    const settled = (uids: readonly string[] = []) => uids.filter((uid) => !tracked.has(uid)).length;
    const pending = (uids: readonly string[] = []) => uids.filter((uid) => tracked.has(uid));
    const succeededNow = pending(waiting.succeeded);
    const failedNow = pending(waiting.failed);
    const untracked = [...succeededNow, ...failedNow].map((uid) => tracked.get(uid)!);
    const indexed = isIndexed(job);
    const fresh = failing
      ? [...view.newlyFailed, ...view.active.filter((pod) => isTracked(pod) && !view.newlyFailed.includes(pod))]
      : view.newlyFailed.filter((pod) => !view.held.has(pod));

    for (const pod of view.newlySucceeded) {
      if (untracked.length >= UNCOUNTED_MAX) break;
      if (!indexed) succeededNow.push(pod.metadata.uid);
      untracked.push(pod);
    }
    for (const pod of fresh) {
      if (untracked.length >= UNCOUNTED_MAX) break;
      if (effectOf(job.spec.podFailurePolicy, pod).action !== "Ignore") failedNow.push(pod.metadata.uid);
      untracked.push(pod);
    }
    // Ended pods of indexes that don't exist are nobody's.
    for (const pod of tracked.values())
      if (
        !untracked.includes(pod) &&
        (isSucceeded(pod) || isFailed(job, pod)) &&
        !view.held.has(pod) &&
        untracked.length < UNCOUNTED_MAX
      )
        untracked.push(pod);

    const next: JobStatus = {
      ...status,
      active: Math.max(0, active),
      ready: view.ready,
      terminating: view.terminating,
      succeeded: indexed ? view.completedIndexes.size : (status.succeeded ?? 0) + settled(waiting.succeeded),
      failed: (status.failed ?? 0) + settled(waiting.failed),
      ...(indexed && { completedIndexes: formatIndexes(view.completedIndexes) }),
      ...(perIndex(job) && { failedIndexes: formatIndexes(view.failedIndexes) }),
      uncountedTerminatedPods: {
        ...(succeededNow.length > 0 && { succeeded: succeededNow }),
        ...(failedNow.length > 0 && { failed: failedNow }),
      },
    };
    return { status: next, untracked };
  }

  /** Adds what the verdict and a suspension have to say. Terminal conditions come only when every pod is counted and gone. */
  #conclude(job: Job, status: JobStatus, verdict: Verdict | undefined, view: View, quiet: boolean): JobStatus {
    const now = formatTime(this.#now);
    let conditions: readonly JobCondition[] = status.conditions ?? [];
    const add = (type: string, value: "True" | "False", reason: string, message: string) => {
      const current = conditions.find((condition) => condition.type === type);
      if (current?.status === value) return;
      const next = { type, status: value, reason, message, lastProbeTime: now, lastTransitionTime: now };
      conditions = [...conditions.filter((condition) => condition !== current), next];
    };
    if (verdict === undefined) {
      if (job.spec.suspend) {
        add("Suspended", "True", "JobSuspended", "Job suspended");
        const { startTime: _, ...stopped } = status;
        return { ...stopped, conditions };
      }
      if (conditions.some(({ type }) => type === "Suspended")) {
        const was = conditions.some(({ type, status: value }) => type === "Suspended" && value === "True");
        add("Suspended", "False", "JobResumed", "Job resumed");
        if (was) return { ...status, startTime: now, conditions };
      }
      return conditions.length > 0 ? { ...status, conditions } : status;
    }
    const { type, reason, message } = verdict;
    add(type, "True", reason, message);
    const uncounted = status.uncountedTerminatedPods ?? {};
    const allCounted = (uncounted.succeeded ?? []).length === 0 && (uncounted.failed ?? []).length === 0;
    const over = quiet && allCounted && view.terminating === 0 && view.active.length === 0;
    if (!over) return { ...status, conditions };
    add(type === "FailureTarget" ? "Failed" : "Complete", "True", reason, message);
    return {
      ...status,
      active: 0,
      ready: 0,
      conditions,
      ...(type === "SuccessCriteriaMet" && { completionTime: now }),
    };
  }

  #tell(status: JobStatus, view: View): void {
    const { events, owner } = this.#control;
    const turned = (type: string, value: string) => {
      const find = (conditions: readonly JobCondition[] = []) =>
        conditions.find((condition) => condition.type === type)?.status;
      return find(status.conditions) === value && find(this.#job.status?.conditions) !== value;
    };
    if (turned("Suspended", "True")) events.event(owner, "Normal", "Suspended", "Job suspended");
    if (turned("Suspended", "False")) events.event(owner, "Normal", "Resumed", "Job resumed");
    if (turned("Complete", "True")) {
      const { completions } = this.#job.spec;
      if (completions !== undefined && view.succeeded > completions)
        events.event(
          owner,
          "Warning",
          "TooManySucceededPods",
          "Too many succeeded pods running after completion count reached",
        );
      events.event(owner, "Normal", "Completed", "Job completed");
    }
    const failed = status.conditions?.find(({ type }) => type === "Failed");
    if (turned("Failed", "True")) events.event(owner, "Warning", failed?.reason ?? "", failed?.message ?? "");
  }

  async #start({ index, failures, ignored }: PodPlan["create"][number]): Promise<void> {
    const draft = podFromTemplate(this.#job, this.#job.spec.template);
    const finalizers = [...(draft.metadata?.finalizers ?? []), FINALIZER] as string[];
    if (index === undefined) {
      await createPod(this.#control, { ...draft, metadata: { ...draft.metadata, finalizers } });
      return;
    }
    await createPod(
      this.#control,
      indexedPod(this.#job, { ...draft, metadata: { ...draft.metadata, finalizers } }, index, failures, ignored),
    );
  }
}

const NAME_BASE_MAX = 58;

function indexedPod(
  job: Job,
  draft: Draft<Pod>,
  index: number,
  failures: number | undefined,
  ignored: number | undefined,
): Draft<Pod> {
  const suffix = `-${index}-`;
  const variable = {
    name: "JOB_COMPLETION_INDEX",
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${INDEX}']` } },
  };
  const withIndex = (containers: Draft<Pod["spec"]["containers"]> | undefined) =>
    containers?.map((container) =>
      (container.env ?? []).some((each) => each.name === variable.name)
        ? container
        : { ...container, env: [...(container.env ?? []), variable] },
    );
  const initContainers = withIndex(draft.spec?.initContainers);
  return {
    ...draft,
    metadata: {
      ...draft.metadata,
      generateName: `${job.metadata.name.slice(0, NAME_BASE_MAX - suffix.length)}${suffix}`,
      labels: { ...draft.metadata?.labels, [INDEX]: String(index) },
      annotations: {
        ...draft.metadata?.annotations,
        [INDEX]: String(index),
        ...(failures !== undefined && { [FAILURE_COUNT]: String(failures) }),
        ...(ignored !== undefined && ignored > 0 && { [IGNORED_COUNT]: String(ignored) }),
      },
    },
    spec: {
      ...draft.spec,
      hostname: `${job.metadata.name}-${index}`,
      containers: withIndex(draft.spec?.containers),
      ...(initContainers && { initContainers }),
    },
  };
}
