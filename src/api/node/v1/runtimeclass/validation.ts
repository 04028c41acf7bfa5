/** Upstream: pkg/apis/node/validation/validation.go */
import { checkRequiredText } from "../../../../machinery/validation/checks.ts";
import { type FieldError, duplicate } from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label } from "../../../../machinery/validation/names.ts";
import { immutableField, validateLabels } from "../../../../machinery/validation/object-meta.ts";
import { validateResourceRequirements } from "../../../core/v1/pod/validation/resources.ts";
import { validateTolerations } from "../../../core/v1/pod/validation/scheduling.ts";
import { internalValue } from "../../../internal-value.ts";
import type { RuntimeClass } from "../../../generated/node.v1.ts";

export function validateRuntimeClass({ handler, overhead, scheduling }: RuntimeClass): FieldError[] {
  const errors = checkRequiredText(handler, "handler", isDns1123Label);
  if (overhead?.podFixed !== undefined)
    errors.push(
      ...validateResourceRequirements({ limits: overhead.podFixed }, "overhead", {
        level: "container",
        claimNames: [],
        allowOddHugePages: false,
      }),
    );
  errors.push(...validateLabels(scheduling?.nodeSelector, "scheduling.nodeSelector"));
  const tolerations = scheduling?.tolerations ?? [];
  errors.push(...validateTolerations(tolerations, "scheduling.tolerations"));
  const keyOf = ({ key, operator, value, effect }: (typeof tolerations)[number]) =>
    JSON.stringify([key, operator, value, effect]);
  for (const [i, toleration] of tolerations.entries())
    if (tolerations.slice(0, i).some((before) => keyOf(before) === keyOf(toleration)))
      errors.push(
        duplicate(`scheduling.tolerations[${i}]`, internalValue(toleration, "io.k8s.api.core.v1.Toleration")),
      );
  return errors;
}

export function validateRuntimeClassUpdate(object: RuntimeClass, old: RuntimeClass): FieldError[] {
  return [...validateRuntimeClass(object), ...immutableField(object.handler, old.handler, "handler")];
}
