/**
 * Makes room for a pod by evicting pods of lower priority: chooses the node and the victims. Whether the pod would fit without them is asked of the
 * cache itself, with those pods taken out and put back.
 * Upstream: pkg/scheduler/framework/preemption, pkg/scheduler/framework/plugins/defaultpreemption
 */
import type { Pod } from "../api/generated/core.v1.ts";
import type { PodDisruptionBudget } from "../api/generated/policy.v1.ts";
import { selectorOf } from "../machinery/selector/labels.ts";
import { randomInt, type Random } from "../world/world.ts";
import type { Cache } from "./cache/cache.ts";
import type { NodeInfo } from "./cache/node-info.ts";
import type { PodInfo } from "./cache/pod-info.ts";
import { histogram, type FitFailure } from "./fit-error.ts";
import { unresolvable, unschedulable, type Verdict } from "./framework.ts";

const NOT_HELPFUL = unresolvable("Preemption is not helpful for scheduling");
const NO_VICTIMS = unschedulable("No preemption victims found for incoming pod");

export interface Preemption {
  readonly node: NodeInfo;
  readonly victims: readonly PodInfo[];
}

export interface PreemptionDeps {
  readonly cache: Cache;
  readonly random: Random;
  /** Whether the pod fits the node as the cache stands. */
  readonly verdictOn: (pod: PodInfo, node: NodeInfo) => Verdict | undefined;
  readonly disruptionBudgets: (namespace: string) => readonly PodDisruptionBudget[];
  readonly minCandidateNodesPercentage?: number;
  readonly minCandidateNodesAbsolute?: number;
}

interface Candidate extends Preemption {
  readonly violations: number;
}

/** What to evict and where, or why nothing: upstream's words after "preemption: ". */
export function planPreemption(pod: PodInfo, failure: FitFailure, deps: PreemptionDeps): Preemption | string {
  const ineligible = whyNotEligible(pod, failure, deps.cache);
  if (ineligible !== undefined) return ineligible;
  const { total, refused, absent } = failure;
  const nodes: NodeInfo[] = [];
  const verdicts: Verdict[] = [];
  failure.nodes.forEach((node, i) => {
    if (failure.verdicts[i]!.unresolvable || refused !== undefined) verdicts.push(NOT_HELPFUL);
    else nodes.push(node);
  });
  const left = total - failure.nodes.length;
  for (let i = 0; i < left && (absent !== undefined || refused !== undefined); i++) verdicts.push(NOT_HELPFUL);
  if (nodes.length === 0) return unavailable(total, verdicts);

  const { minCandidateNodesPercentage = 10, minCandidateNodesAbsolute = 100 } = deps;
  const wanted = Math.min(
    nodes.length,
    Math.max(Math.trunc((nodes.length * minCandidateNodesPercentage) / 100), minCandidateNodesAbsolute),
  );
  const offset = randomInt(deps.random, nodes.length);
  const candidates: Candidate[] = [];
  for (let i = 0; i < nodes.length; i++) {
    const found = victimsOn(pod, nodes[(offset + i) % nodes.length]!, deps);
    if ("reasons" in found) verdicts.push(found);
    else candidates.push(found);
    if (candidates.length >= wanted && candidates.some(({ violations }) => violations === 0)) break;
  }
  return candidates.length === 0 ? unavailable(total, verdicts) : pick(candidates);
}

function unavailable(total: number, verdicts: readonly Verdict[]): string {
  return `0/${total} nodes are available: ${histogram({ total: verdicts.length, verdicts, absent: undefined })}.`;
}

function whyNotEligible({ pod, priority }: PodInfo, failure: FitFailure, cache: Cache): string | undefined {
  if (pod.spec.preemptionPolicy === "Never") return "not eligible due to preemptionPolicy=Never.";
  const nominated = cache.node(pod.status?.nominatedNodeName ?? "");
  if (nominated === undefined) return undefined;
  if (failure.verdicts[failure.nodes.indexOf(nominated)]?.unresolvable === true) return undefined;
  for (const other of nominated.pods.values()) {
    if (other.priority < priority && isBeingPreempted(other.pod)) {
      return "not eligible due to a terminating pod on the nominated node.";
    }
  }
  return undefined;
}

function isBeingPreempted({ metadata, status }: Pod): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    status?.conditions?.some(
      (c) => c.type === "DisruptionTarget" && c.status === "True" && c.reason === "PreemptionByScheduler",
    ) === true
  );
}

/** The fewest pods of lower priority that must go from the node: all are taken away, and as many as possible let back in. */
function victimsOn(pod: PodInfo, node: NodeInfo, deps: PreemptionDeps): Candidate | Verdict {
  const lower = [...node.pods.values()].filter(({ priority }) => priority < pod.priority).sort(moreImportantFirst);
  if (lower.length === 0) return NO_VICTIMS;
  const { cache, verdictOn } = deps;
  const away = new Set<PodInfo>();
  for (const victim of lower) {
    cache.lift(victim, node);
    away.add(victim);
  }
  try {
    const verdict = verdictOn(pod, node);
    if (verdict !== undefined) return verdict;
    const { violating, others } = byBudget(lower, deps.disruptionBudgets);
    let violations = 0;
    for (const victim of [...violating, ...others]) {
      cache.put(victim, node);
      away.delete(victim);
      if (verdictOn(pod, node) === undefined) continue;
      cache.lift(victim, node);
      away.add(victim);
      if (violating.includes(victim)) violations++;
    }
    return { node, victims: [...away].sort(moreImportantFirst), violations };
  } finally {
    for (const victim of away) cache.put(victim, node);
  }
}

function byBudget(pods: readonly PodInfo[], budgetsOf: PreemptionDeps["disruptionBudgets"]) {
  const allowed = new Map<PodDisruptionBudget, number>();
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const info of pods) {
    const { metadata } = info.pod;
    let violates = false;
    for (const budget of Object.keys(metadata.labels ?? {}).length === 0 ? [] : budgetsOf(metadata.namespace ?? "")) {
      const selector = selectorOf(budget.spec.selector);
      if (selector.nothing || selector.requirements.length === 0 || !selector.matches(metadata.labels)) continue;
      if (budget.status?.disruptedPods?.[metadata.name] !== undefined) continue;
      const left = (allowed.get(budget) ?? budget.status?.disruptionsAllowed ?? 0) - 1;
      allowed.set(budget, left);
      if (left < 0) violates = true;
    }
    (violates ? violating : others).push(info);
  }
  return { violating, others };
}

function moreImportantFirst(a: PodInfo, b: PodInfo): number {
  return b.priority - a.priority || startOf(a) - startOf(b);
}
const startOf = ({ pod }: PodInfo): number =>
  pod.status?.startTime === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(pod.status.startTime);

/** Fewest broken budgets, least important victim, least importance in all, fewest victims, latest start of the most important ones. */
function pick(candidates: readonly Candidate[]): Preemption {
  const measures: readonly ((candidate: Candidate) => number)[] = [
    ({ violations }) => violations,
    ({ victims }) => victims[0]?.priority ?? -Infinity,
    ({ victims }) => victims.reduce((sum, { priority }) => sum + priority + 2 ** 31, 0),
    ({ victims }) => victims.length,
    ({ victims }) =>
      -Math.min(
        ...victims.filter(({ priority }) => priority === victims[0]!.priority).map((victim) => startOf(victim)),
      ),
  ];
  let left = candidates;
  for (const measure of measures) {
    const least = Math.min(...left.map(measure));
    left = left.filter((candidate) => measure(candidate) === least);
    if (left.length === 1) break;
  }
  return left[0]!;
}
