/** Upstream: pkg/apis/authorization/v1, pkg/registry/authorization/localsubjectaccessreview */
import type { LocalSubjectAccessReview } from "../../../generated/authorization.v1.ts";
import { defineResource } from "../../../define.ts";
import { validateLocalReview } from "../validation.ts";

export const localSubjectAccessReviews = defineResource<LocalSubjectAccessReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "LocalSubjectAccessReview",
  behaviour: { validate: validateLocalReview },
});
