/** How many pods of a budget may be disrupted. Pure. Upstream: pkg/controller/disruption */
import type { Condition } from "../../machinery/meta/types.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from "../../api/generated/policy.v1.ts";
import { scaledValue } from "../shared/percent.ts";
import { isDeleting, isReady } from "../shared/pods.ts";

/** After this an eviction that was allowed and never happened is forgotten. */
const DISRUPTED_MAX_MS = 120_000;

export interface Expectation {
  readonly expected: number;
  readonly desired: number;
}

/** Whether the budget needs to know the sizes that the pods' controllers want. */
export function needsScale({ spec }: PodDisruptionBudget): boolean {
  return spec.maxUnavailable !== undefined || typeof spec.minAvailable === "string";
}

export function expectationOf({ spec }: PodDisruptionBudget, podCount: number, scale: number): Expectation {
  if (spec.maxUnavailable !== undefined)
    return { expected: scale, desired: Math.max(0, scale - scaledValue(spec.maxUnavailable, scale, "up")) };
  if (typeof spec.minAvailable === "string")
    return { expected: scale, desired: scaledValue(spec.minAvailable, scale, "up") };
  return { expected: podCount, desired: spec.minAvailable ?? 0 };
}

export interface Disrupted {
  readonly kept: Readonly<Record<string, string>>;
  /** Pods that were to go and did not. */
  readonly overdue: readonly Pod[];
  readonly recheckMs: number | undefined;
}

/** Which of the evictions under way still count. */
export function disruptedOf({ status }: PodDisruptionBudget, pods: readonly Pod[], now: number): Disrupted {
  const kept: Record<string, string> = {};
  const overdue: Pod[] = [];
  let recheckMs: number | undefined;
  for (const pod of pods) {
    const since = status?.disruptedPods?.[pod.metadata.name];
    if (since === undefined || isDeleting(pod)) continue;
    const left = Date.parse(since) + DISRUPTED_MAX_MS - now;
    if (left <= 0) {
      overdue.push(pod);
      continue;
    }
    kept[pod.metadata.name] = since;
    recheckMs = Math.min(recheckMs ?? left, left);
  }
  return { kept, overdue, recheckMs };
}

export function statusOf(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  disrupted: Readonly<Record<string, string>>,
  { expected, desired }: Expectation,
  now: string,
): PodDisruptionBudgetStatus {
  const healthy = pods.filter(
    (pod) => isReady(pod) && !isDeleting(pod) && disrupted[pod.metadata.name] === undefined,
  ).length;
  const allowed = expected <= 0 ? 0 : Math.max(0, healthy - desired);
  const { disruptedPods: _, ...others } = budget.status ?? {};
  return {
    ...others,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    disruptionsAllowed: allowed,
    ...(Object.keys(disrupted).length > 0 && { disruptedPods: disrupted }),
    observedGeneration: budget.metadata.generation ?? 0,
    conditions: withAllowed(
      budget,
      allowed > 0 ? ["True", "SufficientPods", ""] : ["False", "InsufficientPods", ""],
      now,
    ),
  };
}

/** When nothing can be known nothing may be disrupted. */
export function failSafe(budget: PodDisruptionBudget, message: string, now: string): PodDisruptionBudgetStatus {
  const { currentHealthy = 0, desiredHealthy = 0, expectedPods = 0 } = budget.status ?? {};
  return {
    ...budget.status,
    currentHealthy,
    desiredHealthy,
    expectedPods,
    disruptionsAllowed: 0,
    observedGeneration: budget.metadata.generation ?? 0,
    conditions: withAllowed(budget, ["False", "SyncFailed", message], now),
  };
}

function withAllowed(
  { metadata, status }: PodDisruptionBudget,
  [value, reason, message]: readonly [string, string, string],
  now: string,
): readonly Condition[] {
  const conditions = status?.conditions ?? [];
  const current = conditions.find(({ type }) => type === "DisruptionAllowed");
  const next: Condition = {
    type: "DisruptionAllowed",
    status: value,
    reason,
    message,
    observedGeneration: metadata.generation ?? 0,
    lastTransitionTime: current?.status === value ? current.lastTransitionTime : now,
  };
  return [...conditions.filter((condition) => condition !== current), next];
}
