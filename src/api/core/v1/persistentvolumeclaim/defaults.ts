/** Upstream: pkg/apis/core/v1/defaults.go */
import type { Mutable } from "../../../../base/mutable.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../../../generated/core.v1.ts";
import { ifAbsent, ifEmpty, roundResourceList } from "../../../defaulting.ts";

export function defaultClaimSpec(spec: Mutable<PersistentVolumeClaimSpec>): void {
  ifAbsent(spec, "volumeMode", "Filesystem");
  ifAbsent(spec, "resources", {});
  roundResourceList(spec.resources?.limits);
  roundResourceList(spec.resources?.requests);
}

/** For claims, and for the templates of a stateful set. */
export function defaultClaim(claim: Mutable<PersistentVolumeClaim>): void {
  ifAbsent(claim, "status", {});
  ifEmpty(claim.status, "phase", "Pending");
  if (claim.spec !== undefined) defaultClaimSpec(claim.spec);
  roundResourceList(claim.status.capacity);
  roundResourceList(claim.status.allocatedResources);
}
