/** What missing heartbeats mean. Pure. Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go */
import { conditionOf } from "../../machinery/meta/conditions.ts";
import type { Node, NodeCondition, Taint } from "../../api/generated/core.v1.ts";
import { sameTaint } from "../shared/node-taints.ts";

const NOT_READY = "node.kubernetes.io/not-ready";
const UNREACHABLE = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";
export const notReadyTaint: Taint = { key: NOT_READY, effect: "NoExecute" };
export const unreachableTaint: Taint = { key: UNREACHABLE, effect: "NoExecute" };

/** Condition, status and the key of the NoSchedule taint that shows it. */
const TAINT_OF_CONDITION: readonly (readonly [string, string, string])[] = [
  ["Ready", "False", NOT_READY],
  ["Ready", "Unknown", UNREACHABLE],
  ["MemoryPressure", "True", "node.kubernetes.io/memory-pressure"],
  ["DiskPressure", "True", "node.kubernetes.io/disk-pressure"],
  ["NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"],
  ["PIDPressure", "True", "node.kubernetes.io/pid-pressure"],
];
const OWN_KEYS: ReadonlySet<string> = new Set([...TAINT_OF_CONDITION.map(([, , key]) => key), UNSCHEDULABLE]);

/** "True", "False", "Unknown", or "Unknown" for a node that says nothing. */
export function readiness(node: Node): string {
  return conditionOf(node.status, "Ready")?.status ?? "Unknown";
}

export function planNoScheduleTaints(
  node: Node,
  now: string,
): { readonly add: readonly Taint[]; readonly remove: readonly Taint[] } {
  const keys = TAINT_OF_CONDITION.filter(([type, status]) => conditionOf(node.status, type)?.status === status).map(
    ([, , key]) => key,
  );
  if (node.spec.unschedulable) keys.push(UNSCHEDULABLE);
  const wanted = keys.map((key): Taint => ({ key, effect: "NoSchedule", timeAdded: now }));
  const present = (node.spec.taints ?? []).filter(({ key, effect }) => effect === "NoSchedule" && OWN_KEYS.has(key));
  return {
    add: wanted.filter((taint) => !present.some((each) => sameTaint(each, taint))),
    remove: present.filter((taint) => !wanted.some((each) => sameTaint(each, taint))),
  };
}

const LABELS: readonly (readonly [string, string])[] = [
  ["kubernetes.io/os", "beta.kubernetes.io/os"],
  ["kubernetes.io/arch", "beta.kubernetes.io/arch"],
];

/** The older names of two labels, where they are missing or differ. */
export function planLabels({ metadata }: Node): Readonly<Record<string, string>> {
  const labels = metadata.labels ?? {};
  return Object.fromEntries(
    LABELS.flatMap(([primary, secondary]) => {
      const value = labels[primary];
      return value === undefined || labels[secondary] === value ? [] : [[secondary, value]];
    }),
  );
}

const WATCHED = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/** The conditions of a node that has been silent for too long. */
export function silentConditions(node: Node, now: string): readonly NodeCondition[] {
  const conditions = [...(node.status.conditions ?? [])];
  for (const type of WATCHED) {
    const i = conditions.findIndex((each) => each.type === type);
    const current = conditions[i];
    if (current === undefined)
      conditions.push({
        type,
        status: "Unknown",
        reason: "NodeStatusNeverUpdated",
        message: "Kubelet never posted node status.",
        lastHeartbeatTime: node.metadata.creationTimestamp,
        lastTransitionTime: now,
      });
    else if (current.status !== "Unknown")
      conditions[i] = {
        ...current,
        status: "Unknown",
        reason: "NodeStatusUnknown",
        message: "Kubelet stopped posting node status.",
        lastTransitionTime: now,
      };
  }
  return conditions;
}

/** NoExecute taints that go with a readiness. */
export function noExecuteFor(ready: string): { readonly add: readonly Taint[]; readonly remove: readonly Taint[] } {
  if (ready === "True") return { add: [], remove: [notReadyTaint, unreachableTaint] };
  if (ready === "False") return { add: [notReadyTaint], remove: [unreachableTaint] };
  return { add: [unreachableTaint], remove: [notReadyTaint] };
}

export function zoneOf({ metadata }: Node): string {
  const labels = metadata.labels ?? {};
  const region = labels["failure-domain.beta.kubernetes.io/region"] ?? labels["topology.kubernetes.io/region"] ?? "";
  const zone = labels["failure-domain.beta.kubernetes.io/zone"] ?? labels["topology.kubernetes.io/zone"] ?? "";
  return region === "" && zone === "" ? "" : `${region}:\x00:${zone}`;
}

export type ZoneState = "Normal" | "PartialDisruption" | "FullDisruption";

export function zoneState(ready: number, notReady: number, unhealthyThreshold: number): ZoneState {
  if (ready === 0 && notReady > 0) return "FullDisruption";
  if (notReady > 2 && notReady / (ready + notReady) >= unhealthyThreshold) return "PartialDisruption";
  return "Normal";
}

export interface Rates {
  readonly primary: number;
  readonly secondary: number;
  readonly largeCluster: number;
}

/** Nodes a second that may be tainted. */
export function rateOf(state: ZoneState, size: number, { primary, secondary, largeCluster }: Rates): number {
  if (state !== "PartialDisruption") return primary;
  return size > largeCluster ? secondary : 0;
}
