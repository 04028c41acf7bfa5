/** Upstream: pkg/apis/resource/v1beta2, pkg/registry/resource/resourceclaimtemplate */
import type { ResourceClaimTemplate } from "../../../generated/resource.v1beta2.ts";
import { defineResource } from "../../../define.ts";

export const resourceClaimTemplates = defineResource<ResourceClaimTemplate>({
  group: "resource.k8s.io",
  version: "v1beta2",
  kind: "ResourceClaimTemplate",
});
