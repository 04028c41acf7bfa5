/**
 * Whether a schema is structural: the type of every field is declared in exactly one place, and subschemas that only constrain values declare
 * nothing else.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{convert,validation,complete}.go
 */
import { type FieldError, fieldForbidden, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { compilePattern } from "../../../../machinery/validation/schema/values.ts";
import type { JSONSchemaProps } from "../../../generated/apiextensions.v1.ts";
import { isEmbedded, isList, itemsOf, propertiesOf, valuesOf } from "./walk.ts";

/** Why a schema can't be looked at as a structural one, which no other rule may have said. */
export function notConvertible(schema: JSONSchemaProps): string | undefined {
  for (const [field, isSet] of UNSUPPORTED) if (isSet(schema)) return `OpenAPIV3Schema '${field}' is not supported`;
  const restrictions = [schema.not, ...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  return (
    firstOf(restrictions) ??
    (schema["x-kubernetes-preserve-unknown-fields"] === false
      ? "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
      : undefined) ??
    (isList(schema.items) && schema.items.length > 0
      ? "OpenAPIV3Schema 'items' must be a schema, but is an array"
      : undefined) ??
    firstOf([itemsOf(schema), ...propertiesOf(schema).map(([, inner]) => inner), valuesOf(schema)])
  );
}

function firstOf(schemas: readonly (JSONSchemaProps | undefined)[]): string | undefined {
  for (const schema of schemas) {
    const why = schema && notConvertible(schema);
    if (why !== undefined) return why;
  }
  return undefined;
}

const hasAny = (value: object | undefined): boolean => Object.keys(value ?? {}).length > 0;
const UNSUPPORTED: readonly (readonly [field: string, isSet: (schema: JSONSchemaProps) => boolean])[] = [
  ["id", ({ id = "" }) => id !== ""],
  ["schema", ({ $schema = "" }) => $schema !== ""],
  ["$ref", ({ $ref = "" }) => $ref !== ""],
  ["patternProperties", ({ patternProperties }) => hasAny(patternProperties)],
  ["dependencies", ({ dependencies }) => hasAny(dependencies)],
  ["additionalItems", ({ additionalItems }) => additionalItems !== undefined],
  ["definitions", ({ definitions }) => hasAny(definitions)],
];

/** In the order of their texts, as upstream sorts them. */
export function validateStructure(schema: JSONSchemaProps, path: string): FieldError[] {
  const errors = [...validateInvariants(schema, path, "root"), ...validateCompleteness(schema, schema, path, path)];
  const text = ({ field, message }: FieldError) => `${field}: ${message}`;
  return errors.sort((a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0));
}

type Level = "root" | "item" | "field";

const NO_TYPE: Readonly<Record<Level, string>> = {
  root: "must not be empty at the root",
  item: "must not be empty for specified array items",
  field: "must not be empty for specified object fields",
};

function validateInvariants(schema: JSONSchemaProps, path: string, level: Level): FieldError[] {
  const errors: FieldError[] = [];
  const items = itemsOf(schema);
  const { type = "", additionalProperties } = schema;
  if (type === "array" && items === undefined) errors.push(required(`${path}.items`, "must be specified"));
  if (items !== undefined) errors.push(...validateInvariants(items, `${path}.items`, "item"));
  for (const [name, inner] of propertiesOf(schema))
    errors.push(...validateInvariants(inner, `${path}.properties[${name}]`, "field"));
  if (additionalProperties !== undefined) {
    const at = `${path}.additionalProperties`;
    if (level === "root") errors.push(fieldForbidden(at, "must not be used at the root"));
    if (typeof additionalProperties === "object") errors.push(...validateInvariants(additionalProperties, at, "field"));
  }
  const intOrString = schema["x-kubernetes-int-or-string"] === true;
  const preserve = schema["x-kubernetes-preserve-unknown-fields"] === true;
  const embedded = isEmbedded(schema);
  for (const [isSet, extension] of [
    [preserve, "preserve-unknown-fields"],
    [embedded, "embedded-resource"],
  ] as const)
    if (intOrString && isSet)
      errors.push(
        invalid(`${path}.x-kubernetes-${extension}`, true, "must be false if x-kubernetes-int-or-string is true"),
      );
  errors.push(...validateRestrictions(schema, path, true));
  if (embedded && type !== "object") {
    const words = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(type === "" ? required(`${path}.type`, words) : invalid(`${path}.type`, type, words));
  } else if (type === "" && !intOrString && !preserve) errors.push(required(`${path}.type`, NO_TYPE[level]));
  if (embedded && additionalProperties !== undefined)
    errors.push(
      fieldForbidden(`${path}.additionalProperties`, "must not be used if x-kubernetes-embedded-resource is set"),
    );
  if (level === "root" && type !== "" && type !== "object")
    errors.push(invalid(`${path}.type`, type, "must be object at the root"));
  errors.push(...validateIdentity(schema, path, level));
  if (embedded && !preserve && Object.keys(schema.properties ?? {}).length === 0)
    errors.push(
      required(
        `${path}.properties`,
        "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
      ),
    );
  return errors;
}

/** Of an object's own identity a schema may say little: Kubernetes says the rest. */
function validateIdentity(schema: JSONSchemaProps, path: string, level: Level): FieldError[] {
  const errors: FieldError[] = [];
  const isObject = level === "root" || isEmbedded(schema);
  const { properties = {} } = schema;
  for (const name of ["kind", "apiVersion"] as const) {
    const field = properties[name];
    if (isObject && field !== undefined && field.type !== "string")
      errors.push(invalid(`${path}.properties[${name}].type`, field.type ?? "", "must be string"));
  }
  const { metadata } = properties;
  if (metadata === undefined) return errors;
  const at = `${path}.properties[metadata]`;
  if (isObject && metadata.type !== "object") errors.push(invalid(`${at}.type`, metadata.type ?? "", "must be object"));
  if (level === "root" && !saysOnlyNames(metadata))
    errors.push(
      fieldForbidden(
        at,
        "must not specify anything other than name and generateName, but metadata is implicitly specified",
      ),
    );
  return errors;
}

function saysOnlyNames({ type: _, default: __, properties, ...more }: JSONSchemaProps): boolean {
  const names = Object.keys(properties ?? {});
  return (
    names.every((name) => name === "name" || name === "generateName") &&
    Object.values(more).every((value) => value === undefined || value === false || value === "")
  );
}

const JUNCTORS = ["anyOf", "allOf", "oneOf"] as const;

const isIntOrString = ({ anyOf = [] }: JSONSchemaProps): boolean =>
  anyOf.length === 2 && isOnlyType(anyOf[0]!, "integer") && isOnlyType(anyOf[1]!, "string");
const isOnlyType = (schema: JSONSchemaProps, type: string): boolean =>
  schema.type === type && Object.keys(schema).length === 1;

/** `allOf` and its like restrict values. Only the two ways to write a number or a text may name types there. */
function validateRestrictions(schema: JSONSchemaProps, path: string, mayName: boolean): FieldError[] {
  const errors: FieldError[] = [];
  for (const junctor of JUNCTORS) {
    if (mayName && junctor === "anyOf" && isIntOrString(schema)) continue;
    for (const [i, inner] of (schema[junctor] ?? []).entries())
      errors.push(...validateRestriction(inner, `${path}.${junctor}[${i}]`, mayName && junctor === "allOf" && i === 0));
  }
  if (schema.not !== undefined) errors.push(...validateRestriction(schema.not, `${path}.not`, false));
  if (schema.pattern) {
    const why = compilePattern(schema.pattern);
    if (typeof why === "string")
      errors.push(invalid(`${path}.pattern`, schema.pattern, `must be a valid regular expression, but isn't: ${why}`));
  }
  return errors;
}

const EMPTY = "must be empty to be structural";
const UNDEFINED = "must be undefined to be structural";
const FALSE = "must be false to be structural";

const FORBIDDEN: readonly (readonly [field: keyof JSONSchemaProps, words: string, isSet: (value: any) => boolean])[] = [
  ["type", EMPTY, (value) => value !== ""],
  ["default", UNDEFINED, () => true],
  ["title", EMPTY, (value) => value !== ""],
  ["description", EMPTY, (value) => value !== ""],
  ["nullable", FALSE, (value) => value === true],
  ["x-kubernetes-preserve-unknown-fields", FALSE, (value) => value === true],
  ["x-kubernetes-embedded-resource", FALSE, (value) => value === true],
  ["x-kubernetes-int-or-string", FALSE, (value) => value === true],
  ["x-kubernetes-list-map-keys", EMPTY, (value) => value.length > 0],
  ["x-kubernetes-list-type", UNDEFINED, () => true],
  ["x-kubernetes-map-type", UNDEFINED, () => true],
  ["x-kubernetes-validations", EMPTY, (value) => value.length > 0],
];

function validateRestriction(schema: JSONSchemaProps, path: string, mayNameBoth: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const { anyOf: _, ...others } = schema;
  errors.push(...validateRestrictions(mayNameBoth && isIntOrString(schema) ? others : schema, path, false));
  const items = itemsOf(schema);
  if (items !== undefined) errors.push(...validateRestriction(items, `${path}.items`, false));
  for (const [name, inner] of propertiesOf(schema))
    errors.push(...validateRestriction(inner, `${path}.properties[${name}]`, false));
  if (schema.additionalProperties !== undefined && schema.additionalProperties !== false)
    errors.push(fieldForbidden(`${path}.additionalProperties`, UNDEFINED));
  for (const [field, words, isSet] of FORBIDDEN)
    if (schema[field] !== undefined && isSet(schema[field])) errors.push(fieldForbidden(`${path}.${field}`, words));
  if (schema.properties?.["metadata"] !== undefined)
    errors.push(fieldForbidden(`${path}.properties[metadata]`, "must not be specified in a nested context"));
  return errors;
}

/** What a restriction speaks of is there outside of it. Upstream asks this of the root's restrictions alone. */
function validateCompleteness(
  restricting: JSONSchemaProps,
  schema: JSONSchemaProps,
  path: string,
  at: string,
): FieldError[] {
  const { not } = restricting;
  return [
    ...(not === undefined ? [] : validateCovered(not, schema, path, `${at}.not`)),
    ...(["allOf", "anyOf", "oneOf"] as const).flatMap((junctor) =>
      (restricting[junctor] ?? []).flatMap((inner, i) =>
        validateCovered(inner, schema, path, `${at}.${junctor}[${i}]`),
      ),
    ),
  ];
}

function validateCovered(
  restriction: JSONSchemaProps,
  schema: JSONSchemaProps | undefined,
  path: string,
  at: string,
): FieldError[] {
  if (schema === undefined) return [required(path, `because it is defined in ${at}`)];
  const errors = validateCompleteness(restriction, schema, path, at);
  const items = itemsOf(restriction);
  if (items !== undefined) errors.push(...validateCovered(items, itemsOf(schema), `${path}.items`, `${at}.items`));
  for (const [name, inner] of propertiesOf(restriction)) {
    const place = `properties[${name}]`;
    errors.push(...validateCovered(inner, schema.properties?.[name], `${path}.${place}`, `${at}.${place}`));
  }
  return errors;
}
