/** Upstream: pkg/apis/core/validation/validation.go (validateProbe) */
import { checkNonNegative } from "../../../../../machinery/validation/checks.ts";
import { type FieldError, invalid } from "../../../../../machinery/validation/field-error.ts";
import type { Probe } from "../../../../generated/core.v1.ts";
import { validateHandler } from "./handlers.ts";

/** Of a liveness or startup probe one success is enough. */
export function validateLivenessProbe(probe: Probe | undefined, path: string): FieldError[] {
  if (probe === undefined) return [];
  const errors = validateProbe(probe, path);
  if (probe.successThreshold !== 1)
    errors.push(invalid(`${path}.successThreshold`, probe.successThreshold ?? 0, "must be 1"));
  return errors;
}

/** One that isn't ready isn't ended: how long an end may take has no meaning. */
export function validateReadinessProbe(probe: Probe | undefined, path: string): FieldError[] {
  if (probe === undefined) return [];
  const errors = validateProbe(probe, path);
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined)
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, "must not be set for readinessProbes"));
  return errors;
}

const COUNTS = [
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
] as const;

function validateProbe(probe: Probe, path: string): FieldError[] {
  const errors = validateHandler(probe, path);
  for (const field of COUNTS) errors.push(...checkNonNegative(probe[field], `${path}.${field}`));
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0)
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, "must be greater than 0"));
  return errors;
}
