/** Upstream: pkg/apis/resource/v1beta1/defaults.go, pkg/registry/resource/resourceclaim */
import { defineResource } from "../../../define.ts";
import type { ResourceClaim } from "../../../generated/resource.v1beta1.ts";
import { claimFromV1, claimToV1 } from "../conversion.ts";
import type { ResourceClaim as V1 } from "../../../generated/resource.v1.ts";
import { claimColumns, defaultClaimSpec, defaultClaimStatus } from "../../device.ts";
import { dropDeallocatedDevices, validateClaimStatus } from "../../claim-status-validation.ts";
import { validateClaim, validateClaimUpdate } from "../../validation.ts";

export const resourceClaims = defineResource<ResourceClaim>({
  group: "resource.k8s.io",
  version: "v1beta1",
  kind: "ResourceClaim",
  behaviour: {
    defaults({ spec, status }) {
      defaultClaimSpec(spec);
      defaultClaimStatus(status);
    },
    validate: (claim, context) => validateClaim(claimToV1(claim) as V1, context),
    validateUpdate: (claim, old) => validateClaimUpdate(claimToV1(claim) as V1, claimToV1(old) as V1),
  },
  views: {
    status: {
      prepareForUpdate: dropDeallocatedDevices,
      validateUpdate: (claim, old, context) =>
        validateClaimStatus(claimToV1(claim) as V1, claimToV1(old) as V1, context),
    },
  },
  columns: claimColumns,
  toStored: claimToV1,
  fromStored: claimFromV1,
});
