/**
 * What a Job needs next: which pods to count, whether it is finished, what to create and delete. Pure.
 * Upstream: pkg/controller/job/job_controller.go
 */
import { isTrue } from "../../machinery/meta/conditions.ts";
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Job, JobCondition } from "../../api/generated/batch.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { compareForDeletion, isActive, isTerminating } from "../shared/pods.ts";
import { type Indexes, parseIndexes } from "./indexes.ts";
import { effectOf } from "./policy.ts";

export const FINALIZER = "batch.kubernetes.io/job-tracking";
export const INDEX = "batch.kubernetes.io/job-completion-index";
export const FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count";
export const IGNORED_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count";
const BURST = 500;
const BACKOFF_FIRST_MS = 10_000;
const BACKOFF_MAX_MS = 600_000;

export interface Verdict {
  readonly type: "SuccessCriteriaMet" | "FailureTarget";
  readonly reason: string;
  readonly message: string;
}

export const isIndexed = ({ spec }: Job) => spec.completionMode === "Indexed";
export const isTracked = ({ metadata }: Pod) => (metadata.finalizers ?? []).includes(FINALIZER);
const onlyReplacesFailed = ({ spec }: Job) =>
  spec.podReplacementPolicy === "Failed" || spec.podFailurePolicy !== undefined;
export const isSucceeded = ({ status }: Pod) => status.phase === "Succeeded";

/** A pod that is on its way out counts as failed at once, unless the Job replaces only pods that have ended. */
export function isFailed(job: Job, pod: Pod): boolean {
  if (pod.status.phase === "Failed") return true;
  return !onlyReplacesFailed(job) && pod.metadata.deletionTimestamp !== undefined && !isSucceeded(pod);
}

function indexOf({ metadata }: Pod): number {
  const text = metadata.annotations?.[INDEX] ?? metadata.labels?.[INDEX];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : -1;
}

function hasCondition({ status }: Job, type: string): JobCondition | undefined {
  return status?.conditions?.find((condition) => condition.type === type && condition.status === "True");
}
export const isFinished = (job: Job) => hasCondition(job, "Complete") ?? hasCondition(job, "Failed");

/** When a pod ended, by its containers, else by its conditions. */
export function finishedAt(pod: Pod): number {
  const sidecars = new Set((pod.spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const statuses = [
    ...(pod.status.containerStatuses ?? []),
    ...(pod.status.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
  ];
  const ends = statuses.map(({ state }) => state?.terminated?.finishedAt);
  if (ends.length > 0 && ends.every((end) => end !== undefined))
    return Math.max(...ends.map((end) => Date.parse(end!)));
  const ready = pod.status.conditions?.find(({ type, status }) => type === "Ready" && status === "False");
  if (ready?.lastTransitionTime !== undefined) return Date.parse(ready.lastTransitionTime);
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata;
  return deletionTimestamp === undefined
    ? Date.parse(creationTimestamp)
    : Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
}

export function backoffMs(failures: number): number {
  return failures <= 0 ? 0 : Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1));
}

/** The Job as its pods tell it. */
export interface View {
  readonly active: readonly Pod[];
  readonly ready: number;
  readonly terminating: number;
  /** Ended, tracked and not counted yet. */
  readonly newlySucceeded: readonly Pod[];
  readonly newlyFailed: readonly Pod[];
  readonly succeeded: number;
  readonly failed: number;
  readonly completedIndexes: Indexes;
  readonly failedIndexes: Indexes;
  /** Failed pods of indexes that get another try: they stay until their successor is there. */
  readonly held: ReadonlySet<Pod>;
}

export function viewOf(job: Job, pods: readonly Pod[]): View {
  const indexed = isIndexed(job);
  const completions = job.spec.completions ?? 0;
  const { succeeded: uncountedSucceeded = [], failed: uncountedFailed = [] } =
    job.status?.uncountedTerminatedPods ?? {};
  const uncounted = new Set([...uncountedSucceeded, ...uncountedFailed]);
  const fresh = pods.filter((pod) => isTracked(pod) && !uncounted.has(pod.metadata.uid));
  const validIndex = (pod: Pod) => !indexed || (indexOf(pod) >= 0 && indexOf(pod) < completions);
  const newlySucceeded = fresh.filter((pod) => isSucceeded(pod) && validIndex(pod));
  const failedNow = fresh.filter((pod) => isFailed(job, pod) && validIndex(pod));

  const completedIndexes = new Set(parseIndexes(job.status?.completedIndexes, completions));
  if (indexed) for (const pod of newlySucceeded) completedIndexes.add(indexOf(pod));
  const failedIndexes = new Set(parseIndexes(job.status?.failedIndexes, completions));
  const held = new Set<Pod>();
  if (perIndex(job)) {
    for (const pod of failedNow) {
      const action = effectOf(job.spec.podFailurePolicy, pod).action;
      const exhausted = action !== "Ignore" && countIn(pod, FAILURE_COUNT) >= (job.spec.backoffLimitPerIndex ?? 0);
      if (action === "FailIndex" || exhausted) failedIndexes.add(indexOf(pod));
    }
    for (const pod of failedNow) {
      const index = indexOf(pod);
      const replaced = pods.some((other) => other !== pod && indexOf(other) === index && attempt(other) > attempt(pod));
      if (!replaced && !failedIndexes.has(index) && !completedIndexes.has(index)) held.add(pod);
    }
  }
  const counted = failedNow.filter((pod) => effectOf(job.spec.podFailurePolicy, pod).action !== "Ignore");
  const succeeded = indexed
    ? completedIndexes.size
    : (job.status?.succeeded ?? 0) + uncountedSucceeded.length + newlySucceeded.length;
  return {
    active: pods.filter((pod) => isActive(pod)),
    ready: pods.filter((pod) => isActive(pod) && isTrue(pod.status, "Ready")).length,
    terminating: pods.filter(isTerminating).length,
    newlySucceeded,
    newlyFailed: failedNow,
    succeeded,
    failed: (job.status?.failed ?? 0) + uncountedFailed.length + counted.length,
    completedIndexes,
    failedIndexes,
    held,
  };
}

export const perIndex = ({ spec }: Job) => spec.completionMode === "Indexed" && spec.backoffLimitPerIndex !== undefined;
const countIn = ({ metadata }: Pod, annotation: string) => Number(metadata.annotations?.[annotation] ?? 0) || 0;
const attempt = (pod: Pod) => countIn(pod, FAILURE_COUNT) + countIn(pod, IGNORED_COUNT);

export function verdictOf(job: Job, pods: readonly Pod[], view: View, now: number): Verdict | undefined {
  const met = hasCondition(job, "SuccessCriteriaMet");
  if (met !== undefined) return { type: "SuccessCriteriaMet", reason: met.reason ?? "", message: met.message ?? "" };
  const target = hasCondition(job, "FailureTarget");
  if (target !== undefined)
    return { type: "FailureTarget", reason: target.reason ?? "", message: target.message ?? "" };
  const fail = (reason: string, message: string): Verdict => ({ type: "FailureTarget", reason, message });

  for (const pod of pods.filter((each) => isFailed(job, each))) {
    const effect = effectOf(job.spec.podFailurePolicy, pod);
    if (effect.action === "FailJob") return fail("PodFailurePolicy", effect.message);
  }
  const limit = job.spec.backoffLimit ?? 6;
  if (view.failed > limit || pastRestartLimit(job, pods, limit))
    return fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  const left = deadlineInMs(job, now);
  if (left !== undefined && left <= 0) return fail("DeadlineExceeded", "Job was active longer than specified deadline");
  const { completions } = job.spec;
  if (perIndex(job)) {
    const { maxFailedIndexes } = job.spec;
    if (maxFailedIndexes !== undefined && view.failedIndexes.size > maxFailedIndexes)
      return fail("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
    if (view.failedIndexes.size > 0 && view.failedIndexes.size + view.succeeded >= (completions ?? 0))
      return fail("FailedIndexes", "Job has failed indexes");
  }
  for (const [i, { succeededIndexes, succeededCount }] of (job.spec.successPolicy?.rules ?? []).entries()) {
    const wanted = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes, completions ?? 0);
    const have =
      wanted === undefined
        ? view.completedIndexes.size
        : [...wanted].filter((index) => view.completedIndexes.has(index)).length;
    if (have >= (succeededCount ?? wanted?.size ?? Number.POSITIVE_INFINITY))
      return { type: "SuccessCriteriaMet", reason: "SuccessPolicy", message: `Matched rules at index ${i}` };
  }
  const complete =
    completions === undefined
      ? view.succeeded > 0 && view.active.length === 0
      : view.succeeded >= completions && view.active.length === 0;
  if (complete && (completions !== undefined || view.succeeded > 0))
    return {
      type: "SuccessCriteriaMet",
      reason: "CompletionsReached",
      message: "Reached expected number of succeeded pods",
    };
  return undefined;
}

function pastRestartLimit({ spec }: Job, pods: readonly Pod[], limit: number): boolean {
  if (spec.template.spec?.restartPolicy !== "OnFailure") return false;
  let restarts = 0;
  for (const { status } of pods.filter((pod) => ["Running", "Pending"].includes(pod.status.phase ?? "")))
    for (const { restartCount } of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])])
      restarts += restartCount ?? 0;
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

export function deadlineInMs({ spec, status }: Job, now: number): number | undefined {
  if (spec.activeDeadlineSeconds === undefined || status?.startTime === undefined || spec.suspend) return undefined;
  return Date.parse(status.startTime) + spec.activeDeadlineSeconds * 1000 - now;
}

export interface PodPlan {
  readonly delete: readonly Pod[];
  readonly create: readonly { readonly index?: number; readonly failures?: number; readonly ignored?: number }[];
  /** Nothing is started before this has passed. */
  readonly waitMs?: number;
}

/** Which pods to start and stop while the Job goes on. `backoffLeftMs` is what remains of the pause after the last failure. */
export function planPods(job: Job, view: View, backoffLeftMs: number, now: number): PodPlan {
  const { active } = view;
  if (job.spec.suspend) return { delete: active, create: [] };
  const indexed = isIndexed(job);
  const parallelism = job.spec.parallelism ?? 1;
  const { completions } = job.spec;
  const want =
    completions === undefined
      ? view.succeeded > 0
        ? active.length
        : parallelism
      : Math.min(parallelism, Math.max(0, completions - view.succeeded));

  const doomed = indexed ? wrongIndexes(active, completions ?? 0, view) : [];
  const rest = active.filter((pod) => !doomed.includes(pod)).sort(compareForDeletion);
  doomed.push(...rest.slice(0, Math.max(0, rest.length - want)));
  if (doomed.length > 0) return { delete: doomed.slice(0, BURST), create: [] };

  const inTheWay = onlyReplacesFailed(job) ? view.terminating : 0;
  const missing = Math.min(want - inTheWay - active.length, BURST);
  if (missing <= 0) return { delete: [], create: [] };
  if (!indexed)
    return backoffLeftMs > 0
      ? { delete: [], create: [], waitMs: backoffLeftMs }
      : { delete: [], create: Array.from({ length: missing }, () => ({})) };
  if (!perIndex(job) && backoffLeftMs > 0) return { delete: [], create: [], waitMs: backoffLeftMs };

  const busy = new Set(active.map(indexOf));
  const create: { index: number; failures?: number; ignored?: number }[] = [];
  let waitMs: number | undefined;
  for (let index = 0; index < (completions ?? 0) && create.length < missing; index++) {
    if (busy.has(index) || view.completedIndexes.has(index) || view.failedIndexes.has(index)) continue;
    if (!perIndex(job)) {
      create.push({ index });
      continue;
    }
    const last = [...view.held].filter((pod) => indexOf(pod) === index).sort((a, b) => attempt(b) - attempt(a))[0];
    if (last === undefined) {
      create.push({ index, failures: 0 });
      continue;
    }
    const left = finishedAt(last) + backoffMs(attempt(last) + 1) - now;
    if (left > 0) {
      waitMs = Math.min(waitMs ?? left, left);
      continue;
    }
    const ignored = effectOf(job.spec.podFailurePolicy, last).action === "Ignore";
    create.push({
      index,
      failures: countIn(last, FAILURE_COUNT) + (ignored ? 0 : 1),
      ignored: countIn(last, IGNORED_COUNT) + (ignored ? 1 : 0),
    });
  }
  return { delete: [], create, ...(waitMs !== undefined && { waitMs }) };
}

/** Active pods of indexes that don't exist, are done, or have another pod already. */
function wrongIndexes(active: readonly Pod[], completions: number, view: View): Pod[] {
  const seen = new Set<number>();
  const wrong: Pod[] = [];
  for (const pod of [...active].sort((a, b) => compareForDeletion(b, a))) {
    const index = indexOf(pod);
    if (index < 0 || index >= completions || seen.has(index) || view.completedIndexes.has(index)) wrong.push(pod);
    else seen.add(index);
  }
  return wrong;
}
