/** The arithmetic of a rollout. Pure. Upstream: pkg/controller/deployment/{rolling,recreate,sync}.go, util/deployment_util.go */
import type { Deployment, ReplicaSet } from "../../api/generated/apps.v1.ts";
import type { PodTemplateSpec } from "../../api/generated/core.v1.ts";
import { semanticallyEqual } from "../shared/equality.ts";
import { scaledValue } from "../shared/percent.ts";
import { DESIRED_REPLICAS, MAX_REPLICAS, numberIn, revisionOf } from "./annotations.ts";

export const HASH_LABEL = "pod-template-hash";
const NO_LIMIT = 2147483647;

export interface Scaling {
  readonly set: ReplicaSet;
  readonly to: number;
}

export const replicasOf = ({ spec }: { readonly spec: { readonly replicas?: number } }) => spec.replicas ?? 1;
export const sumReplicas = (sets: readonly ReplicaSet[]) => sets.reduce((sum, set) => sum + replicasOf(set), 0);
export const sumActual = (sets: readonly ReplicaSet[]) =>
  sets.reduce((sum, { status }) => sum + (status?.replicas ?? 0), 0);
export const sumAvailable = (sets: readonly ReplicaSet[]) =>
  sets.reduce((sum, { status }) => sum + (status?.availableReplicas ?? 0), 0);
export const isRolling = ({ spec }: Deployment) => spec.strategy?.type === "RollingUpdate";

export function hasDeadline({ spec }: Deployment): boolean {
  return spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== NO_LIMIT;
}

/** How many pods above and below the wanted number a rollout may go. They are never both zero. */
export function fenceposts(deployment: Deployment): { readonly surge: number; readonly unavailable: number } {
  const { maxSurge, maxUnavailable } = deployment.spec.strategy?.rollingUpdate ?? {};
  const replicas = replicasOf(deployment);
  const surge = scaledValue(maxSurge, replicas, "up");
  const unavailable = scaledValue(maxUnavailable, replicas, "down");
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

export function maxSurge(deployment: Deployment): number {
  return isRolling(deployment) ? fenceposts(deployment).surge : 0;
}

export function maxUnavailable(deployment: Deployment): number {
  const replicas = replicasOf(deployment);
  if (!isRolling(deployment) || replicas === 0) return 0;
  return Math.min(fenceposts(deployment).unavailable, replicas);
}

/** By age, then name. */
export function oldestFirst(a: ReplicaSet, b: ReplicaSet): number {
  const ages = compareText(a.metadata.creationTimestamp, b.metadata.creationTimestamp);
  return ages !== 0 ? ages : compareText(a.metadata.name, b.metadata.name);
}
const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** The set whose template is the Deployment's: the oldest of them, should there be several. */
export function findNew(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return [...sets].sort(oldestFirst).find(({ spec }) => sameTemplate(spec.template, deployment.spec.template));
}

export function sameTemplate(a: PodTemplateSpec, b: PodTemplateSpec): boolean {
  return semanticallyEqual(withoutHash(a), withoutHash(b));
}

export function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const labels = template.metadata?.labels;
  if (labels?.[HASH_LABEL] === undefined) return template;
  const { [HASH_LABEL]: _, ...rest } = labels;
  return { ...template, metadata: { ...template.metadata!, labels: rest } };
}

/** What the new set's size should be now, given the pods that all sets may have together. */
export function newSetSize(deployment: Deployment, sets: readonly ReplicaSet[], current: number): number {
  const replicas = replicasOf(deployment);
  if (!isRolling(deployment)) return replicas;
  const room = replicas + fenceposts(deployment).surge - sumReplicas(sets);
  return room <= 0 ? current : current + Math.min(room, replicas - current);
}

/** One step of a rolling update: first the new set grows, in another step the old ones shrink. */
export function planRolling(
  deployment: Deployment,
  newSet: ReplicaSet,
  old: readonly ReplicaSet[],
): readonly Scaling[] {
  const size = replicasOf(newSet);
  const replicas = replicasOf(deployment);
  if (size > replicas) return [{ set: newSet, to: replicas }];
  const grown = newSetSize(deployment, [...old, newSet], size);
  if (grown !== size) return [{ set: newSet, to: grown }];
  return planShrinking(deployment, newSet, old);
}

function planShrinking(deployment: Deployment, newSet: ReplicaSet, old: readonly ReplicaSet[]): readonly Scaling[] {
  if (sumReplicas(old) === 0) return [];
  const minAvailable = replicasOf(deployment) - maxUnavailable(deployment);
  const newUnavailable = replicasOf(newSet) - (newSet.status?.availableReplicas ?? 0);
  const removable = sumReplicas([...old, newSet]) - minAvailable - newUnavailable;
  if (removable <= 0) return [];

  const sizes = new Map(old.map((set) => [set, replicasOf(set)]));
  const sorted = [...old].sort(oldestFirst);
  // Pods that don't work are no loss: they go first, whatever is available.
  let left = removable;
  for (const set of sorted) {
    const broken = Math.min(left, Math.max(0, sizes.get(set)! - (set.status?.availableReplicas ?? 0)));
    sizes.set(set, sizes.get(set)! - broken);
    left -= broken;
  }
  let spare = sumAvailable([...old, newSet]) - minAvailable;
  for (const set of sorted) {
    if (spare <= 0) break;
    const count = Math.min(sizes.get(set)!, spare);
    sizes.set(set, sizes.get(set)! - count);
    spare -= count;
  }
  return sorted.filter((set) => sizes.get(set) !== replicasOf(set)).map((set) => ({ set, to: sizes.get(set)! }));
}

/** The one set that takes a change of size alone: the only one with pods, or the newest. */
export function onlyActive(newSet: ReplicaSet | undefined, old: readonly ReplicaSet[]): ReplicaSet | undefined {
  const active = [...old, ...(newSet ? [newSet] : [])].filter((set) => replicasOf(set) > 0);
  if (active.length > 1) return undefined;
  if (active.length === 1) return active[0];
  return newSet ?? [...old].sort(oldestFirst).at(-1);
}

export function isSaturated(deployment: Deployment, set: ReplicaSet | undefined): boolean {
  if (set === undefined) return false;
  const replicas = replicasOf(deployment);
  return (
    replicasOf(set) === replicas &&
    numberIn(set, DESIRED_REPLICAS) === replicas &&
    set.status?.availableReplicas === replicas
  );
}

/** The Deployment was resized and not its template: true when a set was made for another size. */
export function isScalingEvent(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets.some((set) => {
    if (replicasOf(set) === 0) return false;
    const desired = numberIn(set, DESIRED_REPLICAS);
    return desired !== undefined && desired !== replicasOf(deployment);
  });
}

/** Spreads a new size over all sets that have pods, in proportion to what they have. Every set is in the answer: its notes change. */
export function planProportional(deployment: Deployment, active: readonly ReplicaSet[]): readonly Scaling[] {
  const replicas = replicasOf(deployment);
  const allowed = replicas > 0 ? replicas + maxSurge(deployment) : 0;
  const toAdd = allowed - sumReplicas(active);
  const sorted = [...active].sort(
    (a, b) => replicasOf(b) - replicasOf(a) || (toAdd > 0 ? oldestFirst(b, a) : oldestFirst(a, b)),
  );
  let added = 0;
  const sizes = sorted.map((set) => {
    const size = replicasOf(set);
    if (toAdd === 0) return size;
    const share = proportion(deployment, set, allowed, toAdd, added);
    added += share;
    return size + share;
  });
  // What rounding left over goes to the largest.
  if (toAdd !== 0 && sizes.length > 0) sizes[0] = Math.max(0, sizes[0]! + toAdd - added);
  return sorted.map((set, i) => ({ set, to: sizes[i]! }));
}

function proportion(deployment: Deployment, set: ReplicaSet, allowed: number, toAdd: number, added: number): number {
  if (replicasOf(set) === 0 || toAdd === 0 || toAdd === added) return 0;
  const share = shareOf(deployment, set, allowed);
  const left = toAdd - added;
  return toAdd > 0 ? Math.min(share, left) : Math.max(share, left);
}

function shareOf(deployment: Deployment, set: ReplicaSet, allowed: number): number {
  const size = replicasOf(set);
  if (replicasOf(deployment) === 0) return -size;
  const before = numberIn(set, MAX_REPLICAS) || deployment.status?.replicas || 0;
  if (before === 0) return 0;
  const exact = (size * allowed) / before;
  return Math.sign(exact) * Math.round(Math.abs(exact)) - size;
}

/** Old sets beyond the history limit that have nothing left to do. */
export function planCleanup(deployment: Deployment, old: readonly ReplicaSet[]): readonly ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit;
  if (limit === undefined || limit === NO_LIMIT) return [];
  const candidates = old.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const surplus = candidates.length - limit;
  if (surplus <= 0) return [];
  return [...candidates]
    .sort((a, b) => Number(revisionOf(a) - revisionOf(b)) || oldestFirst(a, b))
    .slice(0, surplus)
    .filter(
      (set) =>
        (set.status?.replicas ?? 0) === 0 &&
        replicasOf(set) === 0 &&
        (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
    );
}
