/** Upstream: pkg/apis/scheduling/v1alpha2, pkg/registry/scheduling/podgroup */
import type { PodGroup } from "../../../generated/scheduling.v1alpha2.ts";
import { defineResource } from "../../../define.ts";

export const podGroups = defineResource<PodGroup>({
  group: "scheduling.k8s.io",
  version: "v1alpha2",
  kind: "PodGroup",
});
