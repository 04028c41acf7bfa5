/**
 * Validates the CEL rules in the schema of a custom kind: they must be complete, compile, refer to an old value only where there can be one, and
 * stay within the cost limits.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/{validation,cel_validation}.go
 */
import { type CompiledRule, compileRules, type Ages } from "../../../../machinery/cel/rules/compile.ts";
import { fieldPath } from "../../../../machinery/cel/rules/field-path.ts";
import {
  type FieldError,
  fieldForbidden,
  internalError,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import type {
  CustomResourceDefinitionSpec,
  JSONSchemaProps,
  ValidationRule,
} from "../../../generated/apiextensions.v1.ts";
import { shownRule } from "./internal.ts";
import { everySchema } from "./walk.ts";

const RULE_LIMIT = 10_000_000;
const SCHEMA_LIMIT = 100_000_000;
const MOST = 2 ** 64;
const REASONS = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

export interface RuleOptions {
  readonly ages: Ages;
  /** The schema was there before as it is: what its rules cost has been put up with. */
  readonly costIsKnown: boolean;
}

export const NEW_RULES: RuleOptions = {
  ages: { rule: () => "new", messageExpression: () => "new" },
  costIsKnown: false,
};

/** The texts that a definition has had. */
export function agesOf({ versions }: CustomResourceDefinitionSpec): Ages {
  const rules = new Set<string>();
  const messages = new Set<string>();
  for (const { schema } of versions ?? [])
    for (const inner of schema?.openAPIV3Schema === undefined ? [] : everySchema(schema.openAPIV3Schema))
      for (const { rule, messageExpression } of inner["x-kubernetes-validations"] ?? []) {
        rules.add(rule);
        if (messageExpression !== undefined) messages.add(messageExpression);
      }
  return {
    rule: (text) => (rules.has(text) ? "stored" : "new"),
    messageExpression: (text) => (messages.has(text) ? "stored" : "new"),
  };
}

const hasLineBreak = (text: string): boolean => /[\n\r]/.test(text);

/** What is wrong with the rules of one schema before any of them is compiled. */
export function validateRuleTexts(schema: JSONSchemaProps, path: string): FieldError[] {
  return (schema["x-kubernetes-validations"] ?? []).flatMap((rule, i) =>
    validateRuleText(schema, rule, `${path}.x-kubernetes-validations[${i}]`),
  );
}

function validateRuleText(schema: JSONSchemaProps, rule: ValidationRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { message = "", messageExpression = "", reason, fieldPath: field = "" } = rule;
  const text = (rule.rule ?? "").trim();
  const at = (name: string) => `${path}.${name}`;
  if (text === "") errors.push(required(at("rule"), "rule is not specified"));
  else if (message !== "" && message.trim() === "")
    errors.push(invalid(at("message"), message, "must be non-empty if specified"));
  else if (hasLineBreak(message.trim())) errors.push(invalid(at("message"), message, "must not contain line breaks"));
  else if (hasLineBreak(text) && message.trim() === "")
    errors.push(required(at("message"), "message must be specified if rule contains line breaks"));
  if (messageExpression !== "" && messageExpression.trim() === "")
    errors.push(required(at("messageExpression"), "messageExpression must be non-empty if specified"));
  if (reason !== undefined && !REASONS.includes(reason)) errors.push(notSupported(at("reason"), reason, REASONS));
  if (field === "") return errors;
  if (field.trim() === "") errors.push(invalid(at("fieldPath"), field, "must be non-empty if specified"));
  if (hasLineBreak(field)) errors.push(invalid(at("fieldPath"), field, "must not contain line breaks"));
  if (!fieldPath(field, schema).ok) errors.push(invalid(at("fieldPath"), field, "must be a valid path"));
  return errors;
}

/** What the rules of a whole schema cost. */
export class Costs {
  total = 0;
  readonly #expensive: { readonly at: string; readonly cost: number }[] = [];

  observe(at: string, cost: number): void {
    this.total = Math.min(MOST, this.total + cost);
    if (cost >= SCHEMA_LIMIT / 100) this.#expensive.push({ at, cost });
  }

  /** Where they are too much together, the four that cost most are told. */
  validate(path: string): FieldError[] {
    if (this.total <= SCHEMA_LIMIT) return [];
    const contributed = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
    const most = this.#expensive.sort((a, b) => b.cost - a.cost).slice(0, 4);
    const what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    return [
      ...most.map(({ at }) => fieldForbidden(at, contributed)),
      fieldForbidden(path, exceeds(what, this.total, SCHEMA_LIMIT)),
    ];
  }
}

/** Where rules are, as far as it decides what they may be. */
export interface RulePlace {
  /** The value is an object with a kind of its own. */
  readonly isObject: boolean;
  /** How often the value may be there; undefined where nothing limits it. */
  readonly count: number | undefined;
  readonly costs: Costs;
}

export function placeInside(schema: JSONSchemaProps, place: RulePlace, inner: JSONSchemaProps): RulePlace {
  const times = elements(schema);
  return {
    isObject: inner["x-kubernetes-embedded-resource"] === true,
    count: place.count === undefined || times === undefined ? undefined : product(place.count, times),
    costs: place.costs,
  };
}

/** Of a schema that is in order otherwise. `uncorrelated`: from where on there are no old values. */
export function validateRules(
  schema: JSONSchemaProps,
  path: string,
  { isObject, count, costs }: RulePlace,
  { ages, costIsKnown }: RuleOptions,
  uncorrelated: string | undefined,
): FieldError[] {
  const own = schema["x-kubernetes-validations"] ?? [];
  if (own.length === 0) return [];
  const compiled = compileRules(schema, own, isObject, ages);
  if (compiled === undefined) {
    const why =
      "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations";
    return [internalError(`${path}.x-kubernetes-validations`, why)];
  }
  const errors: FieldError[] = [];
  const observe = (at: string, what: string, cost: number) => {
    if (!costIsKnown && cost > RULE_LIMIT) errors.push(fieldForbidden(at, exceeds(what, cost, RULE_LIMIT)));
    costs.observe(at, cost);
  };
  for (const [i, one] of compiled.rules.entries()) {
    const at = `${path}.x-kubernetes-validations[${i}]`;
    observe(`${at}.rule`, "estimated rule cost", product(one.maxCost, count ?? compiled.maxCardinality));
    errors.push(...validateCompiled(one, at));
    if (one.messageError === undefined && one.message !== undefined)
      observe(`${at}.messageExpression`, "estimated messageExpression cost", one.messageMaxCost);
    errors.push(...validateOldSelf(one, at, uncorrelated));
  }
  return errors;
}

function validateCompiled({ rule, error, messageError }: CompiledRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (error !== undefined) errors.push(invalid(`${path}.rule`, shownRule(rule), error));
  if (messageError !== undefined) errors.push(invalid(`${path}.messageExpression`, shownRule(rule), messageError));
  return errors;
}

function validateOldSelf(
  { rule, usesOldSelf }: CompiledRule,
  path: string,
  uncorrelated: string | undefined,
): FieldError[] {
  if (usesOldSelf) {
    if (uncorrelated === undefined) return [];
    const words = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`;
    return [invalid(`${path}.rule`, rule.rule, words)];
  }
  if (rule.optionalOldSelf === undefined) return [];
  return [invalid(`${path}.optionalOldSelf`, rule.optionalOldSelf, "may not be set if oldSelf is not used in rule")];
}

const product = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : Math.min(MOST, a * b));

/** How many values there may be inside one; undefined where nothing says. */
function elements({ type, additionalProperties, maxProperties, maxItems }: JSONSchemaProps): number | undefined {
  if (type === "array") return maxItems === undefined ? undefined : Math.max(0, maxItems);
  if (type !== "object" || additionalProperties === undefined) return 1;
  return maxProperties === undefined ? undefined : Math.max(0, maxProperties);
}

function exceeds(what: string, cost: number, limit: number): string {
  const by = cost / limit;
  const factor = by > 100 ? "more than 100x" : by < 1.5 ? `${by.toFixed(6)}x` : `${by.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}
