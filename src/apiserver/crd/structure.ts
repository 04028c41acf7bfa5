/**
 * Turns the OpenAPI schema of a definition into the schema that codecs, patches and managed fields work with.
 * Upstream: apiextensions-apiserver/pkg/apiserver/schema.
 */
import type { JSONSchemaProps } from "../../api/generated/apiextensions.v1.ts";
import { schemaOf } from "../../api/schemas.ts";
import { Fields } from "../../machinery/schema/fields.ts";
import type { Schema } from "../../machinery/schema/schema.ts";

const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const ANY: Schema = { type: "any", preserveUnknownFields: true };
/** Of values that are only said to be there, nothing that is inside is known. */
const UNSAID: Schema = { type: "any", nullable: true };
const TYPES = new Set(["object", "array", "string", "integer", "number", "boolean"]);

/** The root of a kind: whatever its schema says of them, apiVersion, kind and metadata are Kubernetes' own. */
export function structureOf(
  root: JSONSchemaProps | undefined,
  { defaults = true }: { readonly defaults?: boolean } = {},
): Schema {
  const own: Schema = root === undefined ? { type: "object", preserveUnknownFields: true } : convert(root, defaults);
  return { ...own, type: "object", properties: withIdentity(own.properties), embeddedResource: true };
}

function withIdentity(properties: ReadonlyMap<string, Schema> = new Map()): Fields {
  const all = new Fields([
    ["apiVersion", { type: "string" }],
    ["kind", { type: "string" }],
    ["metadata", schemaOf(OBJECT_META)],
  ]);
  for (const [name, schema] of properties) if (!all.has(name)) all.set(name, schema);
  return all;
}

function convert(props: JSONSchemaProps, defaults: boolean): Schema {
  const preserve = props["x-kubernetes-preserve-unknown-fields"] === true;
  const embedded = props["x-kubernetes-embedded-resource"] === true;
  const common = {
    ...(defaults && props.default !== undefined && { default: props.default }),
    ...(props.nullable === true && { nullable: true }),
    ...(props.enum !== undefined && { enum: props.enum }),
    ...(props.format !== undefined && { format: props.format }),
    ...(preserve && { preserveUnknownFields: true }),
  };
  if (props["x-kubernetes-int-or-string"] === true) return { ...common, type: "any", format: "int-or-string" };
  const inside = {
    ...common,
    ...propertiesOf(props, defaults, embedded),
    ...valuesOf(props, defaults),
    ...itemsOf(props, defaults),
    ...(props["x-kubernetes-map-type"] === "atomic" && { mapType: "atomic" as const }),
    ...(props.required !== undefined && { required: props.required }),
    ...(embedded && { embeddedResource: true }),
  };
  return { ...inside, type: props.type !== undefined && TYPES.has(props.type) ? (props.type as "string") : "any" };
}

function propertiesOf(props: JSONSchemaProps, defaults: boolean, embedded: boolean): Pick<Schema, "properties"> {
  const properties = new Fields();
  for (const name of Object.keys(props.properties ?? {}).sort())
    properties.set(name, convert(props.properties![name]!, defaults));
  if (embedded) return { properties: withIdentity(properties) };
  return properties.size > 0 ? { properties } : {};
}

function valuesOf({ additionalProperties }: JSONSchemaProps, defaults: boolean): Pick<Schema, "values"> {
  if (additionalProperties === undefined) return {};
  return { values: typeof additionalProperties === "object" ? convert(additionalProperties, defaults) : UNSAID };
}

function itemsOf(props: JSONSchemaProps, defaults: boolean): Partial<Schema> {
  const type = props["x-kubernetes-list-type"];
  const items = Array.isArray(props.items) ? props.items[0] : (props.items as JSONSchemaProps | undefined);
  if (items === undefined) return props.type === "array" ? { items: ANY } : {};
  return {
    items: convert(items, defaults),
    ...(type !== undefined && { listType: type as "set" }),
    ...(props["x-kubernetes-list-map-keys"] !== undefined && { listMapKeys: props["x-kubernetes-list-map-keys"] }),
  };
}
