/** Upstream: pkg/apis/resource/v1alpha3, pkg/registry/resource/resourcepoolstatusrequest */
import type { ResourcePoolStatusRequest } from "../../../generated/resource.v1alpha3.ts";
import { defineResource } from "../../../define.ts";

export const resourcePoolStatusRequests = defineResource<ResourcePoolStatusRequest>({
  group: "resource.k8s.io",
  version: "v1alpha3",
  kind: "ResourcePoolStatusRequest",
});
