/** Upstream: pkg/registry/scheduling/workload */
import type { Mutable } from "../../../../base/mutable.ts";
import type { HookContext } from "../../../../machinery/resource.ts";
import { ageColumn, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { Workload } from "../../../generated/scheduling.v1alpha2.ts";
import { dropDisabledFields } from "../features.ts";
import { validateWorkload, validateWorkloadUpdate } from "../validation.ts";

export const workloads = defineResource<Workload>({
  group: "scheduling.k8s.io",
  version: "v1alpha2",
  kind: "Workload",
  behaviour: {
    prepareForCreate: (workload, context) => dropFromTemplates(workload, undefined, context),
    prepareForUpdate: dropFromTemplates,
    validate: validateWorkload,
    validateUpdate: validateWorkloadUpdate,
  },
  columns: [nameColumn, ageColumn],
});

/** Templates have no identity but their place. */
function dropFromTemplates(workload: Mutable<Workload>, old: Workload | undefined, context: HookContext): void {
  for (const [i, template] of (workload.spec?.podGroupTemplates ?? []).entries())
    dropDisabledFields(template, old?.spec?.podGroupTemplates?.[i], context);
}
