/** Upstream: pkg/registry/scheduling/podgroup */
import type { Mutable } from "../../../../base/mutable.ts";
import type { HookContext } from "../../../../machinery/resource.ts";
import { ageColumn, column, nameColumn, orNone } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { PodGroup } from "../../../generated/scheduling.v1alpha2.ts";
import { dropDisabledFields } from "../features.ts";
import { validatePodGroup, validatePodGroupStatus, validatePodGroupUpdate } from "../validation.ts";

export const podGroups = defineResource<PodGroup>({
  group: "scheduling.k8s.io",
  version: "v1alpha2",
  kind: "PodGroup",
  behaviour: {
    defaults({ spec }) {
      if (spec !== undefined) ifAbsent(spec, "disruptionMode", "Pod");
    },
    prepareForCreate: (group, context) => dropFields(group, undefined, context),
    prepareForUpdate: dropFields,
    validate: validatePodGroup,
    validateUpdate: validatePodGroupUpdate,
  },
  views: {
    status: {
      prepareForUpdate(group, old, { featureGates }) {
        const used = (old.spec?.resourceClaims ?? []).length > 0;
        if (!used && featureGates.get("DRAWorkloadResourceClaims") !== true && group.status !== undefined)
          delete group.status.resourceClaimStatuses;
      },
      validateUpdate: validatePodGroupStatus,
    },
  },
  columns: [
    nameColumn,
    column("Policy", "string", ({ spec }) => (spec?.schedulingPolicy?.gang === undefined ? "Basic" : "Gang")),
    column("Workload", "string", ({ spec }) => orNone(spec?.podGroupTemplateRef?.workload?.workloadName)),
    column("Status", "string", ({ status }) => {
      const condition = (name: string) => status?.conditions?.find(({ type }) => type === name);
      const disrupted = condition("DisruptionTarget");
      if (disrupted !== undefined) return disrupted.reason;
      const scheduled = condition("PodGroupScheduled");
      if (scheduled === undefined) return "Pending";
      return scheduled.status === "True" ? "Scheduled" : "Unschedulable";
    }),
    ageColumn,
  ],
});

function dropFields(group: Mutable<PodGroup>, old: PodGroup | undefined, context: HookContext): void {
  if (group.spec === undefined) return;
  dropDisabledFields(group.spec, old?.spec, context);
  // It comes back by default when the group is read.
  ifAbsent(group.spec, "disruptionMode", "Pod");
}
