/** Upstream: pkg/apis/coordination/v1beta1, pkg/registry/coordination/leasecandidate */
import type { LeaseCandidate } from "../../../generated/coordination.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const leaseCandidates = defineResource<LeaseCandidate>({
  group: "coordination.k8s.io",
  version: "v1beta1",
  kind: "LeaseCandidate",
});
