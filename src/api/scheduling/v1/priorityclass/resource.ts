/** Upstream: pkg/apis/scheduling/v1, pkg/registry/scheduling/priorityclass */
import type { PriorityClass } from "../../../generated/scheduling.v1.ts";
import { defineResource } from "../../../define.ts";

export const priorityClasses = defineResource<PriorityClass>({
  group: "scheduling.k8s.io",
  version: "v1",
  kind: "PriorityClass",
});
