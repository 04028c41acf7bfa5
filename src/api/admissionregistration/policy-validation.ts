/**
 * What admission policies and their bindings must obey, in all versions.
 * Upstream: pkg/apis/admissionregistration/validation/validation.go
 */
import { JSON_PATCH, OBJECT } from "../../machinery/cel/libraries/objects.ts";
import { BOOL, list, NULL, STRING } from "../../machinery/cel/types.ts";
import type { ObjectMeta } from "../../machinery/meta/types.ts";
import {
  checkOptionalWord,
  checkRequiredText,
  checkText,
  checkWord,
  validateLabelSelector,
} from "../../machinery/validation/checks.ts";
import { validateConditions } from "../../machinery/validation/conditions.ts";
import {
  duplicate,
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../machinery/validation/field-error.ts";
import {
  isDns1035Label,
  isDns1123Subdomain,
  isPathSegmentName,
  isQualifiedName,
} from "../../machinery/validation/names.ts";
import type {
  MatchResources,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  Validation,
  Variable,
} from "../generated/admissionregistration.v1.ts";
import { jsonPathProblem } from "./json-path.ts";
import { internalValue } from "../internal-value.ts";
import { semanticEqual } from "../semantic-equal.ts";
import { validateMatchConditions } from "./match-conditions.ts";
import { type Expressions, policyExpressions } from "./policy-expressions.ts";
import { validateRule } from "./v1/validation.ts";

const MAX_ANNOTATIONS = 20;
const MAX_VALUE_BYTES = 5 * 1024;
const MUTABLE_OPERATIONS: readonly string[] = ["*", "CONNECT", "CREATE", "UPDATE"];
const CEL_IDENTIFIER = /^[_a-zA-Z][_a-zA-Z0-9]*$/;
const CEL_RESERVED = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

type ValidatingSpec = ValidatingAdmissionPolicy["spec"];
type MutatingSpec = MutatingAdmissionPolicy["spec"];
type CommonSpec = Pick<
  NonNullable<MutatingSpec>,
  "failurePolicy" | "paramKind" | "matchConstraints" | "matchConditions" | "variables"
>;

const isBlank = (text: string | undefined): boolean => text === undefined || text.trim() === "";

export function validateValidatingPolicy(
  { metadata, spec }: ValidatingAdmissionPolicy,
  old?: ValidatingAdmissionPolicy,
): FieldError[] {
  const { validations = [], auditAnnotations = [], variables = [], paramKind } = spec ?? {};
  const expressions = policyExpressions({
    params: paramKind !== undefined,
    composed: variables.length > 0,
    mutating: false,
  });
  const before = storedExpressions(old?.spec);
  const errors = validateCommon(spec, old?.spec, false, expressions, before.validations);
  if (validations.length === 0 && auditAnnotations.length === 0)
    for (const field of ["validations", "auditAnnotations"])
      errors.push(required(`spec.${field}`, "validations or auditAnnotations must contain at least one item"));
  for (const [i, one] of validations.entries())
    errors.push(...validateValidation(one, `spec.validations[${i}]`, expressions, before));
  errors.push(...validateAuditAnnotations(auditAnnotations, metadata, expressions, before));
  return errors;
}

/** What a policy had before, by the places where upstream looks for it. */
interface Stored {
  readonly validations: ReadonlySet<string>;
  readonly messages: ReadonlySet<string>;
  readonly values: ReadonlySet<string>;
}

function storedExpressions(spec: ValidatingSpec | undefined): Stored {
  const { validations = [], auditAnnotations = [] } = spec ?? {};
  return {
    validations: new Set(validations.map(({ expression }) => expression)),
    messages: new Set(validations.flatMap(({ messageExpression }) => messageExpression ?? [])),
    values: new Set(auditAnnotations.map(({ valueExpression }) => valueExpression)),
  };
}

export function validatePolicyStatus(status: ValidatingAdmissionPolicy["status"]): FieldError[] {
  const warnings = status?.typeChecking?.expressionWarnings ?? [];
  return [
    ...warnings.flatMap(({ fieldRef, warning }, i) => {
      const path = `status.typeChecking.expressionWarnings[${i}]`;
      return [...(warning ? [] : [required(`${path}.warning`)]), ...validateFieldRef(fieldRef, `${path}.fieldRef`)];
    }),
    ...validateConditions(status?.conditions, "status.conditions"),
  ];
}

function validateFieldRef(fieldRef: string | undefined, path: string): FieldError[] {
  const text = (fieldRef ?? "").trim();
  if (text === "") return [required(path)];
  const problem = jsonPathProblem(text);
  return problem === undefined ? [] : [invalid(path, text, `invalid JSONPath: ${problem}`)];
}

export function validateMutatingPolicy(
  { spec }: Pick<MutatingAdmissionPolicy, "spec">,
  old?: Pick<MutatingAdmissionPolicy, "spec">,
): FieldError[] {
  const { mutations = [], reinvocationPolicy, paramKind } = spec ?? {};
  const expressions = policyExpressions({ params: paramKind !== undefined, composed: true, mutating: true });
  const errors = validateCommon(spec, old?.spec, true, expressions, new Set());
  // Upstream looks for patches among the configurations, too.
  const stored = new Set(
    (old?.spec?.mutations ?? []).flatMap(({ applyConfiguration }) => applyConfiguration?.expression ?? []),
  );
  if (mutations.length === 0) errors.push(required("spec.mutations", "mutations must contain at least one item"));
  for (const [i, mutation] of mutations.entries()) {
    const path = `spec.mutations[${i}]`;
    const { patchType } = mutation;
    if (patchType !== "JSONPatch" && patchType !== "ApplyConfiguration") {
      errors.push(...checkWord(patchType, `${path}.patchType`, ["ApplyConfiguration", "JSONPatch"]));
      continue;
    }
    const [wanted, other] =
      patchType === "JSONPatch"
        ? (["jsonPatch", "applyConfiguration"] as const)
        : (["applyConfiguration", "jsonPatch"] as const);
    const patch = mutation[wanted];
    if (patch === undefined)
      errors.push(required(`${path}.${wanted}`, `must be specified when patchType is ${patchType}`));
    else if (isBlank(patch.expression)) errors.push(required(`${path}.${wanted}.expression`));
    else {
      const types = [patchType === "JSONPatch" ? list(JSON_PATCH) : OBJECT];
      const text = patch.expression!.trim();
      errors.push(...expressions.validate(text, `${path}.${wanted}.expression`, { types, stored }));
    }
    if (mutation[other] !== undefined)
      errors.push(invalid(`${path}.${other}`, `{${other}}`, `must not be specified when patchType is ${patchType}`));
  }
  return [...errors, ...checkWord(reinvocationPolicy, "spec.reinvocationPolicy", ["IfNeeded", "Never"])];
}

function validateCommon(
  spec: CommonSpec | undefined,
  old: CommonSpec | undefined,
  mutating: boolean,
  expressions: Expressions,
  storedVariables: ReadonlySet<string>,
): FieldError[] {
  const { failurePolicy, paramKind, matchConstraints: match, matchConditions = [], variables = [] } = spec ?? {};
  const errors =
    failurePolicy === undefined
      ? [required("spec.failurePolicy")]
      : checkOptionalWord(failurePolicy, "spec.failurePolicy", ["Fail", "Ignore"]);
  if (paramKind !== undefined) errors.push(...validateParamKind(paramKind, "spec.paramKind"));
  const path = "spec.matchConstraints";
  if (match === undefined) errors.push(required(path));
  else {
    errors.push(...validateMatch(match, path));
    const rules = match.resourceRules ?? [];
    if (rules.length === 0) errors.push(required(`${path}.resourceRules`));
    if (mutating)
      for (const operation of rules.flatMap(({ operations }) => operations ?? []))
        if (!MUTABLE_OPERATIONS.includes(operation))
          errors.push(notSupported(`${path}.resourceRules.operations`, operation, MUTABLE_OPERATIONS));
  }
  // What was let in before may stay as it is.
  const same =
    old !== undefined &&
    semanticEqual(matchConditions, old.matchConditions ?? []) &&
    semanticEqual(paramKind, old.paramKind);
  if (!same) {
    const stored = new Set((old?.matchConditions ?? []).map(({ expression }) => expression));
    const declared = { authorizer: true, params: paramKind !== undefined };
    errors.push(...validateMatchConditions(matchConditions, "spec.matchConditions", declared, stored));
  }
  for (const [i, variable] of variables.entries())
    errors.push(...validateVariable(variable, `spec.variables[${i}]`, expressions, storedVariables));
  return errors;
}

function validateVariable(
  { name, expression }: Variable,
  path: string,
  expressions: Expressions,
  stored: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  if (isBlank(name)) errors.push(required(`${path}.name`, "name is not specified"));
  else if (!CEL_IDENTIFIER.test(name) || CEL_RESERVED.has(name))
    errors.push(invalid(`${path}.name`, name, "must be a valid CEL identifier"));
  if (isBlank(expression)) errors.push(required(`${path}.expression`, "expression is not specified"));
  else errors.push(...expressions.addVariable(name, expression, `${path}.expression`, stored));
  return errors;
}

function validateValidation(
  validation: Validation,
  path: string,
  expressions: Expressions,
  stored: Stored,
): FieldError[] {
  const { expression, message = "", messageExpression = "", reason } = validation;
  const errors: FieldError[] = isBlank(expression)
    ? [required(`${path}.expression`, "expression is not specified")]
    : expressions.validate(expression, `${path}.expression`, { types: [BOOL], stored: stored.validations });
  const empty = "must be non-empty if specified";
  if (messageExpression !== "" && isBlank(messageExpression))
    errors.push(invalid(`${path}.messageExpression`, messageExpression, empty));
  else if (messageExpression !== "")
    errors.push(
      ...expressions.validate(messageExpression, `${path}.messageExpression`, {
        types: [STRING],
        stored: stored.messages,
        authorizer: false,
      }),
    );
  if (message !== "" && isBlank(message)) errors.push(invalid(`${path}.message`, message, empty));
  else if (/[\r\n]/.test(message.trim()))
    errors.push(invalid(`${path}.message`, message, "must not contain line breaks"));
  return [...errors, ...checkOptionalWord(reason, `${path}.reason`, ["Forbidden", "Invalid", "RequestEntityTooLarge"])];
}

function validateAuditAnnotations(
  annotations: NonNullable<NonNullable<ValidatingSpec>["auditAnnotations"]>,
  { name = "" }: Partial<ObjectMeta>,
  expressions: Expressions,
  stored: Stored,
): FieldError[] {
  const errors: FieldError[] = [];
  if (annotations.length > MAX_ANNOTATIONS) {
    const shown = annotations.map((one) => internalValue(one, "io.k8s.api.admissionregistration.v1.AuditAnnotation"));
    errors.push(invalid("spec.auditAnnotations", shown, `must not have more than ${MAX_ANNOTATIONS} auditAnnotations`));
  }
  const keys = new Set<string>();
  for (const [i, { key, valueExpression = "" }] of annotations.entries()) {
    const path = `spec.auditAnnotations[${i}]`;
    if (name === "") errors.push(invalid(`${path}.key`, key, "requires metadata.name be non-empty"));
    else errors.push(...checkText(`${name}/${key}`, `${path}.key`, isQualifiedName));
    const bytes = Buffer.byteLength(valueExpression.trim());
    if (bytes === 0) errors.push(required(`${path}.valueExpression`, "valueExpression is not specified"));
    else if (bytes > MAX_VALUE_BYTES)
      errors.push(required(`${path}.valueExpression`, `must not exceed ${MAX_VALUE_BYTES} bytes in length`));
    else
      errors.push(
        ...expressions.validate(valueExpression.trim(), `${path}.valueExpression`, {
          types: [STRING, NULL],
          stored: stored.values,
          shown: valueExpression,
        }),
      );
    if (keys.has(key)) errors.push(duplicate(`${path}.key`, key));
    keys.add(key);
  }
  return errors;
}

function validateParamKind({ apiVersion = "", kind = "" }: ParamKind, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const parts = apiVersion.split("/");
  const at = `${path}.apiVersion`;
  if (apiVersion === "") errors.push(required(at));
  else if (parts.length > 2) errors.push(invalid(at, apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  else {
    const group = parts.length === 2 ? parts[0]! : "";
    const version = parts.at(-1)!;
    const check = (part: string, problems: readonly string[]) => {
      if (problems.length > 0) errors.push(invalid(at, part, problems.join(",")));
    };
    if (group !== "") check(group, isDns1123Subdomain(group));
    if (version === "") errors.push(invalid(at, apiVersion, "version must be specified"));
    else check(version, isDns1035Label(version));
  }
  if (kind === "") return [...errors, required(`${path}.kind`)];
  const problems = isDns1035Label(kind.toLowerCase());
  if (problems.length > 0)
    errors.push(
      invalid(`${path}.kind`, kind, `may have mixed case, but should otherwise match: ${problems.join(",")}`),
    );
  return errors;
}

function validateMatch(match: MatchResources, path: string): FieldError[] {
  const { matchPolicy, namespaceSelector, objectSelector, resourceRules = [], excludeResourceRules = [] } = match;
  const errors =
    matchPolicy === undefined
      ? [required(`${path}.matchPolicy`)]
      : checkOptionalWord(matchPolicy, `${path}.matchPolicy`, ["Equivalent", "Exact"]);
  for (const [field, selector] of Object.entries({ namespaceSelector, objectSelector }))
    if (selector === undefined) errors.push(required(`${path}.${field}`));
    else errors.push(...validateLabelSelector(selector, `${path}.${field}`));
  for (const [field, rules] of Object.entries({ resourceRules, excludeResourceRules }))
    for (const [i, rule] of rules.entries()) {
      const at = `${path}.${field}[${i}]`;
      const names = rule.resourceNames ?? [];
      for (const [j, name] of names.entries()) {
        errors.push(...checkText(name, `${at}.resourceNames[${j}]`, isPathSegmentName));
        if (names.indexOf(name) < j) errors.push(duplicate(`${at}.resourceNames[${j}]`, name));
      }
      errors.push(...validateRule(rule, at));
    }
  return errors;
}

function validateParamRef(reference: ParamRef | undefined, path: string): FieldError[] {
  if (reference === undefined) return [];
  const { name = "", selector, parameterNotFoundAction: action } = reference;
  const errors: FieldError[] = [];
  const words = "name and selector are mutually exclusive";
  if (name !== "") {
    errors.push(...checkText(name, `${path}.name`, isPathSegmentName));
    if (selector !== undefined) errors.push(fieldForbidden(`${path}.name`, words));
  }
  if (selector !== undefined) {
    errors.push(...validateLabelSelector(selector, `${path}.selector`));
    if (name !== "") errors.push(fieldForbidden(`${path}.selector`, words));
  }
  if (name === "" && selector === undefined) errors.push(required(path, "one of name or selector must be specified"));
  return [...errors, ...checkWord(action, `${path}.parameterNotFoundAction`, ["Deny", "Allow"])];
}

export function validateMutatingBinding({ spec }: Pick<MutatingAdmissionPolicyBinding, "spec">): FieldError[] {
  const errors = validateBinding(spec);
  for (const operation of (spec?.matchResources?.resourceRules ?? []).flatMap(({ operations }) => operations ?? []))
    if (!MUTABLE_OPERATIONS.includes(operation))
      errors.push(notSupported("spec.matchResources.resourceRules.operations", operation, MUTABLE_OPERATIONS));
  return errors;
}

function validateBinding(spec: MutatingAdmissionPolicyBinding["spec"]): FieldError[] {
  return [
    ...checkRequiredText(spec?.policyName, "spec.policyName", isDns1123Subdomain),
    ...validateParamRef(spec?.paramRef, "spec.paramRef"),
    ...(spec?.matchResources === undefined ? [] : validateMatch(spec.matchResources, "spec.matchResources")),
  ];
}

const ACTIONS: readonly string[] = ["Audit", "Deny", "Warn"];

export function validateValidatingBinding({ spec }: ValidatingAdmissionPolicyBinding): FieldError[] {
  const actions = spec?.validationActions ?? [];
  const path = "spec.validationActions";
  const errors = validateBinding(spec as MutatingAdmissionPolicyBinding["spec"]);
  for (const [i, action] of actions.entries()) {
    if (!ACTIONS.includes(action)) errors.push(notSupported(`${path}[${i}]`, action, ACTIONS));
    if (actions.indexOf(action) < i) errors.push(duplicate(`${path}[${i}]`, action));
  }
  if (actions.includes("Deny") && actions.includes("Warn"))
    errors.push(
      invalid(
        path,
        actions,
        "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
      ),
    );
  if (actions.length === 0) errors.push(required(path, "at least one validation action is required"));
  return errors;
}
