/**
 * Validates a custom object: first its values, then the CEL rules, which only make sense for valid values. An update may leave a value as it is even
 * if it was invalid before.
 * Upstream: apiextensions-apiserver/pkg/registry/customresource/{validator,strategy,status_strategy}.go
 */
import type {
  CustomResourceDefinitionVersion,
  CustomResourceSubresourceScale,
  JSONSchemaProps,
} from "../../api/generated/apiextensions.v1.ts";
import { Correlated } from "../../machinery/cel/rules/correlation.ts";
import { ObjectRules } from "../../machinery/cel/rules/evaluate.ts";
import { goNumber, isWhole } from "../../machinery/meta/numbers.ts";
import { type FieldError, invalid } from "../../machinery/validation/field-error.ts";
import { hasEmbedded, validateEmbedded } from "../../machinery/validation/schema/embedded.ts";
import { validateLists } from "../../machinery/validation/schema/lists.ts";
import { type Patterns, validateValue } from "../../machinery/validation/schema/values.ts";

type Warn = ((text: string) => void) | undefined;

/** What makes no sense of the rules. */
const BLOCKING: readonly FieldError["type"][] = [
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
];
const NOT_CHECKED = invalid(
  "<nil>",
  null,
  "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
);

export class Checks {
  readonly #identity: readonly (readonly [field: "kind" | "apiVersion", wanted: string])[];
  readonly #schema: JSONSchemaProps;
  readonly #scale: CustomResourceSubresourceScale | undefined;
  readonly #patterns: Patterns = new Map();
  readonly #hasEmbedded: boolean;
  #rules: ObjectRules | undefined;

  constructor(group: string, kind: string, { name, schema, subresources }: CustomResourceDefinitionVersion) {
    this.#identity = [
      ["kind", kind],
      ["apiVersion", `${group}/${name}`],
    ];
    this.#schema = schema?.openAPIV3Schema ?? {};
    this.#scale = subresources?.scale;
    this.#hasEmbedded = hasEmbedded(this.#schema);
  }

  create(object: any): FieldError[] {
    const schema = this.#schema;
    const errors = [
      ...this.#checkIdentity(object),
      ...validateValue(schema, object, this.#patterns),
      ...validateScaleSpec(this.#scale, object),
      ...validateScaleStatus(this.#scale, object),
      ...(this.#hasEmbedded ? validateEmbedded(schema, object) : []),
      ...validateLists(schema, object),
    ];
    return [...errors, ...this.#checkRules(errors, object, undefined, undefined, undefined)];
  }

  update(object: any, old: any, warn: Warn): FieldError[] {
    const schema = this.#schema;
    const correlated = new Correlated(object, old, schema);
    const errors = [
      ...this.#checkIdentity(object),
      ...validateValue(schema, object, this.#patterns, { correlated }),
      ...validateScaleSpec(this.#scale, object),
      ...validateScaleStatus(this.#scale, object),
      ...(this.#hasEmbedded ? validateEmbedded(schema, object) : []),
      ...this.#checkLists(object, old),
    ];
    return [...errors, ...this.#checkRules(errors, object, old, correlated, warn)];
  }

  /** A status is looked at alone, and the words say so. */
  status(object: any, old: any, warn: Warn): FieldError[] {
    const correlated = new Correlated(object, old, this.#schema);
    const { status } = this.#schema.properties ?? {};
    const inside = correlated.key("status");
    const errors = [
      ...this.#checkIdentity(object),
      ...(status === undefined || object.status === undefined
        ? []
        : validateValue(status, object.status, this.#patterns, { at: "status", correlated: inside })),
      ...validateScaleStatus(this.#scale, object),
      ...this.#checkLists(object, old),
    ];
    return [...errors, ...this.#checkRules(errors, object, old, correlated, warn)];
  }

  #checkIdentity(object: any): FieldError[] {
    return this.#identity
      .filter(([field, wanted]) => object[field] !== wanted)
      .map(([field, wanted]) => invalid(field, object[field] ?? "", `must be ${wanted}`));
  }

  #checkLists(object: any, old: any): readonly FieldError[] {
    const errors = validateLists(this.#schema, object);
    return errors.length === 0 || validateLists(this.#schema, old).length > 0 ? [] : errors;
  }

  #checkRules(
    errors: readonly FieldError[],
    object: any,
    old: any,
    correlated: Correlated | undefined,
    warn: Warn,
  ): readonly FieldError[] {
    const rules = (this.#rules ??= new ObjectRules(this.#schema));
    if (rules.isEmpty) return [];
    if (errors.some(({ type }) => BLOCKING.includes(type))) return [NOT_CHECKED];
    return rules.validate(object, old, { correlated, warn });
  }
}

const MOST_REPLICAS = 2 ** 31 - 1;

function validateScaleSpec(scale: CustomResourceSubresourceScale | undefined, object: object): FieldError[] {
  return scale === undefined ? [] : validateReplicas(scale.specReplicasPath, object);
}

function validateScaleStatus(scale: CustomResourceSubresourceScale | undefined, object: object): FieldError[] {
  if (scale === undefined) return [];
  const { labelSelectorPath } = scale;
  const errors = validateReplicas(scale.statusReplicasPath, object);
  if (labelSelectorPath === undefined) return errors;
  const found = nested(object, labelSelectorPath, "string");
  return found.wrong === undefined ? errors : [...errors, invalid(labelSelectorPath, "", found.wrong)];
}

function validateReplicas(path: string, object: object): FieldError[] {
  const found = nested(object, path, "int64");
  if (found.wrong !== undefined) return [invalid(path, 0, found.wrong)];
  const replicas = found.value as number | undefined;
  if (replicas === undefined) return [];
  if (replicas < 0) return [invalid(path, replicas, "should be a non-negative integer")];
  if (replicas > MOST_REPLICAS) return [invalid(path, replicas, `should be less than or equal to ${MOST_REPLICAS}`)];
  return [];
}

/** What stands at a path of names, in Go's words where something else stands there. */
function nested(
  object: object,
  path: string,
  type: "int64" | "string",
): { readonly value?: unknown; readonly wrong?: string } {
  const names = path.replace(/^\./, "").split(".");
  let value: unknown = object;
  for (const [i, name] of names.entries()) {
    if (value === null || value === undefined) return {};
    if (typeof value !== "object" || Array.isArray(value))
      return { wrong: accessorError(names.slice(0, i + 1), value, "map[string]interface{}") };
    value = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
  }
  if (value === undefined) return {};
  if (goType(value) !== type) return { wrong: accessorError(names, value, type) };
  return { value };
}

const accessorError = (names: readonly string[], value: unknown, wanted: string): string =>
  `.${names.join(".")} accessor error: ${goText(value)} is of the type ${goType(value)}, expected ${wanted}`;

function goType(value: unknown): string {
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return "[]interface {}";
  if (typeof value === "number") return isWhole(value) ? "int64" : "float64";
  return { string: "string", boolean: "bool" }[typeof value as "string"] ?? "map[string]interface {}";
}

/** As Go prints a tree with `%v`. */
function goText(value: unknown): string {
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (typeof value === "number") return goNumber(value);
  if (typeof value !== "object") return String(value);
  const entries = Object.entries(value as object).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, inner]) => `${key}:${goText(inner)}`).join(" ")}]`;
}
