/** The structure of every built-in type, by its name in OpenAPI: `schemaOf("io.k8s.api.core.v1.Pod")`. */
import { assert } from "../base/assert.ts";
import type { Schema } from "../machinery/schema/schema.ts";
import rows from "./generated/schemas.json" with { type: "json" };

/** A type as the generator writes it. */
export interface TypeRow {
  /** `group/version/kind`, where the type is one. */
  readonly kinds?: readonly string[];
  readonly proto?: 1;
  readonly mapType?: string;
  readonly required?: readonly string[];
  readonly unions?: readonly { readonly discriminator?: string; readonly fields: readonly string[] }[];
  readonly fields: Readonly<Record<string, FieldRow>>;
}

/** A field: `type` is a scalar (`integer:int32`), a special type (`quantity`), or a type's short name (`core.v1.Pod`), after `[]` and `{}`. */
export interface FieldRow {
  readonly type: string;
  readonly number?: number;
  readonly within?: readonly number[];
  readonly wrapped?: 1;
  readonly omit?: 1;
  readonly pointer?: 1;
  readonly default?: unknown;
  readonly listType?: string;
  readonly listMapKeys?: readonly string[];
  readonly mapType?: string;
  readonly strategy?: string;
  readonly mergeKey?: string;
  readonly enum?: readonly string[];
  readonly go?: string;
}

type Draft = { -readonly [K in keyof Schema]: Schema[K] };

const JSON_SCHEMA = "apiextensions.v1.JSONSchemaProps";

const SPECIAL: Readonly<Record<string, Schema>> = {
  time: { type: "string", format: "date-time" },
  "micro-time": { type: "string", format: "micro-time" },
  duration: { type: "string", format: "duration" },
  quantity: { type: "string", format: "quantity" },
  "int-or-string": { type: "any", format: "int-or-string" },
  raw: { type: "object", format: "raw", preserveUnknownFields: true },
  fields: { type: "object", format: "fields", preserveUnknownFields: true },
  json: { type: "any", format: "json", preserveUnknownFields: true },
  any: { type: "any", preserveUnknownFields: true },
};

const SCHEMAS = build(rows as unknown as Readonly<Record<string, TypeRow>>);

/** The schema of a named type. Asking for a name that doesn't exist is a bug. */
export function schemaOf(name: string): Schema {
  const schema = SCHEMAS.get(name);
  assert(schema !== undefined, `no schema named ${name}`);
  return schema;
}

/** Every named schema, in the order of names. */
export function allSchemas(): ReadonlyMap<string, Schema> {
  return SCHEMAS;
}

/** The kinds of a type as `group/version/kind`; empty for parts of kinds. */
export function kindsOf(name: string): readonly string[] {
  return (rows as unknown as Readonly<Record<string, TypeRow>>)[name]?.kinds ?? [];
}

/**
 * Types refer to each other in circles, so each gets its map of fields first, and the maps are filled afterwards: a field that refers to a type
 * is an object of its own (it has its own number and merge rules) that shares the type's map.
 */
function build(table: Readonly<Record<string, TypeRow>>): ReadonlyMap<string, Schema> {
  const byName = new Map<string, Schema>();
  const byShortName = new Map<string, Schema>();
  for (const [name, row] of Object.entries(table)) {
    const schema: Schema = {
      type: "object",
      name,
      properties: new Map(),
      ...(row.required !== undefined && { required: row.required }),
      ...(row.mapType !== undefined && { mapType: row.mapType as "atomic" }),
      ...(row.unions !== undefined && { unions: row.unions }),
    };
    byName.set(name, schema);
    byShortName.set(name.split(".").slice(-3).join("."), schema);
  }
  for (const [name, row] of Object.entries(table)) {
    const properties = byName.get(name)!.properties as Map<string, Schema>;
    for (const [field, facts] of Object.entries(row.fields)) properties.set(field, fieldSchema(facts, byShortName));
  }
  return byName;
}

function fieldSchema(row: FieldRow, types: ReadonlyMap<string, Schema>): Schema {
  const draft = typeSchema(row, row.type, types);
  if (row.number !== undefined)
    draft.proto = {
      number: row.number,
      type: row.wrapped === 1 && row.type.startsWith("[]") ? "wrapped" : wireType(row.type),
      ...(row.within !== undefined && { within: row.within }),
    };
  if (row.omit === 1) draft.omitEmpty = true;
  if (row.pointer === 1) draft.pointer = true;
  if (row.default !== undefined) draft.default = row.default;
  // Go would write null for a list or map that is always written and was never set; empty is kinder to its readers here.
  else if (row.omit !== 1 && row.pointer !== 1 && row.number !== undefined)
    if (row.type.startsWith("[]")) draft.default = [];
    else if (row.type.startsWith("{}")) draft.default = {};
  if (row.type === "quantity" && row.pointer !== 1 && row.default === undefined) draft.default = "0";
  if (row.listType !== undefined) draft.listType = row.listType as "atomic" | "set" | "map";
  if (row.listMapKeys !== undefined) draft.listMapKeys = row.listMapKeys;
  if (row.mapType !== undefined) draft.mapType = row.mapType as "atomic" | "granular";
  if (row.strategy !== undefined)
    draft.patchStrategy = row.strategy.split(",") as ("merge" | "replace" | "retainKeys")[];
  if (row.mergeKey !== undefined) draft.patchMergeKey = row.mergeKey;
  return draft;
}

function typeSchema(row: FieldRow, type: string, types: ReadonlyMap<string, Schema>): Draft {
  if (type.startsWith("[]")) return { type: "array", items: typeSchema(row, type.slice(2), types) };
  if (type.startsWith("{}")) {
    const values = typeSchema(row, type.slice(2), types);
    if (row.wrapped === 1) values.proto = { number: 2, type: "wrapped" };
    return { type: "object", values, ...(row.go !== undefined && { goType: row.go }) };
  }
  if (type.startsWith("schema-or-")) {
    const schema = types.get(JSON_SCHEMA)!;
    return { type: "any", format: type, items: schema };
  }
  const special = SPECIAL[type];
  if (special !== undefined) return { ...special };
  const named = types.get(type);
  if (named !== undefined) return { ...named };
  const [scalar, format] = type.split(":") as [Schema["type"], string | undefined];
  assert(/^(string|boolean|integer|number|object)$/.test(scalar), `no type ${type}`);
  const draft: Draft = { type: scalar, ...(format !== undefined && { format }) };
  if (scalar === "object") draft.preserveUnknownFields = true;
  if (row.enum !== undefined) draft.enum = row.enum;
  if (row.go !== undefined) draft.goType = row.go;
  return draft;
}

function wireType(type: string): string {
  if (type.startsWith("[]")) return wireType(type.slice(2));
  if (type.startsWith("{}")) return "map";
  if (type === "string" || type === "boolean") return type === "string" ? "string" : "bool";
  if (type === "string:byte") return "bytes";
  if (type.startsWith("integer:")) return type.slice("integer:".length);
  return type === "number:double" ? "double" : "message";
}
