/** Upstream: pkg/apis/core/validation/validation.go (ValidateReplicationController) */
import { checkNonNegative } from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import type { ReplicationController } from "../../../generated/core.v1.ts";
import { validateAlwaysRunning, validatePodTemplate } from "../pod/validation/spec.ts";

export function validateReplicationController({ spec }: ReplicationController): FieldError[] {
  const errors = checkNonNegative(spec.minReadySeconds, "spec.minReadySeconds");
  const selector = Object.entries(spec.selector ?? {});
  if (selector.length === 0) errors.push(required("spec.selector"));
  errors.push(
    ...(spec.replicas === undefined ? [required("spec.replicas")] : checkNonNegative(spec.replicas, "spec.replicas")),
  );
  if (spec.template === undefined) return [...errors, required("spec.template")];
  const labels = spec.template.metadata?.labels ?? {};
  if (!selector.every(([key, value]) => labels[key] === value))
    errors.push(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
  return [
    ...errors,
    ...validatePodTemplate(spec.template, "spec.template"),
    ...validateAlwaysRunning(spec.template, "spec.template", "ReplicationController"),
  ];
}
