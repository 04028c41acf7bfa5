/** Upstream: pkg/apis/resource/v1beta2/defaults.go, pkg/registry/resource/resourceclaim */
import { defineResource } from "../../../define.ts";
import type { ResourceClaim } from "../../../generated/resource.v1beta2.ts";
import { claimColumns, defaultClaimSpec, defaultClaimStatus } from "../../device.ts";
import { dropDeallocatedDevices, validateClaimStatus } from "../../claim-status-validation.ts";
import { validateClaim, validateClaimUpdate } from "../../validation.ts";

export const resourceClaims = defineResource<ResourceClaim>({
  group: "resource.k8s.io",
  version: "v1beta2",
  kind: "ResourceClaim",
  behaviour: {
    defaults({ spec, status }) {
      defaultClaimSpec(spec);
      defaultClaimStatus(status);
    },
    validate: validateClaim,
    validateUpdate: validateClaimUpdate,
  },
  views: { status: { prepareForUpdate: dropDeallocatedDevices, validateUpdate: validateClaimStatus } },
  columns: claimColumns,
});
