/**
 * ValidatingAdmissionPolicy: rules in CEL that deny, warn or annotate the audit event.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating
 */
import { admissionEnvironment, type CompiledExpression, compileExpression } from "../../../machinery/cel/admission.ts";
import { BOOL, NULL, STRING } from "../../../machinery/cel/types.ts";
import { type Reason, StatusError } from "../../../machinery/status.ts";
import { activationOf, Budget, type Evaluated, OutOfBudget, Questions, timedMatch } from "../expressions.ts";
import { policyErrorOf } from "../metrics.ts";
import { type AdmissionContext, type AdmissionRequest, type AnyObject, defineAdmission, refuse } from "../framework.ts";
import { type Invocation, invocationsFor, readsOf } from "../policies/bindings.ts";
import { namespaceOf, seenAs } from "../selection.ts";
import { compileVariables, type Variables, VariableValues } from "../../../machinery/cel/composition.ts";

/** All validations and their messages together, of one binding with one parameter; audit annotations get as much again. */
const BUDGET = 10_000_000;
const MAX_MESSAGE_BYTES = 5120;
const MAX_ANNOTATION_CHARACTERS = 10_240;

interface Compiled {
  readonly variables: Variables;
  readonly validations: readonly CompiledExpression[];
  readonly messages: readonly (CompiledExpression | undefined)[];
  readonly annotations: readonly CompiledExpression[];
}

interface Denial {
  readonly policy: string;
  readonly binding: string | undefined;
  readonly message: string;
  readonly reason: Reason;
}

export const validatingAdmissionPolicy = defineAdmission({
  name: "ValidatingAdmissionPolicy",
  onByDefault: true,
  reads: readsOf("validating"),
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
  async validate(request, context) {
    const { invocations, misconfigured } = await invocationsFor(request, context, "validating");
    const denials: Denial[] = [];
    for (const { policy, binding, message } of misconfigured)
      if (policy.spec.failurePolicy !== "Ignore")
        denials.push({ policy: policy.metadata.name, binding: binding?.metadata.name, message, reason: "Invalid" });
    const notes = new Map<string, Set<string>>();
    for (const invocation of invocations) denials.push(...(await evaluate(invocation, request, context, notes)));
    for (const [key, values] of notes) request.annotate?.(key, [...values].join(", "));
    if (denials.length > 0) throw denied(request, denials[0]!);
  },
});

function denied(request: AdmissionRequest, { policy, binding, message, reason }: Denial): StatusError {
  const by = binding === undefined ? "" : ` with binding '${binding}'`;
  const text = `ValidatingAdmissionPolicy '${policy}'${by} denied request: ${message}`;
  const error = refuse(request, text);
  return new StatusError(reason, error.message, { ...error.details, causes: [{ message: text }] });
}

async function evaluate(
  { policy, binding, params, resource }: Invocation,
  request: AdmissionRequest,
  context: AdmissionContext,
  notes: Map<string, Set<string>>,
): Promise<readonly Denial[]> {
  const { spec } = policy;
  const isLenient = spec.failurePolicy === "Ignore";
  const denials: Denial[] = [];
  const deny = (message: string, reason: Reason = "Invalid") =>
    void denials.push({ policy: policy.metadata.name, binding: binding.metadata.name, message, reason });
  const fail = (message: string) => {
    if (isLenient) return;
    act({ index: 0, message, reason: "Invalid" });
  };
  const began = context.clock.monotonic();
  const act = ({ index, message, reason }: Failure) => {
    for (const action of binding.spec.validationActions ?? []) {
      context.metrics.policyCheck(
        policy.metadata.name,
        binding.metadata.name,
        policyErrorOf(message),
        action.toLowerCase(),
        context.clock.monotonic() - began,
      );
      if (action === "Deny") deny(message, reason);
      else if (action === "Warn")
        request.warn(
          `Validation failed for ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}': ${message}`,
        );
      else if (action === "Audit")
        request.annotate?.(
          "validation.policy.admission.k8s.io/validation_failure",
          JSON.stringify([
            {
              message,
              policy: policy.metadata.name,
              binding: binding.metadata.name,
              expressionIndex: index,
              validationActions: binding.spec.validationActions,
            },
          ]),
        );
    }
  };
  const seen = await seenAs(resource, request, context);
  const matched = await timedMatch(
    context,
    { name: policy.metadata.name, kind: "policy", half: "validate" },
    spec,
    seen,
    params,
  );
  if ("error" in matched) {
    fail(matched.error);
    return denials;
  }
  if (!matched.matches) return denials;
  const compiled = context.policies.get(policy, compilePolicy);
  const questions = new Questions(context.authorizer, request.user);
  const namespaceObject = namespaceOf(request, context.cluster);
  const base = activationOf(seen, questions, { namespaceObject, params });
  const evaluating = context.clock.monotonic();
  const outcome = await questions.run(() => {
    const failures = validate(spec, compiled, new VariableValues(compiled.variables, base));
    const annotations = annotate(spec, compiled, new VariableValues(compiled.variables, base));
    return { failures, annotations };
  });
  context.metrics.evaluated(context.clock.monotonic() - evaluating);
  for (const failure of outcome.failures) {
    if (!failure.isError) act(failure);
    else if (!isLenient) act(failure);
  }
  for (const { key, value, error } of outcome.annotations) {
    if (error !== undefined) {
      if (!isLenient) deny(error);
      continue;
    }
    const name = `${policy.metadata.name}/${key}`;
    let values = notes.get(name);
    if (values === undefined) notes.set(name, (values = new Set()));
    values.add(value!.slice(0, MAX_ANNOTATION_CHARACTERS));
  }
  return denials;
}

interface Failure {
  readonly index: number;
  readonly message: string;
  readonly reason: Reason;
  readonly isError?: boolean;
}

/** Runs what is compiled, with what its variables cost on the same budget. */
function run(budget: Budget, text: string, compiled: CompiledExpression, values: VariableValues): Evaluated {
  if (!compiled.ok) return { error: `compilation error: ${compiled.message}` };
  const result = budget.evaluate(text, compiled.program, values.activation);
  budget.spend(values.takeCost());
  return result;
}

function validate(spec: AnyObject, compiled: Compiled, values: VariableValues): readonly Failure[] {
  const budget = new Budget(BUDGET);
  const validations: readonly AnyObject[] = spec.validations ?? [];
  try {
    const results = validations.map(({ expression }, i) => run(budget, expression, compiled.validations[i]!, values));
    const failures: Failure[] = [];
    for (const [index, result] of results.entries()) {
      const { message, expression, reason = "Invalid" } = validations[index]!;
      if ("error" in result) {
        failures.push({ index, message: result.error, reason: "Invalid", isError: true });
        continue;
      }
      if (result.value === true) continue;
      let text = "";
      const messageExpression = compiled.messages[index];
      if (messageExpression !== undefined) {
        const told = run(budget, validations[index]!.messageExpression, messageExpression, values);
        if ("value" in told && typeof told.value === "string") text = told.value.trim();
        if (text.includes("\n") || Buffer.byteLength(text) > MAX_MESSAGE_BYTES) text = "";
      }
      text ||= (message ?? "").trim() || `failed expression: ${expression.trim()}`;
      failures.push({ index, message: text, reason });
    }
    return failures;
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    return [{ index: 0, message: error.message, reason: "Invalid", isError: true }];
  }
}

interface Annotation {
  readonly key: string;
  readonly value?: string;
  readonly error?: string;
}

function annotate(spec: AnyObject, compiled: Compiled, values: VariableValues): readonly Annotation[] {
  const budget = new Budget(BUDGET);
  const annotations: Annotation[] = [];
  try {
    for (const [i, { key, valueExpression }] of ((spec.auditAnnotations ?? []) as readonly AnyObject[]).entries()) {
      const result = run(budget, valueExpression, compiled.annotations[i]!, values);
      if ("error" in result) annotations.push({ key, error: result.error });
      else if (typeof result.value === "string" && result.value.trim() !== "")
        annotations.push({ key, value: result.value.trim() });
    }
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    annotations.push({ key: "", error: error.message });
  }
  return annotations;
}

function compilePolicy({ spec }: AnyObject): Compiled {
  const params = spec.paramKind !== undefined;
  const withAuthorizer = compileVariables(
    admissionEnvironment("stored", { params, authorizer: true }),
    spec.variables ?? [],
  );
  const without = compileVariables(admissionEnvironment("stored", { params }), spec.variables ?? []);
  const validations: readonly AnyObject[] = spec.validations ?? [];
  return {
    variables: withAuthorizer,
    validations: validations.map(({ expression }) => compileExpression(withAuthorizer.env, expression, [BOOL])),
    messages: validations.map(({ messageExpression }) =>
      messageExpression ? compileExpression(without.env, messageExpression, [STRING]) : undefined,
    ),
    annotations: ((spec.auditAnnotations ?? []) as readonly AnyObject[]).map(({ valueExpression }) =>
      compileExpression(withAuthorizer.env, valueExpression, [STRING, NULL]),
    ),
  };
}
