/**
 * Whether a schema is structural: every field has one place where its type is said, and what only restricts values says nothing else. Upstream:
 * staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/validation.go, pkg/apis/apiextensions/validation
 */
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import type { CustomResourceDefinitionVersion, JSONSchemaProps } from "../../../generated/apiextensions.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { type RuleOptions, validateDefaults, validateRules, validateRuleTexts } from "./rules.ts";

export function validateSchemas(versions: readonly CustomResourceDefinitionVersion[]): FieldError[] {
  return schemasOf(versions).flatMap(({ schema, path }) => validateSchema(schema, path));
}

/** What the rules and the defaults of schemas are that are in order otherwise. `optionsOf` knows by the version what was there before. */
export function validateSchemaRules(
  versions: readonly CustomResourceDefinitionVersion[],
  optionsOf: (version: string) => RuleOptions,
): FieldError[] {
  return schemasOf(versions).flatMap(({ schema, path, version }) => {
    if (validateStructure(schema, path, "root").length > 0) return [];
    const errors = validateDefaults(schema, path);
    if (errors.length > 0) return errors;
    return validateRules(schema, path, optionsOf(version), validateSupported(schema, path));
  });
}

interface Placed {
  readonly schema: JSONSchemaProps;
  readonly path: string;
  readonly version: string;
}

function schemasOf(versions: readonly CustomResourceDefinitionVersion[]): readonly Placed[] {
  const schemas = versions.map(({ schema }) => schema?.openAPIV3Schema);
  const [first] = schemas;
  // Upstream works with a form that has one schema at the top where all versions have the same.
  if (first !== undefined && schemas.every((schema) => semanticEqual(schema, first)))
    return [{ schema: first, path: "spec.validation.openAPIV3Schema", version: versions[0]!.name }];
  return schemas.flatMap((schema, i) =>
    schema === undefined
      ? []
      : [{ schema, path: `spec.versions[${i}].schema.openAPIV3Schema`, version: versions[i]!.name }],
  );
}

function validateSchema(schema: JSONSchemaProps, path: string): FieldError[] {
  return [...validateSupported(schema, path), ...validateStructure(schema, path, "root")];
}

type Level = "root" | "item" | "field";

const NO_TYPE: Readonly<Record<Level, string>> = {
  root: "must not be empty at the root",
  item: "must not be empty for specified array items",
  field: "must not be empty for specified object fields",
};

/** Each schema in another, with where it stands. */
function* below(schema: JSONSchemaProps, path: string): Generator<readonly [JSONSchemaProps, string, Level]> {
  for (const name of Object.keys(schema.properties ?? {}).sort())
    yield [schema.properties![name]!, `${path}.properties[${name}]`, "field"];
  if (typeof schema.additionalProperties === "object")
    yield [schema.additionalProperties, `${path}.additionalProperties`, "field"];
  if (schema.items !== undefined && !isList(schema.items)) yield [schema.items, `${path}.items`, "item"];
}

function* restrictions(schema: JSONSchemaProps, path: string): Generator<readonly [JSONSchemaProps, string]> {
  for (const junctor of ["allOf", "anyOf", "oneOf"] as const)
    for (const [i, inner] of (schema[junctor] ?? []).entries()) yield [inner, `${path}.${junctor}[${i}]`];
  if (schema.not !== undefined) yield [schema.not, `${path}.not`];
}

const isList = (items: JSONSchemaProps["items"]): items is readonly JSONSchemaProps[] => Array.isArray(items);

const UNSUPPORTED = ["definitions", "dependencies", "id", "patternProperties", "additionalItems", "$ref"] as const;

/** What OpenAPI knows and custom kinds may not use. */
function validateSupported(schema: JSONSchemaProps, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.uniqueItems === true)
    errors.push(
      fieldForbidden(
        `${path}.uniqueItems`,
        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      ),
    );
  if (schema.additionalProperties !== undefined) {
    if (schema.additionalProperties === false)
      errors.push(fieldForbidden(`${path}.additionalProperties`, "additionalProperties cannot be set to false"));
    if (Object.keys(schema.properties ?? {}).length > 0)
      errors.push(
        fieldForbidden(`${path}.additionalProperties`, "additionalProperties and properties are mutual exclusive"),
      );
  }
  for (const field of UNSUPPORTED)
    if (schema[field] !== undefined) errors.push(fieldForbidden(`${path}.${field}`, `${field} is not supported`));
  if (schema.type === "null")
    errors.push(fieldForbidden(`${path}.type`, "type cannot be set to null, use nullable as an alternative"));
  if (isList(schema.items))
    errors.push(fieldForbidden(`${path}.items`, "items must be a schema object and not an array"));
  if (schema["x-kubernetes-preserve-unknown-fields"] === false)
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, "must be true or undefined"));
  errors.push(...validateLists(schema, path));
  for (const [inner, at] of below(schema, path)) errors.push(...validateSupported(inner, at));
  for (const [inner, at] of restrictions(schema, path)) errors.push(...validateSupported(inner, at));
  return [...errors, ...validateRuleTexts(schema, path)];
}

function validateLists(schema: JSONSchemaProps, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const mapType = schema["x-kubernetes-map-type"];
  const listType = schema["x-kubernetes-list-type"];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const typed = (type: string, extension: string) => {
    if (schema.type === type) return;
    const words = `must be ${type} if ${extension} is specified`;
    errors.push(schema.type ? invalid(`${path}.type`, schema.type, words) : required(`${path}.type`, words));
  };
  if (mapType !== undefined) {
    typed("object", "x-kubernetes-map-type");
    if (mapType !== "atomic" && mapType !== "granular")
      errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ["atomic", "granular"]));
  }
  if (listType !== undefined) {
    typed("array", "x-kubernetes-list-type");
    if (!["atomic", "set", "map"].includes(listType))
      errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ["atomic", "set", "map"]));
  }
  if (keys.length > 0 && listType !== "map") {
    const words = "must be map if x-kubernetes-list-map-keys is non-empty";
    const at = `${path}.x-kubernetes-list-type`;
    errors.push(listType === undefined ? required(at, words) : invalid(at, listType, words));
  }
  if (listType !== "map") return errors;
  if (keys.length === 0)
    errors.push(required(`${path}.x-kubernetes-list-map-keys`, "must not be empty if x-kubernetes-list-type is map"));
  const { items } = schema;
  if (items === undefined || isList(items)) {
    if (items === undefined)
      errors.push(required(`${path}.items`, "must have a schema if x-kubernetes-list-type is map"));
    return errors;
  }
  if (items.type !== "object")
    errors.push(
      invalid(`${path}.items.type`, items.type ?? "", "must be object if parent array's x-kubernetes-list-type is map"),
    );
  if (keys.some((key) => items.properties?.[key] === undefined))
    errors.push(invalid(`${path}.x-kubernetes-list-map-keys`, keys, "entries must all be names of item properties"));
  return errors;
}

function validateStructure(schema: JSONSchemaProps, path: string, level: Level): FieldError[] {
  const errors: FieldError[] = [];
  for (const [inner, at, where] of below(schema, path)) errors.push(...validateStructure(inner, at, where));
  if (schema.type === "array" && schema.items === undefined)
    errors.push(required(`${path}.items`, "must be specified"));
  const intOrString = schema["x-kubernetes-int-or-string"] === true;
  const preserve = schema["x-kubernetes-preserve-unknown-fields"] === true;
  const embedded = schema["x-kubernetes-embedded-resource"] === true;
  if (intOrString && schema.type)
    errors.push(fieldForbidden(`${path}.type`, "must be empty if x-kubernetes-int-or-string is true"));
  errors.push(...validateRestrictions(schema, path, intOrString));
  if (embedded && schema.type !== "object") {
    const words = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(schema.type ? invalid(`${path}.type`, schema.type, words) : required(`${path}.type`, words));
  } else if (!schema.type && !intOrString && !preserve) {
    errors.push(required(`${path}.type`, NO_TYPE[level]));
  }
  if (embedded && schema.additionalProperties !== undefined)
    errors.push(
      fieldForbidden(`${path}.additionalProperties`, "must not be used if x-kubernetes-embedded-resource is set"),
    );
  if (level === "root" && schema.type && schema.type !== "object")
    errors.push(invalid(`${path}.type`, schema.type, "must be object at the root"));
  if (level === "root" || embedded) errors.push(...validateIdentity(schema, path));
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
function validateIdentity({ properties = {} }: JSONSchemaProps, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of ["kind", "apiVersion"] as const) {
    const field = properties[name];
    if (field !== undefined && field.type !== "string")
      errors.push(invalid(`${path}.properties[${name}].type`, field.type ?? "", "must be string"));
  }
  const { metadata } = properties;
  if (metadata === undefined) return errors;
  const at = `${path}.properties[metadata]`;
  if (metadata.type !== "object") errors.push(invalid(`${at}.type`, metadata.type ?? "", "must be object"));
  if (Object.keys(metadata.properties ?? {}).some((name) => name !== "name" && name !== "generateName"))
    errors.push(
      fieldForbidden(
        at,
        "must not specify anything other than name and generateName, but metadata is implicitly specified",
      ),
    );
  return errors;
}

const EMPTY_IN_RESTRICTIONS = ["type", "title", "description"] as const;
const UNDEFINED_IN_RESTRICTIONS = ["default", "additionalProperties"] as const;
const FALSE_IN_RESTRICTIONS = [
  "nullable",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-embedded-resource",
  "x-kubernetes-int-or-string",
] as const;
const NO_EXTENSION_IN_RESTRICTIONS = [
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
] as const;

/** `allOf` and its like restrict values. Only the two ways to write a number or a text may name types there. */
function validateRestrictions(schema: JSONSchemaProps, path: string, intOrString: boolean): FieldError[] {
  const errors: FieldError[] = [];
  for (const [inner, at] of restrictions(schema, path)) {
    if (intOrString && at === `${path}.allOf[0]` && isIntOrString(inner)) continue;
    if (intOrString && at.startsWith(`${path}.anyOf[`) && isIntOrString(schema)) continue;
    errors.push(...validateRestriction(inner, at));
  }
  return errors;
}

const isIntOrString = ({ anyOf }: JSONSchemaProps): boolean =>
  anyOf?.length === 2 && anyOf[0]!.type === "integer" && anyOf[1]!.type === "string";

function validateRestriction(schema: JSONSchemaProps, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [inner, at] of below(schema, path))
    if (!at.endsWith(".additionalProperties")) errors.push(...validateRestriction(inner, at));
  for (const [inner, at] of restrictions(schema, path)) errors.push(...validateRestriction(inner, at));
  for (const field of EMPTY_IN_RESTRICTIONS)
    if (schema[field]) errors.push(fieldForbidden(`${path}.${field}`, "must be empty to be structural"));
  for (const field of UNDEFINED_IN_RESTRICTIONS)
    if (schema[field] !== undefined)
      errors.push(fieldForbidden(`${path}.${field}`, "must be undefined to be structural"));
  for (const field of FALSE_IN_RESTRICTIONS)
    if (schema[field] === true) errors.push(fieldForbidden(`${path}.${field}`, "must be false to be structural"));
  for (const field of NO_EXTENSION_IN_RESTRICTIONS)
    if (schema[field] !== undefined)
      errors.push(fieldForbidden(`${path}.${field}`, "must be undefined to be structural"));
  return errors;
}
