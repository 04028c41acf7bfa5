/** Upstream: pkg/apis/networking/v1, pkg/registry/networking/servicecidr */
import type { ServiceCIDR } from "../../../generated/networking.v1.ts";
import { defineResource } from "../../../define.ts";

export const serviceCIDRs = defineResource<ServiceCIDR>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "ServiceCIDR",
});
