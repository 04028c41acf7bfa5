/** The next step of a StatefulSet. Pure. Upstream: pkg/controller/statefulset/stateful_set_control.go */
import type { StatefulSet, StatefulSetStatus } from "../../api/generated/apps.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { isAvailable, isDeleting, isFinished, isReady } from "../shared/pods.ts";
import { ordinalOf, replicasOf, revisionOf, startOf } from "./identity.ts";

export interface Revisions {
  readonly current: string;
  readonly update: string;
}

export interface Plan {
  /** Ordinals to be made, each of a revision. In `Parallel` all at once, else one. */
  readonly create: readonly { readonly ordinal: number; readonly revision: "current" | "update" }[];
  readonly delete: readonly Pod[];
  /** Pods in range, whose identity, volumes and claims are looked after. */
  readonly keep: readonly Pod[];
  /** Pods out of range. */
  readonly condemned: readonly Pod[];
}

const isRunningAndReady = (pod: Pod) => pod.status.phase === "Running" && isReady(pod);

export function planStep(set: StatefulSet, pods: readonly Pod[], revisions: Revisions, now: number): Plan {
  const start = startOf(set);
  const end = start + replicasOf(set);
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(pod), pod]));
  const slots = Array.from({ length: end - start }, (_, i) => ({ ordinal: start + i, pod: byOrdinal.get(start + i) }));
  const condemned = pods
    .filter((pod) => ordinalOf(pod) < start || ordinalOf(pod) >= end)
    .sort((a, b) => ordinalOf(b) - ordinalOf(a));
  const minReadySeconds = set.spec.minReadySeconds ?? 0;
  const healthy = (pod: Pod) => isRunningAndReady(pod) && isAvailable(pod, minReadySeconds, now) && !isDeleting(pod);
  const ordered = set.spec.podManagementPolicy !== "Parallel";
  const create: { ordinal: number; revision: "current" | "update" }[] = [];
  const remove: Pod[] = [];
  const keep = slots.flatMap(({ pod }) => (pod === undefined || isFinished(pod) ? [] : [pod]));
  const plan: Plan = { create, delete: remove, keep, condemned };
  if (set.metadata.deletionTimestamp !== undefined) return { ...plan, keep: [], condemned: [] };

  // 1. Every slot in order: what failed goes, what is missing comes, and the next waits until this one is well.
  for (const { ordinal, pod } of slots) {
    if (pod === undefined) create.push({ ordinal, revision: revisionFor(set, ordinal) });
    else if (isFinished(pod)) {
      if (!isDeleting(pod)) remove.push(pod);
    } else if (!ordered || healthy(pod)) continue;
    if (ordered) return plan;
  }

  // 2. What is out of range, from the top. A pod that doesn't work must not go before the first that doesn't.
  if (!ordered) remove.push(...condemned.filter((pod) => !isDeleting(pod)));
  else if (condemned.length > 0) {
    const [top] = condemned;
    const firstUnhealthy = [...condemned].reverse().find((pod) => !healthy(pod));
    if (!isDeleting(top!) && (healthy(top!) || top === firstUnhealthy)) remove.push(top!);
    return plan;
  }
  if (create.length > 0 || remove.length > 0) return plan;

  // 3. The rollout, from the top, one at a time.
  if (set.spec.updateStrategy.type === "OnDelete") return plan;
  const partition = set.spec.updateStrategy.rollingUpdate?.partition ?? 0;
  for (let i = slots.length - 1; i >= partition; i--) {
    const { pod } = slots[i]!;
    if (pod === undefined) continue;
    if (revisionOf(pod) !== revisions.update && !isDeleting(pod)) {
      remove.push(pod);
      return plan;
    }
    if (!healthy(pod)) return plan;
  }
  return plan;
}

/** New pods below the partition still get the old template. */
function revisionFor(set: StatefulSet, ordinal: number): "current" | "update" {
  const { type, rollingUpdate } = set.spec.updateStrategy;
  if (type !== "RollingUpdate") return "update";
  const old = rollingUpdate === undefined ? (set.status?.currentReplicas ?? 0) : (rollingUpdate.partition ?? 0);
  return ordinal < startOf(set) + old ? "current" : "update";
}

export function statusOf(
  set: StatefulSet,
  pods: readonly Pod[],
  revisions: Revisions,
  collisionCount: number,
  now: number,
): StatefulSetStatus {
  const minReadySeconds = set.spec.minReadySeconds ?? 0;
  const ready = pods.filter(isRunningAndReady);
  const ofRevision = (revision: string) =>
    pods.filter((pod) => !isDeleting(pod) && revisionOf(pod) === revision).length;
  const status: StatefulSetStatus = {
    ...set.status,
    observedGeneration: set.metadata.generation ?? 0,
    replicas: pods.length,
    readyReplicas: ready.length,
    availableReplicas: ready.filter((pod) => isAvailable(pod, minReadySeconds, now)).length,
    currentReplicas: ofRevision(revisions.current),
    updatedReplicas: ofRevision(revisions.update),
    currentRevision: revisions.current,
    updateRevision: revisions.update,
    collisionCount,
  };
  const replicas = replicasOf(set);
  const complete =
    set.spec.updateStrategy.type === "RollingUpdate" &&
    status.updatedReplicas === status.replicas &&
    status.readyReplicas === status.replicas &&
    status.replicas === replicas;
  return complete ? { ...status, currentReplicas: status.updatedReplicas!, currentRevision: revisions.update } : status;
}
