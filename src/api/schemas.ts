/** The schemas of all built-in types, by their names in OpenAPI: `schemaOf("io.k8s.api.core.v1.Pod")`. */
import { assert } from "../base/assert.ts";
import { Fields } from "../machinery/schema/fields.ts";
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

/**
 * The table of rows, turned into schemas as they are asked for: most processes need a part of them only, and start sooner without the rest.
 * Types refer to each other in circles, so a type gets its map of fields first and the map is filled afterwards. A field that refers to a type is an
 * object of its own (it has its own number and merge rules) that shares the type's map.
 */
class SchemaTable {
  readonly #rows: Readonly<Record<string, TypeRow>>;
  readonly #names: ReadonlyMap<string, string>;
  readonly #schemas = new Map<string, Schema>();

  constructor(table: Readonly<Record<string, TypeRow>>) {
    this.#rows = table;
    this.#names = new Map(Object.keys(table).map((name) => [shortName(name), name]));
  }

  get names(): readonly string[] {
    return Object.keys(this.#rows);
  }

  row(name: string): TypeRow | undefined {
    return Object.hasOwn(this.#rows, name) ? this.#rows[name] : undefined;
  }

  get(name: string): Schema | undefined {
    const known = this.#schemas.get(name);
    if (known !== undefined) return known;
    const row = this.row(name);
    if (row === undefined) return undefined;
    const properties = new Fields();
    const schema: Draft = { type: "object", name, properties };
    if (row.required !== undefined) schema.required = row.required;
    if (row.mapType !== undefined) schema.mapType = row.mapType as "atomic";
    if (row.unions !== undefined) schema.unions = row.unions;
    this.#schemas.set(name, schema);
    for (const field in row.fields) properties.set(field, fieldSchema(row.fields[field]!, this));
    return schema;
  }

  /** By `core.v1.Pod`, as rows refer to each other. */
  byShortName(short: string): Schema | undefined {
    const name = this.#names.get(short);
    return name === undefined ? undefined : this.get(name);
  }
}

/** The last three parts of a name. */
function shortName(name: string): string {
  const package_ = name.lastIndexOf(".", name.lastIndexOf(".", name.lastIndexOf(".") - 1) - 1);
  return name.slice(package_ + 1);
}

const TABLE = new SchemaTable(rows as unknown as Readonly<Record<string, TypeRow>>);

/** The schema of a named type. Asking for a name that doesn't exist is a bug. */
export function schemaOf(name: string): Schema {
  const schema = TABLE.get(name);
  assert(schema !== undefined, `no schema named ${name}`);
  return schema;
}

/** Every named schema, in the order of names. */
export function allSchemas(): ReadonlyMap<string, Schema> {
  return new Map(TABLE.names.map((name) => [name, TABLE.get(name)!]));
}

/** The kinds of a type as `group/version/kind`; empty for parts of kinds. */
export function kindsOf(name: string): readonly string[] {
  return TABLE.row(name)?.kinds ?? [];
}

function fieldSchema(row: FieldRow, types: SchemaTable): Schema {
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

function typeSchema(row: FieldRow, type: string, types: SchemaTable): Draft {
  if (type.startsWith("[]")) return { type: "array", items: typeSchema(row, type.slice(2), types) };
  if (type.startsWith("{}")) {
    const values = typeSchema(row, type.slice(2), types);
    if (row.wrapped === 1) values.proto = { number: 2, type: "wrapped" };
    return { type: "object", values, ...(row.go !== undefined && { goType: row.go }) };
  }
  if (type.startsWith("schema-or-")) {
    const schema = types.byShortName(JSON_SCHEMA)!;
    return { type: "any", format: type, items: schema };
  }
  const special = SPECIAL[type];
  if (special !== undefined) return { ...special };
  const named = types.byShortName(type);
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
