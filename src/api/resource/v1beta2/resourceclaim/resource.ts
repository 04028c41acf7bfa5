/** Upstream: pkg/apis/resource/v1beta2, pkg/registry/resource/resourceclaim */
import type { ResourceClaim } from "../../../generated/resource.v1beta2.ts";
import { defineResource } from "../../../define.ts";

export const resourceClaims = defineResource<ResourceClaim>({
  group: "resource.k8s.io",
  version: "v1beta2",
  kind: "ResourceClaim",
});
