/**
 * Checks that the defaults in a schema satisfy it: its structure, its values, its embedded objects and its rules.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go
 */
import { ObjectRules } from "../../../../machinery/cel/rules/evaluate.ts";
import { sameJson } from "../../../../machinery/cel/rules/values.ts";
import { DecodeError, readTree } from "../../../../machinery/codec/decode.ts";
import { asMaps, type FieldError, invalid } from "../../../../machinery/validation/field-error.ts";
import { validateEmbedded } from "../../../../machinery/validation/schema/embedded.ts";
import { validateValue } from "../../../../machinery/validation/schema/values.ts";
import type { JSONSchemaProps } from "../../../generated/apiextensions.v1.ts";
import { schemaOf } from "../../../schemas.ts";
import { isEmbedded, itemsOf, propertiesOf, valuesOf } from "./walk.ts";

const IDENTITY: readonly string[] = ["metadata", "kind", "apiVersion"];
const META = schemaOf("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");

export function validateDefaults(schema: JSONSchemaProps, path: string, requirePruned: boolean): FieldError[] {
  const errors: FieldError[] = [];
  visit(asObject(schema), path, { requirePruned, root: asObject(schema), around: (value) => value }, errors);
  return errors;
}

interface Place {
  readonly requirePruned: boolean;
  /** The object that the value is in. */
  readonly root: JSONSchemaProps;
  /** Inside an object's version, kind or metadata: a value is looked at as a part of that. */
  readonly isIdentity?: boolean;
  /** An object with the value in its place. */
  readonly around: (value: unknown) => any;
}

const asObject = (schema: JSONSchemaProps): JSONSchemaProps => ({ ...schema, "x-kubernetes-embedded-resource": true });

function visit(schema: JSONSchemaProps, path: string, place: Place, errors: FieldError[]): void {
  const here: Place = isEmbedded(schema)
    ? { requirePruned: place.requirePruned, root: schema, around: (value) => value }
    : place;
  if (schema.default !== undefined) {
    const found = validateDefault(schema, `${path}.default`, here);
    if (typeof found === "string") errors.push(invalid(`${path}.default`, asMaps(schema.default), found));
    else errors.push(...found);
  }
  const items = itemsOf(schema);
  if (items !== undefined) visit(items, `${path}.items`, { ...here, around: (value) => here.around([value]) }, errors);
  for (const [name, inner] of propertiesOf(schema))
    visit(
      inner,
      `${path}.properties[${name}]`,
      {
        ...here,
        ...(isEmbedded(schema) && IDENTITY.includes(name) && { isIdentity: true }),
        around: (value) => here.around({ [name]: value }),
      },
      errors,
    );
}

/** A text is what is wrong with the default as a whole. */
function validateDefault(schema: JSONSchemaProps, path: string, place: Place): readonly FieldError[] | string {
  const { default: value } = schema;
  const errors: FieldError[] = [];
  if (place.isIdentity === true) {
    const object = { apiVersion: "validation/v1", kind: "Validation", ...place.around(value) };
    const misread = readEmbedded(place.root, object, "");
    if (misread !== undefined) return `must result in valid metadata: ${misread.field}: ${misread.message}`;
    const wrong = [
      ...new Set(validateEmbedded(place.root, object).map(({ field, message }) => `${field}: ${message}`)),
    ];
    if (wrong.length > 0)
      return `must result in valid metadata: ${wrong.length === 1 ? wrong[0] : `[${wrong.join(", ")}]`}`;
  } else {
    if (place.requirePruned && !sameJson(pruned(schema, value), value))
      errors.push(invalid(path, asMaps(value), "must not have unknown fields"));
    const misread = readEmbedded(schema, value, path);
    if (misread !== undefined) return [...errors, misread];
    const wrong = validateEmbedded(schema, value, path);
    if (wrong.length > 0) return [...errors, ...wrong];
  }
  const wrong = validateValue(withoutBoth(schema), value, new Map(), { at: path });
  if (wrong.length > 0) return [...errors, ...wrong];
  const rules = new ObjectRules(schema, isEmbedded(schema));
  const broken = rules.validate(value, value, { path });
  return [...errors, ...(broken.length > 0 ? broken : rules.validate(value, undefined, { path }))];
}

/** Upstream takes any default where a number or a text may stand. */
function withoutBoth({ "x-kubernetes-int-or-string": _, ...schema }: JSONSchemaProps): JSONSchemaProps {
  const items = itemsOf(schema);
  const values = valuesOf(schema);
  const { properties } = schema;
  return {
    ...schema,
    ...(items !== undefined && { items: withoutBoth(items) }),
    ...(values !== undefined && { additionalProperties: withoutBoth(values) }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, withoutBoth(inner)])),
    }),
  };
}

/** A value without what the schema doesn't know. */
export function pruned(schema: JSONSchemaProps | undefined, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => pruned(schema && itemsOrSame(schema), item));
  if (typeof value !== "object" || value === null) return value;
  if (schema === undefined) return {};
  const preserve = schema["x-kubernetes-preserve-unknown-fields"] === true;
  const kept: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value)) {
    const property = schema.properties?.[name];
    const values = schema.additionalProperties;
    if (isEmbedded(schema) && IDENTITY.includes(name)) kept[name] = inner;
    else if (property !== undefined) kept[name] = pruned(property, inner);
    else if (values !== undefined) kept[name] = pruned(valuesOf(schema), inner);
    else if (preserve) kept[name] = inner;
  }
  return kept;
}

const EVERYTHING: JSONSchemaProps = { "x-kubernetes-preserve-unknown-fields": true };

/** What preserves all it doesn't know preserves items that it says nothing of. */
function itemsOrSame(schema: JSONSchemaProps): JSONSchemaProps | undefined {
  return itemsOf(schema) ?? (schema["x-kubernetes-preserve-unknown-fields"] === true ? EVERYTHING : undefined);
}

/** The first thing in the identity of an embedded object that isn't of its type. */
function readEmbedded(schema: JSONSchemaProps, value: unknown, path: string): FieldError | undefined {
  const below = (name: string) => (path === "" ? name : `${path}.${name}`);
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    for (const [i, item] of value.entries()) {
      const found = items && readEmbedded(items, item, `${path}[${i}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    if (isEmbedded(schema)) {
      if ((name === "apiVersion" || name === "kind") && typeof inner !== "string")
        return invalid(below(name), asMaps(inner), "must be a string");
      if (name === "metadata")
        try {
          readTree(inner, META);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
          return invalid(below(name), asMaps(inner), error.message);
        }
    }
    const property = schema.properties?.[name];
    const values = valuesOf(schema);
    const found =
      property !== undefined
        ? readEmbedded(property, inner, below(name))
        : values && readEmbedded(values, inner, `${path}[${name}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}
