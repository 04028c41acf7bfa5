/** Types as OpenAPI definitions that refer to each other, in the dialect of v2 or v3. */
import type { Schema } from "../schema/schema.ts";
import { isOfClients, REGISTERED_VERSIONS } from "./registered-versions.ts";

export type Dialect = "v2" | "v3";
export type Json = { readonly [key: string]: unknown };

/** Where the facts beyond a schema come from. */
export interface OpenApiSource {
  /** Every named type. */
  readonly schemas: ReadonlyMap<string, Schema>;
  /** The kinds that a type is, as `group/version/kind`. */
  kinds(name: string): readonly string[];
  /** Prose for a type, or for a field of it. */
  describe?(name: string, field?: string): string | undefined;
  /** What a custom resource's own CRD says: its schema as written there. */
  custom?(group: string, version: string, kind: string): Json | undefined;
  /** Whether objects are read and written in CBOR, too. */
  readonly cbor?: boolean;
  /** The version of the server, for `info`. */
  readonly version: string;
}

export const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const APIEXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";

/** Formats that are types of their own upstream: their names, and what there is to say of them. */
const FORMATS: Readonly<Record<string, { readonly name: string; readonly v3: Json; readonly v2?: Json }>> = {
  "date-time": { name: `${META}Time`, v3: { type: "string", format: "date-time" } },
  "micro-time": { name: `${META}MicroTime`, v3: { type: "string", format: "date-time" } },
  duration: { name: `${META}Duration`, v3: { type: "string" } },
  fields: { name: `${META}FieldsV1`, v3: { type: "object" } },
  quantity: {
    name: "io.k8s.apimachinery.pkg.api.resource.Quantity",
    v3: { oneOf: [{ type: "string" }, { type: "number" }] },
    v2: { type: "string" },
  },
  "int-or-string": {
    name: "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    v3: { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
    v2: { type: "string", format: "int-or-string" },
  },
  raw: { name: "io.k8s.apimachinery.pkg.runtime.RawExtension", v3: { type: "object" } },
  json: { name: `${APIEXTENSIONS}JSON`, v3: {} },
  "schema-or-array": { name: `${APIEXTENSIONS}JSONSchemaPropsOrArray`, v3: {} },
  "schema-or-bool": { name: `${APIEXTENSIONS}JSONSchemaPropsOrBool`, v3: {} },
  "schema-or-strings": { name: `${APIEXTENSIONS}JSONSchemaPropsOrStringArray`, v3: {} },
};
const FORMAT_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(FORMATS).map(([format, { name }]) => [name, format]),
);

/** Fields that refer to a type and of which upstream says nothing. */
const UNDESCRIBED: ReadonlySet<string> = new Set([
  ...["additionalItems", "additionalProperties", "example", "externalDocs", "items", "not"].map(
    (field) => `${APIEXTENSIONS}JSONSchemaProps.${field}`,
  ),
  "io.k8s.api.networking.v1.IngressRule.http",
]);

/** Collects the definitions that a document needs. */
export class Definitions {
  readonly #source: OpenApiSource;
  readonly #dialect: Dialect;
  readonly #of: string | undefined;
  readonly #found = new Map<string, Json>();

  /** `of` is the group and version that a document of v3 is of. */
  constructor(source: OpenApiSource, dialect: Dialect, of?: string) {
    this.#source = source;
    this.#dialect = dialect;
    this.#of = of;
  }

  get cbor(): boolean {
    return this.#source.cbor === true;
  }

  /** A reference to a named type, which is thereby part of the document. */
  ref(name: string): Json {
    if (!this.#found.has(name)) {
      this.#found.set(name, {}); // Types go in circles.
      this.#found.set(name, this.#definition(name));
    }
    const prefix = this.#dialect === "v2" ? "#/definitions/" : "#/components/schemas/";
    return { $ref: `${prefix}${name.replaceAll("~", "~0").replaceAll("/", "~1")}` };
  }

  /** Takes in a definition that no table has: a custom resource, or its list. */
  add(name: string, definition: Json): void {
    this.#found.set(name, definition);
  }

  /** All of them, by name. */
  sorted(): Json {
    return Object.fromEntries([...this.#found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #definition(name: string): Json {
    const special = FORMATS[FORMAT_OF.get(name) ?? ""];
    const description = this.#source.describe?.(name);
    const said = description === undefined ? {} : { description };
    if (special !== undefined) return { ...said, ...((this.#dialect === "v2" ? special.v2 : undefined) ?? special.v3) };
    const schema = this.#source.schemas.get(name);
    if (schema === undefined) return { ...said, type: "object" };
    const properties: Record<string, unknown> = {};
    for (const [field, fieldSchema] of [...(schema.properties ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)))
      properties[field] = UNDESCRIBED.has(`${name}.${field}`)
        ? this.#property(fieldSchema, undefined, true)
        : this.#property(fieldSchema, this.#source.describe?.(name, field));
    const kinds = this.#kinds(name);
    return {
      ...said,
      type: "object",
      ...(schema.required !== undefined && schema.required.length > 0 && { required: schema.required }),
      ...(schema.properties !== undefined && schema.properties.size > 0 && { properties }),
      ...(kinds.length > 0 && { "x-kubernetes-group-version-kind": kinds }),
      ...(schema.mapType === "atomic" && { "x-kubernetes-map-type": "atomic" }),
      ...(schema.unions !== undefined && { "x-kubernetes-unions": schema.unions.map(union) }),
    };
  }

  /** Options and events belong to every group: a document of v3 names its own, that of v2 all that there ever were, one of a definition's those of clients. */
  #kinds(name: string): readonly Json[] {
    if (name !== `${META}DeleteOptions` && name !== `${META}WatchEvent`)
      return this.#source.kinds(name).map((text) => {
        const [group, version, kind] = text.split("/");
        return { group, version, kind };
      });
    const kind = name.slice(META.length);
    return ["v1", ...this.#versions()].map((text) => {
      const [version, group = ""] = text.split("/").reverse();
      return { group, version, kind };
    });
  }

  #versions(): readonly string[] {
    if (this.#dialect === "v2") return REGISTERED_VERSIONS;
    if (this.#of === undefined || this.#of === "v1") return [];
    return REGISTERED_VERSIONS.includes(this.#of) ? [this.#of] : REGISTERED_VERSIONS.filter(isOfClients);
  }

  #property(schema: Schema, description?: string, isUndescribed = false): Json {
    const extra: Record<string, unknown> = {};
    if (description !== undefined) extra["description"] = description;
    // Readers of v2 would take a default for a field that is set.
    if (this.#dialect === "v3" && schema.default !== undefined && !isFilledIn(schema))
      extra["default"] = schema.default;
    if (schema.listType !== undefined) extra["x-kubernetes-list-type"] = schema.listType;
    if (schema.listMapKeys !== undefined) extra["x-kubernetes-list-map-keys"] = schema.listMapKeys;
    if (schema.patchStrategy !== undefined) extra["x-kubernetes-patch-strategy"] = schema.patchStrategy.join(",");
    if (schema.patchMergeKey !== undefined) extra["x-kubernetes-patch-merge-key"] = schema.patchMergeKey;
    const named = schema.name ?? FORMATS[schema.format ?? ""]?.name;
    if (named !== undefined) {
      if (schema.mapType !== undefined && schema.mapType !== this.#source.schemas.get(named)?.mapType)
        extra["x-kubernetes-map-type"] = schema.mapType;
      const ref = this.ref(named);
      // A reference in v3 stands alone, and nearly every field has something said of it upstream.
      const isBare = this.#dialect === "v2" || (isUndescribed && Object.keys(extra).length === 0);
      return isBare ? { ...ref, ...extra } : { allOf: [ref], ...extra };
    }
    const own: Record<string, unknown> = { type: schema.type };
    if (schema.type === "any") delete own["type"];
    if (schema.format !== undefined) own["format"] = schema.format;
    if (schema.items !== undefined) own["items"] = this.#item(schema.items);
    if (schema.values !== undefined) own["additionalProperties"] = this.#item(schema.values);
    if (schema.mapType !== undefined) own["x-kubernetes-map-type"] = schema.mapType;
    if (schema.enum !== undefined) own["enum"] = [...schema.enum].sort();
    return { ...own, ...extra };
  }

  /** Elements of lists and maps: v3 says of scalars and structs what their zero value is. */
  #item(schema: Schema): Json {
    const item = this.#property(schema, undefined, true);
    if (this.#dialect === "v2" || schema.default !== undefined) return item;
    if (schema.type === "string" && schema.format === undefined) return { ...item, default: "" };
    if (schema.type === "integer") return { ...item, default: 0 };
    if (schema.type === "boolean") return { ...item, default: false };
    if (schema.name !== undefined) return { allOf: [item], default: {} };
    return item;
  }
}

/** Lists, maps and quantities get their empty value on decoding, and OpenAPI doesn't say so. */
function isFilledIn(schema: Schema): boolean {
  return schema.type === "array" || schema.values !== undefined || schema.format === "quantity";
}

function union({ discriminator, fields }: NonNullable<Schema["unions"]>[number]): Json {
  const upper = (name: string) => name[0]!.toUpperCase() + name.slice(1);
  return {
    ...(discriminator !== undefined && { discriminator }),
    "fields-to-discriminateBy": Object.fromEntries(fields.map((field) => [field, upper(field)])),
  };
}
