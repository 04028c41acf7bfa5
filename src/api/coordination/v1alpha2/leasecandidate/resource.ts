/** Upstream: pkg/registry/coordination/leasecandidate */
import { isConfigMapKey } from "../../../../machinery/validation/names.ts";
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { LeaseCandidate } from "../../../generated/coordination.v1alpha2.ts";
import { validateLeaseCandidate, validateLeaseCandidateUpdate } from "../../v1beta1/leasecandidate/validation.ts";

export const leaseCandidates = defineResource<LeaseCandidate>({
  group: "coordination.k8s.io",
  version: "v1alpha2",
  kind: "LeaseCandidate",
  nameRule: isConfigMapKey,
  behaviour: { validate: validateLeaseCandidate, validateUpdate: validateLeaseCandidateUpdate },
  columns: [
    nameColumn,
    column("LeaseName", "string", ({ spec }) => spec?.leaseName ?? ""),
    column("BinaryVersion", "string", ({ spec }) => spec?.binaryVersion ?? ""),
    column("EmulationVersion", "string", ({ spec }) => spec?.emulationVersion ?? ""),
    ageColumn,
  ],
});
