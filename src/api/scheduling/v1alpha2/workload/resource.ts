/** Upstream: pkg/apis/scheduling/v1alpha2, pkg/registry/scheduling/workload */
import type { Workload } from "../../../generated/scheduling.v1alpha2.ts";
import { defineResource } from "../../../define.ts";

export const workloads = defineResource<Workload>({
  group: "scheduling.k8s.io",
  version: "v1alpha2",
  kind: "Workload",
});
