/** The conditions of a Deployment. Pure. Upstream: pkg/controller/deployment/util/deployment_util.go */
import type { DeploymentCondition } from "../../api/generated/apps.v1.ts";

export type Conditions = readonly DeploymentCondition[];

export function condition(conditions: Conditions | undefined, type: string): DeploymentCondition | undefined {
  return conditions?.find((each) => each.type === type);
}

export function without(conditions: Conditions, type: string): Conditions {
  return conditions.filter((each) => each.type !== type);
}

export function newCondition(
  type: "Available" | "Progressing" | "ReplicaFailure",
  status: "True" | "False" | "Unknown",
  reason: string,
  message: string,
  now: string,
): DeploymentCondition {
  return { type, status, reason, message, lastUpdateTime: now, lastTransitionTime: now };
}

/** The same status and reason change nothing, not even the message; the same status keeps its transition time. */
export function withCondition(conditions: Conditions, next: DeploymentCondition): Conditions {
  const current = condition(conditions, next.type);
  if (current !== undefined && current.status === next.status && current.reason === next.reason) return conditions;
  return [...without(conditions, next.type), keepingTransition(current, next)];
}

/** As `withCondition`, but the update time moves even when nothing else does: a deployment that makes progress starts its deadline anew. */
export function refreshed(conditions: Conditions, next: DeploymentCondition): Conditions {
  return [...without(conditions, next.type), keepingTransition(condition(conditions, next.type), next)];
}

function keepingTransition(current: DeploymentCondition | undefined, next: DeploymentCondition): DeploymentCondition {
  if (current?.status !== next.status || current.lastTransitionTime === undefined) return next;
  return { ...next, lastTransitionTime: current.lastTransitionTime };
}
