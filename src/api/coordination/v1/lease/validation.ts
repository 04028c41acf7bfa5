/** Upstream: pkg/apis/coordination/validation/validation.go */
import { checkNonNegative, checkText } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
} from "../../../../machinery/validation/field-error.ts";
import { isQualifiedName } from "../../../../machinery/validation/names.ts";
import type { Lease } from "../../../generated/coordination.v1.ts";

export function validateLease({ spec }: Lease): FieldError[] {
  const errors: FieldError[] = [];
  const { leaseDurationSeconds, leaseTransitions, strategy, preferredHolder } = spec ?? {};
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0)
    errors.push(invalid("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0"));
  errors.push(...checkNonNegative(leaseTransitions, "spec.leaseTransitions"));
  if (strategy !== undefined) {
    errors.push(...validateStrategy(strategy));
  }
  if (preferredHolder && !strategy)
    errors.push(fieldForbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"));
  return errors;
}

/** The doubled path is upstream's. */
export function validateStrategy(strategy: string): FieldError[] {
  const path = "spec.strategy.strategy";
  if (strategy.includes("/")) return checkText(strategy, path, isQualifiedName);
  return strategy === "OldestEmulationVersion" ? [] : [notSupported(path, strategy, ["OldestEmulationVersion"])];
}
