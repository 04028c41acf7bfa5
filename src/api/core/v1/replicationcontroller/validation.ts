/** Upstream: pkg/apis/core/validation/validation.go (ValidateReplicationController) */
import { checkNonNegative } from "../../../../machinery/validation/checks.ts";
import { type FieldError, fieldNotFound, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain, type NameRule } from "../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type { ReplicationController } from "../../../generated/core.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { type TemplateOrigin, validateAlwaysRunning, validatePodTemplate } from "../pod/validation/spec.ts";

/** As every name, in the words of the younger checks; what a name is generated from is judged by the name that comes of it. */
export const replicationControllerName: NameRule = (name, prefix) =>
  prefix
    ? []
    : isDns1123Subdomain(name).map((message) => message.replace(/^(must be no more than \d+) characters$/, "$1 bytes"));

export function validateReplicationController(
  { spec }: ReplicationController,
  origin: TemplateOrigin = {},
): FieldError[] {
  const errors = checkNonNegative(spec?.minReadySeconds, "spec.minReadySeconds");
  const selector = Object.entries(spec?.selector ?? {});
  if (selector.length === 0) errors.push(required("spec.selector"));
  errors.push(
    ...(spec?.replicas === undefined ? [required("spec.replicas")] : checkNonNegative(spec.replicas, "spec.replicas")),
  );
  if (spec?.template === undefined) return [...errors, required("spec.template")];
  const labels = spec.template.metadata?.labels;
  if (!selector.every(([key, value]) => labels?.[key] === value))
    errors.push(
      invalid("spec.template.metadata.labels", labels ?? null, "`selector` does not match template `labels`"),
    );
  return [
    ...errors,
    ...validatePodTemplate(spec.template, "spec.template", origin),
    ...validateAlwaysRunning(spec.template, "spec.template", "ReplicationController"),
  ];
}

const NON_CONVERTIBLE = "non-convertible.kubernetes.io";

/** What an older version of the API could say and this one can't is kept in annotations, and may not be lost. */
export function validateReplicationControllerUpdate(
  controller: ReplicationController,
  old: ReplicationController,
  origin: TemplateOrigin = {},
): FieldError[] {
  const errors = validateReplicationController(controller, { ...origin, oldTemplate: old.spec.template });
  for (const [key, value] of sortedEntries(old.metadata.annotations)) {
    const [, field, ...more] = key.split("/");
    if (!key.startsWith(NON_CONVERTIBLE) || field === undefined || more.length > 0) continue;
    if (!field.includes("selector")) {
      const error = fieldNotFound(field, value);
      errors.push({ ...error, message: `${error.message}: unknown non-convertible field` });
    } else if (!semanticEqual(old.spec.selector, controller.spec.selector))
      errors.push(invalid("spec.selector", controller.spec.selector ?? null, "cannot update non-convertible selector"));
  }
  return errors;
}

const COUNTS = [
  "replicas",
  "fullyLabeledReplicas",
  "readyReplicas",
  "availableReplicas",
  "observedGeneration",
] as const;

export function validateReplicationControllerStatus({ status }: ReplicationController): FieldError[] {
  const errors = COUNTS.flatMap((field) => checkNonNegative(status?.[field], `status.${field}`));
  const { replicas = 0, readyReplicas = 0, availableReplicas = 0 } = status ?? {};
  for (const field of ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] as const)
    if ((status?.[field] ?? 0) > replicas)
      errors.push(invalid(`status.${field}`, status![field] ?? 0, "cannot be greater than status.replicas"));
  if (availableReplicas > readyReplicas)
    errors.push(invalid("status.availableReplicas", availableReplicas, "cannot be greater than readyReplicas"));
  return errors;
}
