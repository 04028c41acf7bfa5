/**
 * The rules in CEL of a custom kind's schema: whether they are whole, compile, refer to an old value only where there can be one, and stay
 * within what they may cost.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/{validation,cel_validation}.go
 */
import { type CompiledRule, compileRules, type Ages } from "../../../../machinery/cel/rules/compile.ts";
import { ObjectRules } from "../../../../machinery/cel/rules/evaluate.ts";
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
  const visit = (schema: JSONSchemaProps): void => {
    for (const { rule, messageExpression } of schema["x-kubernetes-validations"] ?? []) {
      rules.add(rule);
      if (messageExpression !== undefined) messages.add(messageExpression);
    }
    for (const inner of allBelow(schema)) visit(inner);
  };
  for (const { schema } of versions ?? []) if (schema?.openAPIV3Schema !== undefined) visit(schema.openAPIV3Schema);
  return {
    rule: (text) => (rules.has(text) ? "stored" : "new"),
    messageExpression: (text) => (messages.has(text) ? "stored" : "new"),
  };
}

function allBelow(schema: JSONSchemaProps): readonly JSONSchemaProps[] {
  const { items, additionalProperties, not, properties = {} } = schema;
  return [
    ...Object.values(properties),
    ...(typeof additionalProperties === "object" ? [additionalProperties] : []),
    ...(items === undefined ? [] : Array.isArray(items) ? items : [items as JSONSchemaProps]),
    ...(["allOf", "anyOf", "oneOf"] as const).flatMap((junctor) => schema[junctor] ?? []),
    ...(not === undefined ? [] : [not]),
  ];
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

/** Of a schema that is structural. Rules aren't looked at around what else is wrong with it: `known`. */
export function validateRules(
  schema: JSONSchemaProps,
  path: string,
  options: RuleOptions,
  known: readonly FieldError[],
): FieldError[] {
  const walk = new Walk(options, known);
  walk.visit(schema, path, true, 1, undefined);
  const errors = walk.errors;
  if (walk.total > SCHEMA_LIMIT) {
    for (const { at } of walk.mostExpensive)
      errors.push(
        fieldForbidden(at, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"),
      );
    const what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    errors.push(fieldForbidden(path, exceeds(what, walk.total, SCHEMA_LIMIT)));
  }
  return errors;
}

class Walk {
  readonly errors: FieldError[] = [];
  total = 0;
  readonly #expensive: { readonly at: string; readonly cost: number }[] = [];
  readonly #options: RuleOptions;
  readonly #known: readonly FieldError[];

  constructor(options: RuleOptions, known: readonly FieldError[]) {
    this.#options = options;
    this.#known = known;
  }

  /** The four that cost most, of those that cost anything to speak of. */
  get mostExpensive(): readonly { readonly at: string; readonly cost: number }[] {
    return [...this.#expensive].sort((a, b) => b.cost - a.cost).slice(0, 4);
  }

  /** `count`: how often the value may be there, undefined where nothing limits it. `uncorrelated`: from where on there are no old values. */
  visit(
    schema: JSONSchemaProps,
    path: string,
    isRoot: boolean,
    count: number | undefined,
    uncorrelated: string | undefined,
  ): void {
    const { items, additionalProperties } = schema;
    const times = elements(schema);
    const inside = count === undefined || times === undefined ? undefined : product(count, times);
    if (typeof additionalProperties === "object")
      this.visit(
        additionalProperties,
        `${path}.additionalProperties`,
        isEmbedded(additionalProperties),
        inside,
        uncorrelated,
      );
    for (const name of Object.keys(schema.properties ?? {}).sort()) {
      const inner = schema.properties![name]!;
      this.visit(inner, `${path}.properties[${name}]`, isEmbedded(inner), inside, uncorrelated);
    }
    if (items !== undefined && !Array.isArray(items)) {
      const inner = items as JSONSchemaProps;
      const isKeyed = schema["x-kubernetes-list-type"] === "map";
      this.visit(inner, `${path}.items`, isEmbedded(inner), inside, isKeyed ? uncorrelated : (uncorrelated ?? path));
    }
    this.#rules(schema, path, isRoot, count, uncorrelated);
  }

  #rules(
    schema: JSONSchemaProps,
    path: string,
    isRoot: boolean,
    count: number | undefined,
    uncorrelated: string | undefined,
  ): void {
    const own = schema["x-kubernetes-validations"] ?? [];
    if (own.length === 0 || this.#known.some(({ field }) => isWithin(field, path))) return;
    const compiled = compileRules(schema, own, isRoot, this.#options.ages);
    if (compiled === undefined) {
      const why =
        "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations";
      this.errors.push(internalError(`${path}.x-kubernetes-validations`, why));
      return;
    }
    for (const [i, rule] of compiled.rules.entries())
      this.#rule(rule, `${path}.x-kubernetes-validations[${i}]`, count ?? compiled.maxCardinality, uncorrelated);
  }

  #rule(compiled: CompiledRule, path: string, count: number, uncorrelated: string | undefined): void {
    const { rule } = compiled;
    const { errors } = this;
    const at = (name: string) => `${path}.${name}`;
    this.#observe(at("rule"), "estimated rule cost", product(compiled.maxCost, count));
    if (compiled.error !== undefined) errors.push(invalid(at("rule"), shown(rule), compiled.error));
    if (compiled.messageError !== undefined)
      errors.push(invalid(at("messageExpression"), shown(rule), compiled.messageError));
    else if (compiled.message !== undefined)
      this.#observe(at("messageExpression"), "estimated messageExpression cost", compiled.messageMaxCost);
    if (compiled.usesOldSelf) {
      if (uncorrelated !== undefined)
        errors.push(
          invalid(
            at("rule"),
            rule.rule,
            `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`,
          ),
        );
    } else if (rule.optionalOldSelf !== undefined)
      errors.push(
        invalid(at("optionalOldSelf"), rule.optionalOldSelf, "may not be set if oldSelf is not used in rule"),
      );
  }

  #observe(at: string, what: string, cost: number): void {
    if (!this.#options.costIsKnown && cost > RULE_LIMIT)
      this.errors.push(fieldForbidden(at, exceeds(what, cost, RULE_LIMIT)));
    this.total = Math.min(MOST, this.total + cost);
    if (cost >= SCHEMA_LIMIT / 100) this.#expensive.push({ at, cost });
  }
}

const isWithin = (field: string, path: string): boolean =>
  field.startsWith(path) && [undefined, ".", "["].includes(field[path.length]);
const isEmbedded = (schema: JSONSchemaProps): boolean => schema["x-kubernetes-embedded-resource"] === true;
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

/** The rule as upstream shows it: its internal form. */
function shown({
  rule,
  message,
  messageExpression,
  reason,
  fieldPath: field,
  optionalOldSelf,
}: ValidationRule): object {
  return {
    Rule: rule,
    Message: message ?? "",
    MessageExpression: messageExpression ?? "",
    Reason: reason ?? null,
    FieldPath: field ?? "",
    OptionalOldSelf: optionalOldSelf ?? null,
  };
}

/** Defaults have to keep the rules, as new values and as old ones. */
export function validateDefaults(schema: JSONSchemaProps, path: string, isRoot = true): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.default !== undefined) {
    const rules = new ObjectRules(schema, isRoot || isEmbedded(schema));
    const at = `${path}.default`;
    errors.push(...rules.validate(schema.default, schema.default, { path: at }));
    if (errors.length === 0) errors.push(...rules.validate(schema.default, undefined, { path: at }));
  }
  const { items } = schema;
  if (items !== undefined && !Array.isArray(items))
    errors.push(...validateDefaults(items as JSONSchemaProps, `${path}.items`, false));
  for (const name of Object.keys(schema.properties ?? {}).sort())
    errors.push(...validateDefaults(schema.properties![name]!, `${path}.properties[${name}]`, false));
  return errors;
}
