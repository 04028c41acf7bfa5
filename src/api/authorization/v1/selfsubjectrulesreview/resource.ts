/** Upstream: pkg/apis/authorization/v1, pkg/registry/authorization/selfsubjectrulesreview */
import type { SelfSubjectRulesReview } from "../../../generated/authorization.v1.ts";
import { defineResource } from "../../../define.ts";

export const selfSubjectRulesReviews = defineResource<SelfSubjectRulesReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectRulesReview",
});
