/** The same as v1, field for field. Upstream: pkg/registry/networking/servicecidr */
import { defineResource } from "../../../define.ts";
import type { ServiceCIDR } from "../../../generated/networking.v1beta1.ts";
import { serviceCIDRs as v1 } from "../../v1/servicecidr/resource.ts";
import { validateServiceCidr, validateServiceCidrUpdate } from "../../v1/validation.ts";

export const serviceCIDRs = defineResource<ServiceCIDR>({
  group: "networking.k8s.io",
  version: "v1beta1",
  kind: "ServiceCIDR",
  behaviour: { validate: validateServiceCidr, validateUpdate: validateServiceCidrUpdate },
  nameRule: v1.validateName!,
  columns: v1.columns,
});
