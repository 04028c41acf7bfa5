/**
 * Validates the schema of a version: which parts of OpenAPI it may use, whether it is structural, its defaults, and its rules.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go
 */
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupportedText,
  required,
} from "../../../../machinery/validation/field-error.ts";
import type { CustomResourceValidation, JSONSchemaProps } from "../../../generated/apiextensions.v1.ts";
import { validateDefaults } from "./defaults.ts";
import { setFields, shownItems, shownSchema, WITH_STATUS } from "./internal.ts";
import { Costs, placeInside, type RuleOptions, type RulePlace, validateRules, validateRuleTexts } from "./rules.ts";
import { notConvertible, validateStructure } from "./structural.ts";
import { isEmbedded, isList, itemsOf, propertiesOf, valuesOf } from "./walk.ts";

/** What is asked of a schema. A definition that broke a rule before it was one may go on breaking it. */
export interface SchemaOptions extends RuleOptions {
  readonly requireStructure: boolean;
  readonly requirePrunedDefaults: boolean;
  readonly requireKnownTypes: boolean;
  readonly requireAtomicSets: boolean;
  readonly requireSoundKeys: boolean;
}

export function validateSchema(
  { openAPIV3Schema: schema }: CustomResourceValidation,
  parent: string,
  hasStatus: boolean,
  options: SchemaOptions,
): FieldError[] {
  if (schema === undefined) return [];
  const path = `${parent}.openAPIV3Schema`;
  const errors = hasStatus ? validateBesideStatus(schema, path) : [];
  if (schema.nullable === true) errors.push(fieldForbidden(`${path}.nullable`, "nullable cannot be true at the root"));
  let place: RulePlace | undefined;
  const odd = options.requireStructure ? notConvertible(schema) : undefined;
  if (options.requireStructure && odd === undefined) {
    let found = validateStructure(schema, path);
    if (found.length === 0) found = validateDefaults(schema, path, options.requirePrunedDefaults);
    if (found.length === 0) place = { isObject: true, count: 1, costs: new Costs() };
    errors.push(...found);
  }
  const walked = validateOpenApi(schema, path, ROOT, options, place);
  errors.push(...walked.errors, ...walked.ruleErrors);
  // The rules of OpenAPI say the same in better words.
  if (errors.length === 0 && odd !== undefined) errors.push(invalid(path, "", odd));
  return place === undefined ? errors : [...errors, ...place.costs.validate(path)];
}

/** A status with an endpoint of its own is looked at alone: nothing at the root may speak of it. */
function validateBesideStatus(schema: JSONSchemaProps, path: string): FieldError[] {
  for (const field of setFields(schema)) {
    if (field === "Type" && schema.type !== "object")
      return [
        invalid(
          `${path}.type`,
          schema.type,
          'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
        ),
      ];
    if (!WITH_STATUS.includes(field))
      return [
        invalid(
          path,
          shownSchema(schema),
          `only [${WITH_STATUS.join(" ")}] fields are allowed at the root of the schema if the status subresource is enabled`,
        ),
      ];
  }
  return [];
}

/** Where a schema is, as far as it decides what it may be. */
interface Place {
  readonly isRoot: boolean;
  /** Why there may be no default. */
  readonly noDefault?: string;
  /** Inside an object's version, kind or metadata. */
  readonly insideIdentity: boolean;
  /** From where on old values aren't known. */
  readonly uncorrelated?: string;
}

const ROOT: Place = { isRoot: true, insideIdentity: false };
const IDENTITY: readonly string[] = ["metadata", "kind", "apiVersion"];

interface Found {
  readonly errors: FieldError[];
  /** They come after all others, and only where no others are. */
  readonly ruleErrors: FieldError[];
}

function validateOpenApi(
  schema: JSONSchemaProps,
  path: string,
  place: Place,
  options: SchemaOptions,
  rules: RulePlace | undefined,
): Found {
  const errors = validateSupported(schema, path, place, options);
  const ruleErrors: FieldError[] = [];
  const go = (inner: JSONSchemaProps, at: string, where: Place, withRules: boolean) => {
    const inside = rules === undefined || !withRules ? undefined : placeInside(schema, rules, inner);
    const found = validateOpenApi(inner, `${path}.${at}`, where, options, inside);
    errors.push(...found.errors);
    ruleErrors.push(...found.ruleErrors);
  };
  const inner: Place = { ...place, isRoot: false };
  if (schema.uniqueItems === true)
    errors.push(
      fieldForbidden(
        `${path}.uniqueItems`,
        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      ),
    );
  const { additionalProperties } = schema;
  if (additionalProperties !== undefined && additionalProperties !== true && propertiesOf(schema).length > 0)
    errors.push(
      fieldForbidden(`${path}.additionalProperties`, "additionalProperties and properties are mutual exclusive"),
    );
  const values = valuesOf(schema);
  if (values !== undefined) {
    const noDefault = "inside additionalProperties applying to object metadata";
    go(values, "additionalProperties", inner.insideIdentity ? { ...inner, noDefault } : inner, true);
  }
  for (const [name, property] of propertiesOf(schema))
    go(property, `properties[${name}]`, placeOf(name, schema, place), true);
  if (schema.not !== undefined) go(schema.not, "not", inner, false);
  for (const junctor of ["allOf", "oneOf", "anyOf"] as const)
    for (const [i, one] of (schema[junctor] ?? []).entries()) go(one, `${junctor}[${i}]`, inner, false);
  for (const [name, one] of Object.entries(schema.definitions ?? {})) go(one, `definitions[${name}]`, inner, false);
  const isKeyed = schema["x-kubernetes-list-type"] === "map";
  const ofItems: Place = isKeyed ? inner : { ...inner, uncorrelated: inner.uncorrelated ?? path };
  if (isList(schema.items)) for (const [i, one] of schema.items.entries()) go(one, `items[${i}]`, ofItems, true);
  else if (schema.items !== undefined) go(schema.items, "items", ofItems, true);
  for (const [name, one] of Object.entries(schema.dependencies ?? {}))
    if (one !== undefined && !Array.isArray(one)) go(one as JSONSchemaProps, `dependencies[${name}]`, inner, false);
  errors.push(...validateExtensions(schema, path, options), ...validateRuleTexts(schema, path));
  if (errors.length === 0 && rules !== undefined)
    ruleErrors.push(...validateRules(schema, path, rules, options, place.uncorrelated));
  return { errors, ruleErrors };
}

function placeOf(property: string, schema: JSONSchemaProps, place: Place): Place {
  const isIdentity = (place.isRoot || isEmbedded(schema)) && IDENTITY.includes(property);
  if (!isIdentity) return { ...place, isRoot: false };
  return {
    ...place,
    isRoot: false,
    insideIdentity: true,
    ...(place.isRoot && { noDefault: `in top-level ${property}` }),
  };
}

const TYPES = ["array", "boolean", "integer", "number", "object", "string"];

/** What OpenAPI knows and custom kinds may not use. */
function validateSupported(
  schema: JSONSchemaProps,
  path: string,
  place: Place,
  { requireKnownTypes }: SchemaOptions,
): FieldError[] {
  const errors: FieldError[] = [];
  const { type = "" } = schema;
  if (requireKnownTypes && type !== "" && !TYPES.includes(type))
    errors.push(notSupportedText(`${path}.type`, type, TYPES));
  if (schema.default !== undefined && place.noDefault !== undefined)
    errors.push(fieldForbidden(`${path}.default`, `must not be set ${place.noDefault}`));
  const { id = "", additionalItems, patternProperties = {}, definitions = {}, dependencies, $ref } = schema;
  for (const [field, isSet] of [
    ["id", id !== ""],
    ["additionalItems", additionalItems !== undefined],
    ["patternProperties", Object.keys(patternProperties).length > 0],
    ["definitions", Object.keys(definitions).length > 0],
    ["dependencies", dependencies !== undefined],
    ["$ref", $ref !== undefined],
  ] as const)
    if (isSet) errors.push(fieldForbidden(`${path}.${field}`, `${field} is not supported`));
  if (type === "null")
    errors.push(fieldForbidden(`${path}.type`, "type cannot be set to null, use nullable as an alternative"));
  if (isList(schema.items) && schema.items.length > 0)
    errors.push(fieldForbidden(`${path}.items`, "items must be a schema object and not an array"));
  if (place.insideIdentity && isEmbedded(schema))
    errors.push(fieldForbidden(`${path}.x-kubernetes-embedded-resource`, "must not be used inside of resource meta"));
  return errors;
}

function validateExtensions(schema: JSONSchemaProps, path: string, options: SchemaOptions): FieldError[] {
  const errors: FieldError[] = [];
  const mapType = schema["x-kubernetes-map-type"];
  const listType = schema["x-kubernetes-list-type"];
  if (schema["x-kubernetes-preserve-unknown-fields"] === false)
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, "must be true or undefined"));
  const typed = (type: string, extension: string) => {
    const words = `must be ${type} if ${extension} is specified`;
    errors.push(schema.type ? invalid(`${path}.type`, schema.type, words) : required(`${path}.type`, words));
  };
  if (mapType !== undefined && schema.type !== "object") typed("object", "x-kubernetes-map-type");
  if (mapType !== undefined && mapType !== "atomic" && mapType !== "granular")
    errors.push(notSupportedText(`${path}.x-kubernetes-map-type`, mapType, ["atomic", "granular"]));
  if (listType !== undefined && schema.type !== "array") typed("array", "x-kubernetes-list-type");
  else if (options.requireAtomicSets) errors.push(...validateAtomicSet(schema, path));
  if (listType !== undefined && !["atomic", "set", "map"].includes(listType))
    errors.push(notSupportedText(`${path}.x-kubernetes-list-type`, listType, ["atomic", "set", "map"]));
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  if (keys.length > 0 && listType !== "map") {
    const words = "must be map if x-kubernetes-list-map-keys is non-empty";
    const at = `${path}.x-kubernetes-list-type`;
    errors.push(listType === undefined ? required(at, words) : invalid(at, listType, words));
  }
  if (listType === "map") errors.push(...validateKeyed(schema, path));
  if (options.requireSoundKeys) errors.push(...validateKeys(schema, path));
  return errors;
}

/** The items of a set are wholes. */
export function validateAtomicSet(schema: JSONSchemaProps, path: string): FieldError[] {
  const items = itemsOf(schema);
  if (schema["x-kubernetes-list-type"] !== "set" || items === undefined) return [];
  const words = "must be atomic as item of a list with x-kubernetes-list-type=set";
  const listType = items["x-kubernetes-list-type"];
  if (items.type === "array" && listType !== undefined && listType !== "atomic")
    return [invalid(`${path}.items.x-kubernetes-list-type`, listType, words)];
  // Upstream shows the type of the list here as well.
  if (items.type === "object" && items["x-kubernetes-map-type"] !== "atomic")
    return [invalid(`${path}.items.x-kubernetes-map-type`, listType ?? null, words)];
  return [];
}

function validateKeyed(schema: JSONSchemaProps, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  if (keys.length === 0)
    errors.push(required(`${path}.x-kubernetes-list-map-keys`, "must not be empty if x-kubernetes-list-type is map"));
  if (schema.items === undefined)
    return [...errors, required(`${path}.items`, "must have a schema if x-kubernetes-list-type is map")];
  const items = itemsOf(schema);
  if (items === undefined)
    return [
      ...errors,
      invalid(
        `${path}.items`,
        shownItems(schema.items),
        "must only have a single schema if x-kubernetes-list-type is map",
      ),
    ];
  if (items.type !== "object")
    return [
      ...errors,
      invalid(`${path}.items.type`, items.type ?? "", "must be object if parent array's x-kubernetes-list-type is map"),
    ];
  for (const [i, key] of keys.entries()) {
    const property = items.properties?.[key];
    if (property === undefined)
      errors.push(invalid(`${path}.x-kubernetes-list-map-keys`, keys, "entries must all be names of item properties"));
    else if (property.type === "array" || property.type === "object")
      errors.push(
        invalid(
          `${path}.items.properties[${key}].type`,
          items.type,
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      );
    if (keys.indexOf(key) < i)
      errors.push(invalid(`${path}.x-kubernetes-list-map-keys`, keys, "must not contain duplicate entries"));
  }
  return errors;
}

/** Keys are always there, and so are items. */
export function validateKeys(schema: JSONSchemaProps, path: string): FieldError[] {
  const listType = schema["x-kubernetes-list-type"];
  const items = itemsOf(schema);
  if (items === undefined || (listType !== "set" && listType !== "map")) return [];
  const errors: FieldError[] = [];
  if (items.nullable === true)
    errors.push(
      fieldForbidden(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`),
    );
  if (listType === "set") return errors;
  for (const key of schema["x-kubernetes-list-map-keys"] ?? []) {
    const property = items.properties?.[key];
    if (property === undefined) continue;
    const at = `${path}.items.properties[${key}]`;
    const words = "this property is in x-kubernetes-list-map-keys, so it";
    if (items.required?.includes(key) !== true && property.default === undefined)
      errors.push(required(`${at}.default`, `${words} must have a default or be a required property`));
    if (property.nullable === true) errors.push(fieldForbidden(`${at}.nullable`, `${words} cannot be nullable`));
  }
  return errors;
}

export const hasUnknownType = ({ type = "" }: JSONSchemaProps): boolean => type !== "" && !TYPES.includes(type);
