/** Upstream: pkg/apis/resource/v1beta1, pkg/registry/resource/resourceclaimtemplate */
import type { ResourceClaimTemplate } from "../../../generated/resource.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const resourceClaimTemplates = defineResource<ResourceClaimTemplate>({
  group: "resource.k8s.io",
  version: "v1beta1",
  kind: "ResourceClaimTemplate",
});
