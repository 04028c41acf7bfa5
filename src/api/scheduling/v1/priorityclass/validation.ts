/** Upstream: pkg/apis/scheduling/validation/validation.go */
import { checkOptionalWord } from "../../../../machinery/validation/checks.ts";
import { type FieldError, fieldForbidden, required } from "../../../../machinery/validation/field-error.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { PriorityClass } from "../../../generated/scheduling.v1.ts";

const HIGHEST_USER_PRIORITY = 1_000_000_000;
const SYSTEM_PRIORITY_CLASSES: Readonly<Record<string, number>> = {
  "system-node-critical": 2_000_001_000,
  "system-cluster-critical": 2_000_000_000,
};

export const isSystemPriorityClass = (name: string): boolean => Object.hasOwn(SYSTEM_PRIORITY_CLASSES, name);

export function validatePriorityClass({
  metadata,
  value,
  globalDefault,
  preemptionPolicy,
}: PriorityClass): FieldError[] {
  const errors: FieldError[] = [];
  if (metadata.name.startsWith("system-")) {
    const problem = systemProblem(metadata.name, value ?? 0, globalDefault === true);
    if (problem !== undefined)
      errors.push(
        fieldForbidden(
          "metadata.name",
          `priority class names with 'system-' prefix are reserved for system use only. error: ${problem}`,
        ),
      );
  } else if ((value ?? 0) > HIGHEST_USER_PRIORITY) {
    errors.push(
      fieldForbidden("value", `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}`),
    );
  }
  if (preemptionPolicy === "") return [...errors, required("preemptionPolicy")];
  return [...errors, ...checkOptionalWord(preemptionPolicy, "preemptionPolicy", ["PreemptLowerPriority", "Never"])];
}

function systemProblem(name: string, value: number, globalDefault: boolean): string | undefined {
  const known = SYSTEM_PRIORITY_CLASSES[name];
  if (known === undefined) return `${name} is not a known system priority class`;
  if (known !== value) return `value of ${name} PriorityClass must be ${known}`;
  return globalDefault ? `globalDefault of ${name} PriorityClass must be false` : undefined;
}

export function validatePriorityClassUpdate(object: PriorityClass, old: PriorityClass): FieldError[] {
  return [
    ...((object.value ?? 0) === (old.value ?? 0) ? [] : [fieldForbidden("value", "may not be changed in an update.")]),
    ...immutableField(object.preemptionPolicy, old.preemptionPolicy, "preemptionPolicy"),
  ];
}
