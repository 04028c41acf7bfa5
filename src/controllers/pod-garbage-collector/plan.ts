/** Which pods nothing will ever manage again. Pure. Upstream: pkg/controller/podgc/gc_controller.go */
import { isTrue } from "../../machinery/meta/conditions.ts";
import type { Node, Pod } from "../../api/generated/core.v1.ts";

const isTerminated = ({ status }: Pod) => !["Pending", "Running", "Unknown"].includes(status.phase ?? "Pending");

/** Ended pods above the threshold: evicted ones first, then the oldest. */
export function terminatedPods(pods: readonly Pod[], threshold: number): readonly Pod[] {
  if (threshold <= 0) return [];
  const ended = pods.filter(isTerminated);
  const evicted = ({ status }: Pod) => (status.reason === "Evicted" ? 0 : 1);
  return [...ended]
    .sort(
      (a, b) =>
        evicted(a) - evicted(b) ||
        compare(a.metadata.creationTimestamp, b.metadata.creationTimestamp) ||
        compare(a.metadata.name, b.metadata.name),
    )
    .slice(0, Math.max(0, ended.length - threshold));
}

export function outOfServicePods(pods: readonly Pod[], node: (name: string) => Node | undefined): readonly Pod[] {
  return pods.filter((pod) => {
    if (pod.metadata.deletionTimestamp === undefined) return false;
    const found = node(pod.spec.nodeName ?? "");
    const ready = isTrue(found?.status, "Ready");
    return (
      found !== undefined &&
      !ready &&
      (found.spec.taints ?? []).some(({ key }) => key === "node.kubernetes.io/out-of-service")
    );
  });
}

export function unscheduledPods(pods: readonly Pod[]): readonly Pod[] {
  return pods.filter(({ metadata, spec }) => metadata.deletionTimestamp !== undefined && (spec.nodeName ?? "") === "");
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
