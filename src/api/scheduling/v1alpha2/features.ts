/** Fields that take a feature gate; a field that is already set may stay. Upstream: pkg/registry/scheduling/podgroup, workload */
import type { HookContext } from "../../../machinery/resource.ts";

export const GATES = {
  schedulingConstraints: "TopologyAwareWorkloadScheduling",
  resourceClaims: "DRAWorkloadResourceClaims",
  disruptionMode: "WorkloadAwarePreemption",
  priorityClassName: "WorkloadAwarePreemption",
  priority: "WorkloadAwarePreemption",
} as const;

type Gated = { [K in keyof typeof GATES]?: unknown };

export function dropDisabledFields(
  draft: Gated | undefined,
  old: Gated | undefined,
  { featureGates }: HookContext,
): void {
  if (draft === undefined) return;
  for (const [field, gate] of Object.entries(GATES) as [keyof Gated, string][])
    if (featureGates.get(gate) !== true && !isUsed(old?.[field])) delete draft[field];
}

const isUsed = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : value !== undefined && value !== "";
