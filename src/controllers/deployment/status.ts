/** A Deployment's status from its sets. Pure. Upstream: pkg/controller/deployment/{sync,progress}.go */
import type { Deployment, DeploymentStatus, ReplicaSet } from "../../api/generated/apps.v1.ts";
import { type Conditions, condition, newCondition, refreshed, withCondition, without } from "./conditions.ts";
import { hasDeadline, maxUnavailable, replicasOf, sumActual, sumAvailable, sumReplicas } from "./plan.ts";

export interface Now {
  readonly ms: number;
  readonly text: string;
}

/** Numbers and availability; what `progressed` adds is the story of the rollout. */
export function statusOf(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  now: Now,
): DeploymentStatus {
  const available = sumAvailable(sets);
  const replicas = replicasOf(deployment);
  const enough = available >= replicas - maxUnavailable(deployment);
  const { conditions = [], collisionCount } = deployment.status ?? {};
  const terminating = sets.map(({ status }) => status?.terminatingReplicas);
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sumActual(sets),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: sets.reduce((sum, { status }) => sum + (status?.readyReplicas ?? 0), 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sumReplicas(sets) - available),
    ...(terminating.every((count) => count !== undefined) && {
      terminatingReplicas: terminating.reduce<number>((sum, count) => sum + (count ?? 0), 0),
    }),
    ...(collisionCount !== undefined && { collisionCount }),
    conditions: withCondition(
      conditions,
      enough
        ? newCondition(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
            now.text,
          )
        : newCondition(
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            now.text,
          ),
    ),
  };
}

export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const replicas = replicasOf(deployment);
  return (
    (status.updatedReplicas ?? 0) === replicas &&
    (status.replicas ?? 0) === replicas &&
    (status.availableReplicas ?? 0) === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function hasProgressed(old: DeploymentStatus, next: DeploymentStatus): boolean {
  const oldOld = (old.replicas ?? 0) - (old.updatedReplicas ?? 0);
  const nextOld = (next.replicas ?? 0) - (next.updatedReplicas ?? 0);
  return (
    (next.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    nextOld < oldOld ||
    (next.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

function hasTimedOut(deployment: Deployment, status: DeploymentStatus, nowMs: number): boolean {
  const progressing = condition(status.conditions, "Progressing");
  if (progressing === undefined || progressing.reason === "NewReplicaSetAvailable") return false;
  if (progressing.reason === "ProgressDeadlineExceeded") return true;
  return deadlineMs(deployment, progressing.lastUpdateTime) < nowMs;
}

const deadlineMs = ({ spec }: Deployment, from: string | undefined) =>
  Date.parse(from ?? "") + (spec.progressDeadlineSeconds ?? 0) * 1000;

/** The status with its Progressing and ReplicaFailure conditions brought up to date. */
export function progressed(
  deployment: Deployment,
  status: DeploymentStatus,
  sets: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  now: Now,
): DeploymentStatus {
  let conditions: Conditions = status.conditions ?? [];
  const subject =
    newSet === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newSet.metadata.name}"`;
  if (!hasDeadline(deployment)) conditions = without(conditions, "Progressing");
  else {
    const current = condition(deployment.status?.conditions, "Progressing");
    const settled = status.replicas === status.updatedReplicas && current?.reason === "NewReplicaSetAvailable";
    if (!settled) {
      if (isComplete(deployment, status))
        conditions = withCondition(
          conditions,
          newCondition(
            "Progressing",
            "True",
            "NewReplicaSetAvailable",
            `${subject} has successfully progressed.`,
            now.text,
          ),
        );
      else if (hasProgressed(deployment.status ?? {}, status))
        conditions = refreshed(
          conditions,
          newCondition("Progressing", "True", "ReplicaSetUpdated", `${subject} is progressing.`, now.text),
        );
      else if (hasTimedOut(deployment, status, now.ms))
        conditions = withCondition(
          conditions,
          newCondition(
            "Progressing",
            "False",
            "ProgressDeadlineExceeded",
            `${subject} has timed out progressing.`,
            now.text,
          ),
        );
    }
  }
  const failure = [...(newSet ? [newSet] : []), ...sets]
    .flatMap((set) => set.status?.conditions ?? [])
    .find(({ type }) => type === "ReplicaFailure");
  if (failure === undefined) conditions = without(conditions, "ReplicaFailure");
  else {
    const { status: value, reason = "", message = "", lastTransitionTime = now.text } = failure;
    conditions = withCondition(
      conditions,
      newCondition("ReplicaFailure", value as "True", reason, message, lastTransitionTime),
    );
  }
  return { ...status, conditions };
}

/** When to look whether a rollout got stuck; undefined when nothing is under way. */
export function stuckCheckMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const progressing = condition(status.conditions, "Progressing");
  if (!hasDeadline(deployment) || progressing === undefined) return undefined;
  if (isComplete(deployment, status) || progressing.reason === "ProgressDeadlineExceeded") return undefined;
  return Math.max(0, deadlineMs(deployment, progressing.lastUpdateTime) - nowMs) + 1000;
}
