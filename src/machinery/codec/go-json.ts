/**
 * JSON as Go writes it: a struct's fields in the order of their declaration, a map's keys sorted, null where a field without `omitempty` has
 * nothing, and `<`, `>` and `&` escaped. Custom resources are maps all the way down.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json, encoding/json.
 */
import { Fields, layoutOf } from "../schema/fields.ts";
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

/** The value itself where it is in order already, as most are. */
function shaped(value: unknown, schema: Schema): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return list(value, schema.items);
  if (schema.properties !== undefined) return struct(value as Tree, schema, schema.properties);
  if (schema.values !== undefined) return map(value as Tree, schema.values);
  return value;
}

type Tree = Readonly<Record<string, unknown>>;

function list(value: readonly unknown[], items: Schema | undefined): readonly unknown[] {
  if (items === undefined || isPlain(items)) return value;
  let out: unknown[] | undefined;
  for (let i = 0; i < value.length; i++) {
    const item = shaped(value[i], items);
    if (item !== value[i]) (out ??= value.slice())[i] = item;
  }
  return out ?? value;
}

function struct(value: Tree, schema: Schema, properties: ReadonlyMap<string, Schema>): Tree {
  const { places, nullable } = properties instanceof Fields ? properties.layout : layoutOf(properties);
  let changed = false;
  let last = -1;
  /** What lies below in another form than it is in now. */
  let made: Record<string, unknown> | undefined;
  for (const name in value) {
    const place = places.get(name);
    if (place === undefined) continue;
    const given = value[name];
    if (place.index < last || given === null || given === undefined) changed = true;
    if (typeof given === "object" && given !== null) {
      const inner = shaped(given, place.schema);
      if (inner !== given) (made ??= {})[name] = inner;
    }
    last = place.index;
  }
  // What is an object of its own says of what kind first, and in this order.
  const isObject = value["kind"] !== undefined && value["apiVersion"] !== undefined && places.has("metadata");
  if (
    !changed &&
    made === undefined &&
    !isObject &&
    nullable.every(({ name, schema: field }) => isThere(value[name], field))
  )
    return value;
  const out: Record<string, unknown> = {};
  if (isObject) {
    out["kind"] = value["kind"];
    out["apiVersion"] = value["apiVersion"];
  }
  // In order, and nothing to be told of what isn't there: only what is has to be copied.
  if (!changed && nullable.length === 0) {
    for (const name in value) if (!(name in out)) out[name] = made?.[name] ?? value[name];
    return out;
  }
  for (const { name, schema: field } of places.values()) {
    const given = value[name];
    if (isThere(given, field)) out[name] = made?.[name] ?? given;
    // A list is made empty before it is written.
    else if (name === "items" && schema.name?.endsWith("List") === true) out[name] = [];
    else if (nullable.some((place) => place.name === name)) out[name] = null;
  }
  for (const name in value) if (!places.has(name)) out[name] = value[name];
  return out;
}

const isThere = (given: unknown, field: Schema): boolean =>
  given !== undefined && given !== null && (field.omitEmpty === true || !isEmptyList(given));
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
