/**
 * MutatingAdmissionPolicy: changes written in CEL, as apply configurations or as JSON patches.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/mutating
 */
import { admissionEnvironment, type CompiledExpression, compileExpression } from "../../../machinery/cel/admission.ts";
import {
  JSON_PATCH,
  misnamed,
  OBJECT,
  ObjectValue,
  objectStructs,
  toJson,
} from "../../../machinery/cel/libraries/objects.ts";
import { jsonPatchFunctions } from "../../../machinery/cel/libraries/values.ts";
import { list } from "../../../machinery/cel/types.ts";
import { CelError, ListValue, type Value } from "../../../machinery/cel/values.ts";
import { DEDUCED, memberSchema, shapeOf } from "../../../machinery/patch/apply/shape.ts";
import { checkTyped, mergeTyped, typedErrorText } from "../../../machinery/patch/apply/typed.ts";
import { applyJsonPatch } from "../../../machinery/patch/json-patch.ts";
import type { JsonObject } from "../../../machinery/patch/json-value.ts";
import type { Schema } from "../../../machinery/schema/schema.ts";
import { StatusError, type Reason } from "../../../machinery/status.ts";
import { activationOf, Budget, OutOfBudget, Questions, timedMatch } from "../expressions.ts";
import { type AdmissionContext, type AdmissionRequest, type AnyObject, defineAdmission, refuse } from "../framework.ts";
import { resourceOfRequest, takeObject } from "../mutation.ts";
import { Rounds } from "../reinvocation.ts";
import { type Invocation, invocationsFor, readsOf } from "../policies/bindings.ts";
import { namespaceOf, seenAs } from "../selection.ts";
import { compileVariables, type Variables, VariableValues } from "../../../machinery/cel/composition.ts";

/** Of one expression. */
const BUDGET = 10_000_000;

interface Compiled {
  readonly variables: Variables;
  readonly mutations: readonly {
    readonly text: string;
    readonly isPatch: boolean;
    readonly compiled: CompiledExpression;
  }[];
}

interface Failure {
  readonly policy: AnyObject;
  readonly binding: AnyObject | undefined;
  readonly message: string;
  /** Absent for a policy that can't be asked: the answer's own, `Forbidden`. */
  readonly reason?: Reason;
}

export const mutatingAdmissionPolicy = defineAdmission({
  name: "MutatingAdmissionPolicy",
  onByDefault: true,
  reads: readsOf("mutating"),
  handles: { operations: ["CREATE", "UPDATE"] },
  async admit(request, context) {
    const { invocations, misconfigured } = await invocationsFor(request, context, "mutating");
    const failures: Failure[] = [...misconfigured];
    const reinvocable = (request.rounds ??= new Rounds()).of("MutatingAdmissionPolicy", request);
    reinvocable.begin();
    for (const invocation of invocations) {
      const { policy, binding, params } = invocation;
      const { namespace, name } = params?.metadata ?? {};
      const key = JSON.stringify([policy.metadata.name, binding.metadata.name, namespace, name]);
      if (!reinvocable.isAsked(key)) continue;
      const before = JSON.stringify(request.object);
      if (!(await mutate(invocation, request, context, failures))) continue;
      const changed = before !== JSON.stringify(request.object);
      reinvocable.asked(key, policy.spec.reinvocationPolicy, changed, true);
    }
    reinvocable.end();
    const counting = failures.filter(({ policy }) => policy.spec.failurePolicy !== "Ignore");
    if (counting.length > 0) throw denied(request, counting);
  },
});

function denied(request: AdmissionRequest, failures: readonly Failure[]): StatusError {
  const messages = failures.map(({ policy, binding, message }) =>
    binding === undefined
      ? `policy '${policy.metadata.name}' denied request: ${message}`
      : `policy '${policy.metadata.name}' with binding '${binding.metadata.name}' denied request: ${message}`,
  );
  const error = refuse(request, "");
  // Whatever the reason, it is a 403.
  return new StatusError(
    failures[0]!.reason ?? "Forbidden",
    messages[0]!,
    { ...error.details, causes: messages.map((message) => ({ message })) },
    { code: 403 },
  );
}

/** False where the policy's conditions say that it isn't meant. */
async function mutate(
  invocation: Invocation,
  request: AdmissionRequest,
  context: AdmissionContext,
  failures: Failure[],
): Promise<boolean> {
  const seen = await seenAs(invocation.resource, request, context);
  const before = seen.object;
  const isMeant = await mutateSeen(invocation, seen, context, failures);
  // What was changed in another version is carried back.
  if (seen !== request && seen.object !== before) {
    const object = await context.carryOver(seen.object, invocation.resource, request.resource);
    takeObject(request, structuredClone(object), context);
  }
  return isMeant;
}

async function mutateSeen(
  { policy, binding, params }: Invocation,
  request: AdmissionRequest,
  context: AdmissionContext,
  failures: Failure[],
): Promise<boolean> {
  const { spec } = policy;
  const fail = (message: string) => void failures.push({ policy, binding, message, reason: "Invalid" });
  const matched = await timedMatch(
    context,
    { name: policy.metadata.name, kind: "policy", half: "admit" },
    spec,
    request,
    params,
  );
  if ("error" in matched) {
    fail(matched.error);
    return false;
  }
  if (!matched.matches) return false;
  const compiled = context.policies.get(policy, compilePolicy);
  const questions = new Questions(context.authorizer, request.user);
  const namespaceObject = namespaceOf(request, context.cluster);
  for (const mutation of compiled.mutations) {
    if (!mutation.compiled.ok) {
      fail(`compilation error: ${mutation.compiled.message}`);
      continue;
    }
    const { program } = mutation.compiled;
    const base = activationOf(request, questions, { namespaceObject, params });
    try {
      const result = await questions.run(() => {
        const values = new VariableValues(compiled.variables, base);
        const budget = new Budget(BUDGET);
        const one = budget.evaluate(mutation.text, program, values.activation);
        budget.spend(values.takeCost());
        return one;
      });
      if ("error" in result) {
        fail(result.error);
        continue;
      }
      const changed = mutation.isPatch
        ? patched(request.object, result.value)
        : merged(request.object, result.value, schemaOf(request, context));
      if (changed !== request.object) takeObject(request, changed, context);
    } catch (error) {
      if (!(error instanceof OutOfBudget || error instanceof PatchFailure || error instanceof CelError)) throw error;
      fail(error.message);
    }
  }
  return true;
}

class PatchFailure extends Error {}

function schemaOf(request: AdmissionRequest, context: AdmissionContext): Schema {
  return resourceOfRequest(request, context)?.schema ?? DEDUCED;
}

/** The object with the configuration laid over it, by the rules of server-side apply, and nobody's the owner. */
function merged(object: AnyObject, value: Value, schema: Schema): AnyObject {
  if (!(value instanceof ObjectValue))
    throw new PatchFailure("unsupported return type from ApplyConfiguration expression");
  const wrong = misnamed(value);
  if (wrong !== undefined) throw new PatchFailure(`type mismatch: ${wrong}`);
  const configuration = {
    ...(toJson(value) as JsonObject),
    apiVersion: object.apiVersion,
    kind: object.kind,
  } as JsonObject;
  const errors = checkTyped(configuration, schema);
  if (errors.length > 0)
    throw new PatchFailure(
      `error applying patch: failed to convert patch object to typed object: ${typedErrorText(errors)}`,
    );
  const atomics = atomicsOf(configuration, schema, "");
  if (atomics.length > 0)
    throw new PatchFailure(
      `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(", ")}`,
    );
  return mergeTyped(object, configuration, schema);
}

/** Whole values that would be replaced, with all that the policy didn't mention. */
function atomicsOf(value: unknown, schema: Schema, path: string): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = path !== "" && shapeOf(schema, value) === "leaf" ? [path] : [];
  if (Array.isArray(value))
    return [...own, ...value.flatMap((item, i) => atomicsOf(item, schema.items ?? DEDUCED, `${path}[${i}]`))];
  return [
    ...own,
    ...Object.entries(value).flatMap(([name, one]) =>
      atomicsOf(one, memberSchema(schema, name) ?? DEDUCED, `${path}.${name}`),
    ),
  ];
}

function patched(object: AnyObject, value: Value): AnyObject {
  if (!(value instanceof ListValue))
    throw new PatchFailure("type mismatch: JSONPatchType.expression should evaluate to array");
  const operations: unknown[] = [];
  for (const one of value) {
    if (!(one instanceof ObjectValue) || one.type.name !== JSON_PATCH.name)
      throw new PatchFailure("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch");
    operations.push(toJson(one));
  }
  try {
    return applyJsonPatch(object, operations) as AnyObject;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    // A test that fails means: not this object.
    if (/^test(ing value| operation)/.test(why)) return object;
    throw new PatchFailure(`JSON Patch: ${why}`);
  }
}

function compilePolicy({ spec }: AnyObject): Compiled {
  const base = admissionEnvironment("stored", { params: spec.paramKind !== undefined, authorizer: true });
  const variables = compileVariables(base, spec.variables ?? []);
  // Only a mutation makes patches: its variables don't.
  const env = variables.env.with(jsonPatchFunctions).withStructs(objectStructs);
  return {
    variables,
    mutations: ((spec.mutations ?? []) as readonly AnyObject[]).map(({ patchType, applyConfiguration, jsonPatch }) => {
      const isPatch = patchType === "JSONPatch";
      const text: string = (isPatch ? jsonPatch?.expression : applyConfiguration?.expression) ?? "";
      return { text, isPatch, compiled: compileExpression(env, text, [isPatch ? list(JSON_PATCH) : OBJECT]) };
    }),
  };
}
