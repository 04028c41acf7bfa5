/** Upstream: pkg/registry/scheduling/workload */
import { ageColumn, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { Workload } from "../../../generated/scheduling.v1alpha2.ts";
import { validateWorkload, validateWorkloadUpdate } from "../validation.ts";

export const workloads = defineResource<Workload>({
  group: "scheduling.k8s.io",
  version: "v1alpha2",
  kind: "Workload",
  behaviour: { validate: validateWorkload, validateUpdate: validateWorkloadUpdate },
  columns: [nameColumn, ageColumn],
});
