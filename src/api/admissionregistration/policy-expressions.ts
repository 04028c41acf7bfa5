/**
 * Compiles the expressions of a policy during validation: variables first, because later expressions may use them. Expressions that the policy
 * already had may use everything that stored expressions may.
 * Upstream: pkg/apis/admissionregistration/validation/validation.go, staging/src/k8s.io/apiserver/pkg/admission/plugin/cel
 */
import {
  admissionEnvironment,
  type AdmissionVariables,
  type CompiledExpression,
  compileExpression,
} from "../../machinery/cel/admission.ts";
import { withVariables } from "../../machinery/cel/composition.ts";
import type { Environment } from "../../machinery/cel/environment.ts";
import type { Age } from "../../machinery/cel/kubernetes.ts";
import { objectStructs } from "../../machinery/cel/libraries/objects.ts";
import { jsonPatchFunctions } from "../../machinery/cel/libraries/values.ts";
import { DYN, type Type } from "../../machinery/cel/types.ts";
import { type FieldError, internalError, invalid } from "../../machinery/validation/field-error.ts";

export interface Expressions {
  /** The errors of an expression at a path; `shown` where the text that errors show is another. */
  validate(
    expression: string,
    path: string,
    options: {
      readonly types: readonly Type[];
      /** The texts that stood in such places before. */
      readonly stored: ReadonlySet<string>;
      readonly authorizer?: boolean;
      readonly shown?: string;
    },
  ): FieldError[];
  /** As `validate`, for one that others can use by its name. */
  addVariable(name: string, expression: string, path: string, stored: ReadonlySet<string>): FieldError[];
}

export function policyExpressions({
  params,
  composed,
  mutating,
}: {
  readonly params: boolean;
  /** There are variables, or might be. */
  readonly composed: boolean;
  readonly mutating: boolean;
}): Expressions {
  const types = new Map<string, Type>();
  const known = new Map<string, Environment>();
  const environmentOf = (age: Age, authorizer: boolean, makesPatches: boolean): Environment => {
    const key = `${age} ${authorizer} ${makesPatches}`;
    let env = known.get(key);
    if (env === undefined) {
      const declared: AdmissionVariables = { params, authorizer };
      env = admissionEnvironment(age, declared);
      if (makesPatches) env = env.with(jsonPatchFunctions).withStructs(objectStructs);
      if (composed) env = withVariables(env, types);
      known.set(key, env);
    }
    return env;
  };
  const ageOf = (expression: string, stored: ReadonlySet<string>): Age => (stored.has(expression) ? "stored" : "new");
  return {
    validate(expression, path, { types: wanted, stored, authorizer = true, shown = expression }) {
      const env = environmentOf(ageOf(shown, stored), authorizer, mutating);
      return errorsOf(compileExpression(env, expression, wanted), shown, path);
    },
    addVariable(name, expression, path, stored) {
      const env = environmentOf(ageOf(expression, stored), true, false);
      const compiled = compileExpression(env, expression, []);
      types.set(name, compiled.ok ? compiled.type : DYN);
      return errorsOf(compiled, expression, path);
    },
  };
}

function errorsOf(compiled: CompiledExpression, shown: string, path: string): FieldError[] {
  if (compiled.ok) return [];
  return [compiled.isInternal ? internalError(path, compiled.message) : invalid(path, shown, compiled.message)];
}
