/** Upstream: pkg/registry/policy/poddisruptionbudget */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { PodDisruptionBudget } from "../../../generated/policy.v1.ts";
import { validatePodDisruptionBudget, validatePodDisruptionBudgetStatus } from "./validation.ts";

export const podDisruptionBudgets = defineResource<PodDisruptionBudget>({
  group: "policy",
  version: "v1",
  kind: "PodDisruptionBudget",
  behaviour: { validate: validatePodDisruptionBudget },
  views: { status: { validateUpdate: validatePodDisruptionBudgetStatus } },
  columns: [
    nameColumn,
    column("Min Available", "string", ({ spec }) => String(spec?.minAvailable ?? "N/A")),
    column("Max Unavailable", "string", ({ spec }) => String(spec?.maxUnavailable ?? "N/A")),
    column("Allowed Disruptions", "integer", ({ status }) => status?.disruptionsAllowed ?? 0),
    ageColumn,
  ],
});
