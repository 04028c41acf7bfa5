/** Upstream: pkg/apis/authorization/v1, pkg/registry/authorization/subjectaccessreview */
import type { SubjectAccessReview } from "../../../generated/authorization.v1.ts";
import { defineResource } from "../../../define.ts";
import { validateReview } from "../validation.ts";

export const subjectAccessReviews = defineResource<SubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  behaviour: { validate: validateReview },
});
