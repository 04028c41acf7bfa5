/** Upstream: pkg/apis/policy/v1, pkg/registry/policy/poddisruptionbudget */
import type { PodDisruptionBudget } from "../../../generated/policy.v1.ts";
import { defineResource } from "../../../define.ts";

export const podDisruptionBudgets = defineResource<PodDisruptionBudget>({
  group: "policy",
  version: "v1",
  kind: "PodDisruptionBudget",
});
