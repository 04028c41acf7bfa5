/** Upstream: pkg/apis/networking/v1beta1, pkg/registry/networking/servicecidr */
import type { ServiceCIDR } from "../../../generated/networking.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const serviceCIDRs = defineResource<ServiceCIDR>({
  group: "networking.k8s.io",
  version: "v1beta1",
  kind: "ServiceCIDR",
});
