/** Upstream: pkg/apis/resource/v1beta1, pkg/registry/resource/resourceslice */
import type { ResourceSlice } from "../../../generated/resource.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const resourceSlices = defineResource<ResourceSlice>({
  group: "resource.k8s.io",
  version: "v1beta1",
  kind: "ResourceSlice",
});
