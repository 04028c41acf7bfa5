/** Upstream: pkg/registry/networking/servicecidr */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { ServiceCIDR } from "../../../generated/networking.v1.ts";
import { validateServiceCidr, validateServiceCidrUpdate } from "../validation.ts";

export const serviceCIDRs = defineResource<ServiceCIDR>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "ServiceCIDR",
  behaviour: { validate: validateServiceCidr, validateUpdate: validateServiceCidrUpdate },
  columns: [nameColumn, column("CIDRs", "string", ({ spec }) => (spec?.cidrs ?? []).join(",")), ageColumn],
});
