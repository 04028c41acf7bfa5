/** Upstream: pkg/apis/authentication/v1, pkg/registry/authentication/selfsubjectreview */
import type { SelfSubjectReview } from "../../../generated/authentication.v1.ts";
import { defineResource } from "../../../define.ts";

export const selfSubjectReviews = defineResource<SelfSubjectReview>({
  group: "authentication.k8s.io",
  version: "v1",
  kind: "SelfSubjectReview",
});
