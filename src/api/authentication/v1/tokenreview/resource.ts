/** Upstream: pkg/apis/authentication/v1, pkg/registry/authentication/tokenreview */
import type { TokenReview } from "../../../generated/authentication.v1.ts";
import { defineResource } from "../../../define.ts";

export const tokenReviews = defineResource<TokenReview>({
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenReview",
});
