/** Visits the subschemas of a schema. */
import type { JSONSchemaProps } from "../../../generated/apiextensions.v1.ts";

export const isList = (items: JSONSchemaProps["items"]): items is readonly JSONSchemaProps[] => Array.isArray(items);
export const itemsOf = ({ items }: JSONSchemaProps): JSONSchemaProps | undefined => (isList(items) ? undefined : items);
export const valuesOf = ({ additionalProperties }: JSONSchemaProps): JSONSchemaProps | undefined =>
  typeof additionalProperties === "object" ? additionalProperties : undefined;
export const isEmbedded = (schema: JSONSchemaProps): boolean => schema["x-kubernetes-embedded-resource"] === true;

export function propertiesOf({ properties = {} }: JSONSchemaProps): readonly (readonly [string, JSONSchemaProps])[] {
  return Object.keys(properties)
    .sort()
    .map((name) => [name, properties[name]!]);
}

/** The schema and all below it, however they are there. */
export function* everySchema(schema: JSONSchemaProps): Generator<JSONSchemaProps> {
  yield schema;
  const { items, additionalItems, not } = schema;
  const inner = [
    ...(isList(items) ? items : [itemsOf(schema) ?? []].flat()),
    ...(["allOf", "anyOf", "oneOf"] as const).flatMap((junctor) => schema[junctor] ?? []),
    ...(not === undefined ? [] : [not]),
    ...Object.values(schema.properties ?? {}),
    ...[valuesOf(schema), typeof additionalItems === "object" ? additionalItems : undefined].filter(
      (one) => one !== undefined,
    ),
    ...Object.values(schema.patternProperties ?? {}),
    ...Object.values(schema.definitions ?? {}),
    ...Object.values(schema.dependencies ?? {}).filter(
      (one): one is JSONSchemaProps => one !== undefined && !Array.isArray(one),
    ),
  ];
  for (const one of inner) yield* everySchema(one);
}
