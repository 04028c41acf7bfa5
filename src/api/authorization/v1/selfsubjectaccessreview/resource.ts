/** Upstream: pkg/apis/authorization/v1, pkg/registry/authorization/selfsubjectaccessreview */
import type { SelfSubjectAccessReview } from "../../../generated/authorization.v1.ts";
import { defineResource } from "../../../define.ts";

export const selfSubjectAccessReviews = defineResource<SelfSubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
});
