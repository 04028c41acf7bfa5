/** The CEL conditions under which a webhook or a policy is called at all. Upstream: pkg/apis/admissionregistration/validation/validation.go */
import { admissionEnvironment, type AdmissionVariables, compileExpression } from "../../machinery/cel/admission.ts";
import { BOOL, type Type } from "../../machinery/cel/types.ts";
import {
  duplicate,
  type FieldError,
  internalError,
  invalid,
  required,
  tooMany,
} from "../../machinery/validation/field-error.ts";
import { isQualifiedName } from "../../machinery/validation/names.ts";
import type { MatchCondition } from "../generated/admissionregistration.v1.ts";

const MAX_CONDITIONS = 64;

/** `stored`: the texts that the object has had before. */
export function validateMatchConditions(
  conditions: readonly MatchCondition[],
  path: string,
  variables: AdmissionVariables,
  stored: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  if (conditions.length > MAX_CONDITIONS) errors.push(tooMany(path, conditions.length, MAX_CONDITIONS));
  const names = new Set<string>();
  for (const [i, { name = "", expression = "" }] of conditions.entries()) {
    const at = `${path}[${i}]`;
    if (expression.trim() === "") errors.push(required(`${at}.expression`));
    else errors.push(...validateExpression(expression.trim(), `${at}.expression`, variables, [BOOL], stored));
    if (name === "") {
      errors.push(required(`${at}.name`));
      continue;
    }
    for (const message of isQualifiedName(name)) errors.push(invalid(`${at}.name`, name, message));
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
  }
  return errors;
}

function validateExpression(
  expression: string,
  path: string,
  variables: AdmissionVariables,
  types: readonly Type[],
  stored: ReadonlySet<string>,
): FieldError[] {
  const env = admissionEnvironment(stored.has(expression) ? "stored" : "new", variables);
  const compiled = compileExpression(env, expression, types);
  if (compiled.ok) return [];
  return [compiled.isInternal ? internalError(path, compiled.message) : invalid(path, expression, compiled.message)];
}
