/**
 * How many pods a ReplicaSet must create, and which it must delete. Pure.
 * Upstream: pkg/controller/replicaset/replica_set.go, replica_set_utils.go
 */
import type { ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from "../../api/generated/apps.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { compareForReplicaSetDeletion, isAvailable, isReady } from "../shared/pods.ts";
import { matchesLabels } from "../shared/selector.ts";

export const BURST = 500;

export interface Plan {
  readonly create: number;
  readonly remove: readonly Pod[];
}

/** `pods` are the active ones; `related` the active pods of all sets that share this one's owner, for spreading the loss over nodes. */
export function planReplicas(set: ReplicaSet, pods: readonly Pod[], related: readonly Pod[], now: number): Plan {
  const missing = (set.spec.replicas ?? 1) - pods.length;
  if (missing >= 0) return { create: Math.min(missing, BURST), remove: [] };
  const count = Math.min(-missing, BURST);
  // Nobody is chosen where all must go.
  if (count >= pods.length) return { create: 0, remove: pods };
  const onNode = new Map<string, number>();
  for (const { spec } of related)
    if (spec.nodeName !== undefined) onNode.set(spec.nodeName, (onNode.get(spec.nodeName) ?? 0) + 1);
  const rank = ({ spec }: Pod) => onNode.get(spec.nodeName ?? "") ?? 0;
  return { create: 0, remove: [...pods].sort(compareForReplicaSetDeletion({ now, rank })).slice(0, count) };
}

export interface Failure {
  readonly reason: "FailedCreate" | "FailedDelete" | "";
  readonly message: string;
}

/** `failure` is what the last act failed with; undefined when it went well, "unknown" when nothing was tried. */
export function statusOf(
  set: ReplicaSet,
  pods: readonly Pod[],
  terminating: number,
  failure: Failure | undefined,
  now: { readonly ms: number; readonly text: string },
): ReplicaSetStatus {
  const minReadySeconds = set.spec.minReadySeconds ?? 0;
  const labels = set.spec.template.metadata?.labels ?? {};
  return {
    ...set.status,
    replicas: pods.length,
    fullyLabeledReplicas: pods.filter(({ metadata }) => matchesLabels(labels, metadata.labels)).length,
    readyReplicas: pods.filter(isReady).length,
    availableReplicas: pods.filter((pod) => isAvailable(pod, minReadySeconds, now.ms)).length,
    terminatingReplicas: terminating,
    observedGeneration: set.metadata.generation ?? 0,
    ...conditionsOf(set.status?.conditions ?? [], failure, now.text),
  };
}

function conditionsOf(
  conditions: readonly ReplicaSetCondition[],
  failure: Failure | undefined,
  now: string,
): { readonly conditions?: readonly ReplicaSetCondition[] } {
  const has = conditions.some(({ type }) => type === "ReplicaFailure");
  if (failure === undefined && has) return { conditions: conditions.filter(({ type }) => type !== "ReplicaFailure") };
  if (failure === undefined || has) return conditions.length > 0 ? { conditions } : {};
  return {
    conditions: [
      ...conditions,
      {
        type: "ReplicaFailure",
        status: "True",
        reason: failure.reason,
        message: failure.message,
        lastTransitionTime: now,
      },
    ],
  };
}
