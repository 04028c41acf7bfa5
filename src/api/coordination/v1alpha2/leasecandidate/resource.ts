/** Upstream: pkg/apis/coordination/v1alpha2, pkg/registry/coordination/leasecandidate */
import type { LeaseCandidate } from "../../../generated/coordination.v1alpha2.ts";
import { defineResource } from "../../../define.ts";

export const leaseCandidates = defineResource<LeaseCandidate>({
  group: "coordination.k8s.io",
  version: "v1alpha2",
  kind: "LeaseCandidate",
});
