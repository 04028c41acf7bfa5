/** Upstream: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go */
import type { Condition } from "../meta/types.ts";
import { checkText } from "./checks.ts";
import { duplicate, type FieldError, invalid, notSupported, required, tooLong } from "./field-error.ts";
import { isQualifiedName } from "./names.ts";

const MAX_REASON = 1024;
const MAX_MESSAGE = 32 * 1024;
const REASON = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;
const REASON_WORDS =
  "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

/** The conditions of the younger kinds: one of each type, each complete. */
export function validateConditions(conditions: readonly Condition[] | undefined, path: string): FieldError[] {
  if (conditions === undefined) return [];
  const types = new Set<string>();
  return conditions.flatMap((condition, i) => {
    const errors: FieldError[] = [];
    if (types.has(condition.type)) errors.push(duplicate(`${path}[${i}].type`, condition.type));
    types.add(condition.type);
    errors.push(...validateCondition(condition, `${path}[${i}]`));
    return errors;
  });
}

function validateCondition(condition: Condition, path: string): FieldError[] {
  const { type = "", status = "", reason = "", message = "", observedGeneration = 0, lastTransitionTime } = condition;
  const errors = checkText(type, `${path}.type`, isQualifiedName);
  if (status !== "True" && status !== "False" && status !== "Unknown")
    errors.push(notSupported(`${path}.status`, status, ["False", "True", "Unknown"]));
  if (observedGeneration < 0)
    errors.push(invalid(`${path}.observedGeneration`, observedGeneration, "must be greater than or equal to zero"));
  if (!lastTransitionTime) errors.push(required(`${path}.lastTransitionTime`));
  if (reason === "") errors.push(required(`${path}.reason`));
  else {
    if (!REASON.test(reason)) errors.push(invalid(`${path}.reason`, reason, REASON_WORDS));
    if (Buffer.byteLength(reason) > MAX_REASON) errors.push(tooLong(`${path}.reason`, MAX_REASON));
  }
  if (Buffer.byteLength(message) > MAX_MESSAGE) errors.push(tooLong(`${path}.message`, MAX_MESSAGE));
  return errors;
}
