/** Upstream: pkg/apis/authorization/v1, pkg/registry/authorization/selfsubjectaccessreview */
import type { SelfSubjectAccessReview } from "../../../generated/authorization.v1.ts";
import { defineResource } from "../../../define.ts";
import { validateSelfReview } from "../validation.ts";

export const selfSubjectAccessReviews = defineResource<SelfSubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
  behaviour: { validate: validateSelfReview },
});
