/** A CRD's OpenAPI schema as the structure that codecs, patches and managed fields read. Upstream: apiextensions-apiserver/pkg/apiserver/schema. */
import type { JSONSchemaProps } from "../../api/generated/apiextensions.v1.ts";
import { schemaOf } from "../../api/schemas.ts";
import type { Schema } from "../../machinery/schema/schema.ts";

const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const ANY: Schema = { type: "any", preserveUnknownFields: true };
const TYPES = new Set(["object", "array", "string", "integer", "number", "boolean"]);

/** The root of a kind: whatever its schema says of them, apiVersion, kind and metadata are Kubernetes' own. */
export function structureOf(
  root: JSONSchemaProps | undefined,
  { defaults = true }: { readonly defaults?: boolean } = {},
): Schema {
  const own = root === undefined ? { type: "object" as const, preserveUnknownFields: true } : convert(root, defaults);
  const properties = new Map<string, Schema>([
    ["apiVersion", { type: "string" }],
    ["kind", { type: "string" }],
    ["metadata", schemaOf(OBJECT_META)],
  ]);
  for (const [name, schema] of own.properties ?? []) if (!properties.has(name)) properties.set(name, schema);
  return { ...own, type: "object", properties };
}

function convert(props: JSONSchemaProps, defaults: boolean): Schema {
  const common = {
    ...(defaults && props.default !== undefined && { default: props.default }),
    ...(props.nullable === true && { nullable: true }),
    ...(props.enum !== undefined && { enum: props.enum }),
    ...(props.format !== undefined && { format: props.format }),
  };
  const preserve = props["x-kubernetes-preserve-unknown-fields"] === true;
  if (props["x-kubernetes-int-or-string"] === true) return { ...common, type: "any", format: "int-or-string" };
  if (props.type === undefined || !TYPES.has(props.type)) return { ...ANY, ...common };
  if (props.type === "array") return { ...common, ...listOf(props, defaults), type: "array" };
  if (props.type !== "object") return { ...common, type: props.type as "string" };
  const { additionalProperties } = props;
  const atomic = props["x-kubernetes-map-type"] === "atomic" && { mapType: "atomic" as const };
  if (additionalProperties !== undefined && additionalProperties !== false && props.properties === undefined)
    return {
      ...common,
      ...atomic,
      type: "object",
      values: additionalProperties === true ? ANY : convert(additionalProperties, defaults),
    };
  const properties = new Map<string, Schema>();
  const embedded = props["x-kubernetes-embedded-resource"] === true;
  if (embedded) {
    properties.set("apiVersion", { type: "string" });
    properties.set("kind", { type: "string" });
    properties.set("metadata", schemaOf(OBJECT_META));
  }
  for (const name of Object.keys(props.properties ?? {}).sort())
    if (!properties.has(name)) properties.set(name, convert(props.properties![name]!, defaults));
  return {
    ...common,
    ...atomic,
    type: "object",
    ...(properties.size > 0 && { properties }),
    ...(props.required !== undefined && { required: props.required }),
    ...(preserve && { preserveUnknownFields: true }),
    ...(embedded && { embeddedResource: true }),
  };
}

function listOf(props: JSONSchemaProps, defaults: boolean): Partial<Schema> {
  const type = props["x-kubernetes-list-type"];
  const items = Array.isArray(props.items) ? props.items[0] : (props.items as JSONSchemaProps | undefined);
  return {
    items: items === undefined ? ANY : convert(items, defaults),
    ...(type !== undefined && { listType: type as "set" }),
    ...(props["x-kubernetes-list-map-keys"] !== undefined && { listMapKeys: props["x-kubernetes-list-map-keys"] }),
  };
}
