/**
 * Cluster events, as far as a waiting pod may depend on them: the kind of object and, as bits, the action.
 * Upstream: pkg/scheduler/framework/events.go
 */
import type { Node, Pod } from "../api/generated/core.v1.ts";
import { jsonEqual } from "../machinery/patch/json-value.ts";

export const ADD = 1 << 0;
export const DELETE = 1 << 1;
export const UPDATE_NODE_ALLOCATABLE = 1 << 2;
export const UPDATE_NODE_LABEL = 1 << 3;
export const UPDATE_NODE_TAINT = 1 << 4;
const UPDATE_NODE_CONDITION = 1 << 5;
const UPDATE_NODE_ANNOTATION = 1 << 6;
export const UPDATE_POD_LABEL = 1 << 7;
export const UPDATE_POD_SCALE_DOWN = 1 << 8;
export const UPDATE_POD_TOLERATION = 1 << 9;
export const UPDATE_POD_GATES_ELIMINATED = 1 << 10;
/** A change that no other bit names. */
const UPDATE = 1 << 11;

export type EventResource = "Node" | "AssignedPod" | "UnschedulablePod" | "*";

export interface ClusterEvent {
  readonly resource: EventResource;
  readonly actions: number;
  /** As metrics name it: `NodeAdd`. */
  readonly label: string;
}

const NAMES: readonly (readonly [bit: number, name: string])[] = [
  [ADD, "Add"],
  [DELETE, "Delete"],
  [UPDATE_NODE_ALLOCATABLE, "UpdateNodeAllocatable"],
  [UPDATE_NODE_LABEL, "UpdateNodeLabel"],
  [UPDATE_NODE_TAINT, "UpdateNodeTaint"],
  [UPDATE_NODE_CONDITION, "UpdateNodeCondition"],
  [UPDATE_NODE_ANNOTATION, "UpdateNodeAnnotation"],
  [UPDATE_POD_LABEL, "UpdatePodLabel"],
  [UPDATE_POD_SCALE_DOWN, "UpdatePodScaleDown"],
  [UPDATE_POD_TOLERATION, "UpdatePodToleration"],
  [UPDATE_POD_GATES_ELIMINATED, "UpdatePodSchedulingGatesEliminated"],
  [UPDATE, "Update"],
];

export function clusterEvent(resource: EventResource, action: number): ClusterEvent {
  const name = NAMES.find(([bit]) => bit === action)?.[1] ?? "";
  return { resource, actions: action, label: `${resource}${name}` };
}

/** Moves every pod, whatever refused it. */
export const UNSCHEDULABLE_TIMEOUT: ClusterEvent = { resource: "*", actions: ~0, label: "UnschedulableTimeout" };
export const FORCE_ACTIVATE: ClusterEvent = { resource: "*", actions: ~0, label: "ForceActivate" };

/** What changed on a node that a pod may wait for. Heartbeats change nothing. */
export function nodeChanges(old: Node, node: Node): readonly ClusterEvent[] {
  const changes: number[] = [];
  if (!jsonEqual(old.status?.allocatable ?? {}, node.status?.allocatable ?? {})) changes.push(UPDATE_NODE_ALLOCATABLE);
  if (!jsonEqual(old.metadata.labels ?? {}, node.metadata.labels ?? {})) changes.push(UPDATE_NODE_LABEL);
  if (
    !jsonEqual(old.spec?.taints ?? [], node.spec?.taints ?? []) ||
    (old.spec?.unschedulable === true && node.spec?.unschedulable !== true)
  ) {
    changes.push(UPDATE_NODE_TAINT);
  }
  if (!jsonEqual(conditionsOf(old), conditionsOf(node))) changes.push(UPDATE_NODE_CONDITION);
  if (!jsonEqual(old.metadata.annotations ?? {}, node.metadata.annotations ?? {})) changes.push(UPDATE_NODE_ANNOTATION);
  return changes.map((action) => clusterEvent("Node", action));
}

function conditionsOf(node: Node): Readonly<Record<string, string>> {
  return Object.fromEntries((node.status?.conditions ?? []).map(({ type, status }) => [type, status]));
}

/** What changed on a pod that it or another may wait for. */
export function podChanges(
  resource: "AssignedPod" | "UnschedulablePod",
  old: Pod,
  pod: Pod,
  requestsShrank: boolean,
): readonly ClusterEvent[] {
  const changes: number[] = [];
  if (!jsonEqual(old.metadata.labels ?? {}, pod.metadata.labels ?? {})) changes.push(UPDATE_POD_LABEL);
  if (requestsShrank) changes.push(UPDATE_POD_SCALE_DOWN);
  if ((old.spec.schedulingGates ?? []).length > 0 && (pod.spec.schedulingGates ?? []).length === 0) {
    changes.push(UPDATE_POD_GATES_ELIMINATED);
  }
  if ((old.spec.tolerations ?? []).length !== (pod.spec.tolerations ?? []).length) changes.push(UPDATE_POD_TOLERATION);
  if (changes.length === 0) changes.push(UPDATE);
  return changes.map((action) => clusterEvent(resource, action));
}
