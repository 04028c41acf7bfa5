/**
 * Upstream's internal form of a definition, by which its validation works: what all versions have alike stands at the top, and stands there in
 * the paths of errors. Errors also show whole parts of it, by the names of Go's fields.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/{types,types_jsonschema}.go, v1/conversion.go
 */
import { semanticEqual } from "../../../semantic-equal.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  CustomResourceSubresources,
  CustomResourceValidation,
  JSONSchemaProps,
  SelectableField,
  ValidationRule,
} from "../../../generated/apiextensions.v1.ts";

/** What can stand at the top or in a version. */
export interface Parts {
  readonly schema?: CustomResourceValidation;
  readonly subresources?: CustomResourceSubresources;
  readonly additionalPrinterColumns?: readonly CustomResourceColumnDefinition[];
  readonly selectableFields?: readonly SelectableField[];
}

export interface Internal {
  readonly top: Parts;
  readonly versions: readonly CustomResourceDefinitionVersion[];
}

const PARTS = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"] as const;

export function internalForm({ versions = [] }: CustomResourceDefinitionSpec): Internal {
  const [first] = versions;
  if (first === undefined) return { top: {}, versions };
  const shared = PARTS.filter((part) => versions.every((version) => semanticEqual(version[part], first[part])));
  const top = Object.fromEntries(shared.flatMap((part) => (first[part] === undefined ? [] : [[part, first[part]]])));
  const without = (version: CustomResourceDefinitionVersion) =>
    Object.fromEntries(
      Object.entries(version).filter(([name]) => !(shared as readonly string[]).includes(name)),
    ) as unknown as CustomResourceDefinitionVersion;
  return { top, versions: versions.map(without) };
}

export function shownVersions(versions: readonly CustomResourceDefinitionVersion[]): readonly object[] {
  return versions.map((version) => ({
    Name: version.name ?? "",
    Served: version.served ?? false,
    Storage: version.storage ?? false,
    Deprecated: version.deprecated ?? false,
    DeprecationWarning: version.deprecationWarning ?? null,
    Schema:
      version.schema === undefined
        ? null
        : {
            OpenAPIV3Schema:
              version.schema.openAPIV3Schema === undefined ? null : shownSchema(version.schema.openAPIV3Schema),
          },
    Subresources: shownSubresources(version.subresources),
    AdditionalPrinterColumns:
      version.additionalPrinterColumns?.map((column) => ({
        Name: column.name ?? "",
        Type: column.type ?? "",
        Format: column.format ?? "",
        Description: column.description ?? "",
        Priority: column.priority ?? 0,
        JSONPath: column.jsonPath ?? "",
      })) ?? null,
    SelectableFields: version.selectableFields?.map(({ jsonPath }) => ({ JSONPath: jsonPath ?? "" })) ?? null,
  }));
}

function shownSubresources(subresources: CustomResourceSubresources | undefined): object | null {
  if (subresources === undefined) return null;
  const { status, scale } = subresources;
  return {
    Status: status === undefined ? null : {},
    Scale:
      scale === undefined
        ? null
        : {
            SpecReplicasPath: scale.specReplicasPath ?? "",
            StatusReplicasPath: scale.statusReplicasPath ?? "",
            LabelSelectorPath: scale.labelSelectorPath ?? null,
          },
  };
}

type Shown = (value: any) => unknown;

const list = (values: readonly JSONSchemaProps[]) => values.map(shownSchema);
const orBool = (value: JSONSchemaProps | boolean) =>
  typeof value === "boolean" ? { Allows: value, Schema: null } : { Allows: true, Schema: shownSchema(value) };
const byName =
  (shown: Shown): Shown =>
  (values: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(
      Object.keys(values)
        .sort()
        .map((name) => [name, shown(values[name])]),
    );

/** Go's fields in their order: its name, ours, and how a value is shown; or what stands there without one. */
const FIELDS: readonly (readonly [name: string, field: keyof JSONSchemaProps, absent: unknown, shown?: Shown])[] = [
  ["ID", "id", ""],
  ["Schema", "$schema", ""],
  ["Ref", "$ref", null],
  ["Description", "description", ""],
  ["Type", "type", ""],
  ["Nullable", "nullable", false],
  ["Format", "format", ""],
  ["Title", "title", ""],
  ["Default", "default", null],
  ["Maximum", "maximum", null],
  ["ExclusiveMaximum", "exclusiveMaximum", false],
  ["Minimum", "minimum", null],
  ["ExclusiveMinimum", "exclusiveMinimum", false],
  ["MaxLength", "maxLength", null],
  ["MinLength", "minLength", null],
  ["Pattern", "pattern", ""],
  ["MaxItems", "maxItems", null],
  ["MinItems", "minItems", null],
  ["UniqueItems", "uniqueItems", false],
  ["MultipleOf", "multipleOf", null],
  ["Enum", "enum", null],
  ["MaxProperties", "maxProperties", null],
  ["MinProperties", "minProperties", null],
  ["Required", "required", null],
  ["Items", "items", null, shownItems],
  ["AllOf", "allOf", null, list],
  ["OneOf", "oneOf", null, list],
  ["AnyOf", "anyOf", null, list],
  ["Not", "not", null, shownSchema],
  ["Properties", "properties", null, byName(shownSchema)],
  ["AdditionalProperties", "additionalProperties", null, orBool],
  ["PatternProperties", "patternProperties", null, byName(shownSchema)],
  [
    "Dependencies",
    "dependencies",
    null,
    byName((one) =>
      one === undefined || Array.isArray(one)
        ? { Schema: null, Property: one ?? null }
        : { Schema: shownSchema(one), Property: null },
    ),
  ],
  ["AdditionalItems", "additionalItems", null, orBool],
  ["Definitions", "definitions", null, byName(shownSchema)],
  ["ExternalDocs", "externalDocs", null, ({ description = "", url = "" }) => ({ Description: description, URL: url })],
  ["Example", "example", null],
  ["XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", null],
  ["XEmbeddedResource", "x-kubernetes-embedded-resource", false],
  ["XIntOrString", "x-kubernetes-int-or-string", false],
  ["XListMapKeys", "x-kubernetes-list-map-keys", null],
  ["XListType", "x-kubernetes-list-type", null],
  ["XMapType", "x-kubernetes-map-type", null],
  ["XValidations", "x-kubernetes-validations", null, (rules: readonly ValidationRule[]) => rules.map(shownRule)],
];

/** The fields of a schema's root that a status with its own endpoint leaves alone. */
export const WITH_STATUS: readonly string[] =
  "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations".split(
    " ",
  );

/** Go's names of the fields that are set. */
export function setFields(schema: JSONSchemaProps): readonly string[] {
  return FIELDS.flatMap(([name, field, absent]) =>
    schema[field] === undefined || schema[field] === absent ? [] : [name],
  );
}

export function shownSchema(schema: JSONSchemaProps): object {
  return Object.fromEntries(
    FIELDS.map(([name, field, absent, shown]) => {
      const value = schema[field];
      return [name, value === undefined ? absent : shown === undefined ? value : shown(value)];
    }),
  );
}

export function shownItems(items: JSONSchemaProps | readonly JSONSchemaProps[]): object {
  return Array.isArray(items)
    ? { Schema: null, JSONSchemas: list(items) }
    : { Schema: shownSchema(items as JSONSchemaProps), JSONSchemas: null };
}

export function shownRule(rule: ValidationRule): object {
  return {
    Rule: rule.rule ?? "",
    Message: rule.message ?? "",
    MessageExpression: rule.messageExpression ?? "",
    Reason: rule.reason ?? null,
    FieldPath: rule.fieldPath ?? "",
    OptionalOldSelf: rule.optionalOldSelf ?? null,
  };
}
