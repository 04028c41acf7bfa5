/**
 * JSON as Go writes it: a struct's fields in the order of their declaration, a map's keys sorted, null where a field without `omitempty` has
 * nothing, and `<`, `>` and `&` escaped. Custom resources are maps all the way down.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json, encoding/json.
 */
import type { Schema } from "../schema/schema.ts";

const ESCAPED = /[<>&\u2028\u2029]/g;

/** A JSON text with those characters escaped that Go escapes. */
export function escaped(json: string): string {
  return ESCAPED.test(json)
    ? json.replace(ESCAPED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
    : json;
}

/** An object of a built-in kind, or without a name to its schema a custom one. */
export function goJson(object: unknown, schema: Schema, indent = 0): string {
  return escaped(JSON.stringify(inGoOrder(object, schema), undefined, indent));
}

export function inGoOrder(object: unknown, schema: Schema): unknown {
  if (schema.name === undefined) return sorted(object);
  return shaped(object, schema);
}

function shaped(value: unknown, schema: Schema): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined || isPlain(items) ? value : value.map((item) => shaped(item, items));
  }
  if (schema.properties !== undefined) return struct(value as Tree, schema, schema.properties);
  if (schema.values !== undefined) return map(value as Tree, schema.values);
  return value;
}

type Tree = Readonly<Record<string, unknown>>;

function struct(value: Tree, schema: Schema, properties: ReadonlyMap<string, Schema>): Tree {
  const out: Record<string, unknown> = {};
  // What is an object of its own says of what kind first, and in this order.
  if (value["kind"] !== undefined && value["apiVersion"] !== undefined && properties.has("metadata")) {
    out["kind"] = value["kind"];
    out["apiVersion"] = value["apiVersion"];
  }
  for (const [name, field] of properties) {
    const given = value[name];
    if (given === undefined || given === null || (isEmptyList(given) && field.omitEmpty !== true)) {
      // A list that is empty is made so before it is written.
      if (name === "items" && schema.name?.endsWith("List") === true) out[name] = [];
      else if (isNull(name, field, schema)) out[name] = null;
    } else out[name] = shaped(given, field);
  }
  for (const name in value) if (!properties.has(name) && !(name in out)) out[name] = value[name];
  return out;
}

/** Go's nil. Times are structs: the only one that is left out when it is zero says so. */
function isNull(name: string, field: Schema, { name: type }: Schema): boolean {
  if (field.pointer === true || field.type === "array" || field.values !== undefined) return field.omitEmpty !== true;
  if (field.format !== "date-time" && field.format !== "micro-time") return false;
  return !(name === "creationTimestamp" && type === "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
const isPlain = ({ properties, values, items }: Schema): boolean =>
  properties === undefined && values === undefined && items === undefined;

function map(value: Tree, values: Schema): Tree {
  const keys = Object.keys(value);
  if (isPlain(values) && isSorted(keys)) return value;
  const out: Record<string, unknown> = {};
  for (const key of isSorted(keys) ? keys : keys.sort()) put(out, key, shaped(value[key], values));
  return out;
}

/** All keys sorted, at every depth. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort()) put(out, key, sorted((value as Tree)[key]));
  return out;
}

function put(out: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(out, key, { value, enumerable: true });
  else out[key] = value;
}

function isSorted(keys: readonly string[]): boolean {
  for (let i = 1; i < keys.length; i++) if (keys[i - 1]! > keys[i]!) return false;
  return true;
}
