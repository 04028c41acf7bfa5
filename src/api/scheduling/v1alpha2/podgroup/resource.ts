/** Upstream: pkg/registry/scheduling/podgroup */
import { ageColumn, column, nameColumn, orNone } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { PodGroup } from "../../../generated/scheduling.v1alpha2.ts";
import { validatePodGroup, validatePodGroupStatus, validatePodGroupUpdate } from "../validation.ts";

export const podGroups = defineResource<PodGroup>({
  group: "scheduling.k8s.io",
  version: "v1alpha2",
  kind: "PodGroup",
  behaviour: {
    defaults({ spec }) {
      if (spec !== undefined) ifAbsent(spec, "disruptionMode", "Pod");
    },
    validate: validatePodGroup,
    validateUpdate: validatePodGroupUpdate,
  },
  views: { status: { validateUpdate: validatePodGroupStatus } },
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
