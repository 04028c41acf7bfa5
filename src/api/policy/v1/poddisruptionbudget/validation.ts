/** Upstream: pkg/apis/policy/validation/validation.go */
import {
  checkAtMostAll,
  checkIntOrPercent,
  checkNonNegative,
  checkOptionalWord,
  validateLabelSelector,
} from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid } from "../../../../machinery/validation/field-error.ts";
import { validateConditions } from "../../../../machinery/validation/conditions.ts";
import { internalValue } from "../../../internal-value.ts";
import type { PodDisruptionBudget } from "../../../generated/policy.v1.ts";

export function validatePodDisruptionBudget({ spec }: PodDisruptionBudget): FieldError[] {
  const errors: FieldError[] = [];
  if (spec?.minAvailable !== undefined && spec.maxUnavailable !== undefined)
    errors.push(
      invalid(
        "spec",
        internalValue(spec, "io.k8s.api.policy.v1.PodDisruptionBudgetSpec"),
        "minAvailable and maxUnavailable cannot be both set",
      ),
    );
  for (const field of ["minAvailable", "maxUnavailable"] as const)
    errors.push(
      ...checkIntOrPercent(spec?.[field], `spec.${field}`),
      ...checkAtMostAll(spec?.[field], `spec.${field}`),
    );
  errors.push(...validateLabelSelector(spec?.selector, "spec.selector"));
  errors.push(
    ...checkOptionalWord(spec?.unhealthyPodEvictionPolicy, "spec.unhealthyPodEvictionPolicy", [
      "AlwaysAllow",
      "IfHealthyBudget",
    ]),
  );
  return errors;
}

export function validatePodDisruptionBudgetStatus({ status }: PodDisruptionBudget): FieldError[] {
  return [
    ...validateConditions(status?.conditions, "status.conditions"),
    ...(["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] as const).flatMap((field) =>
      checkNonNegative(status?.[field], `status.${field}`),
    ),
  ];
}
