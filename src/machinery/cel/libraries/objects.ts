/**
 * Objects that expressions construct: `Object{spec: Object.spec{replicas: 3}}` and `JSONPatch{op: "add", …}`. The name of the type is the place in
 * the object; its fields may have any type.
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/mutation
 */
import type { StructType } from "../environment.ts";
import { equals } from "../operations.ts";
import { DYN, STRING, struct, type Type } from "../types.ts";
import { CelError, Duration, ListValue, MapValue, Opaque, Timestamp, Uint, type Value } from "../values.ts";
import { formatDurationSeconds, formatTimestamp } from "./time.ts";

export const OBJECT = struct("Object");
export const JSON_PATCH = struct("JSONPatch");

export class ObjectValue extends Opaque {
  override readonly type: Type;
  readonly fields: ReadonlyMap<string, Value>;
  constructor(type: Type, fields: ReadonlyMap<string, Value>) {
    super();
    this.type = type;
    this.fields = fields;
  }
  override equals(other: Opaque): boolean {
    if (!(other instanceof ObjectValue) || other.fields.size !== this.fields.size) return false;
    return [...this.fields].every(([name, value]) => {
      const theirs = other.fields.get(name);
      return theirs !== undefined && equals(value, theirs);
    });
  }
  override field(name: string): Value | undefined {
    return this.fields.get(name);
  }
  override has(name: string): boolean {
    return this.fields.has(name);
  }
}

const PATCH_FIELDS: Readonly<Record<string, Type>> = { op: STRING, path: STRING, from: STRING, value: DYN };

/** Of a field that there isn't, upstream knows a type without a name. */
const NAMELESS = struct("");

/** Any name that begins with `Object`, and `JSONPatch`. */
export function objectStructs(name: string): StructType | undefined {
  const type = struct(name);
  const make = (fields: ReadonlyMap<string, Value>) => new ObjectValue(type, fields);
  if (name === JSON_PATCH.name)
    return { type, make, field: (field) => (Object.hasOwn(PATCH_FIELDS, field) ? PATCH_FIELDS[field] : NAMELESS) };
  if (name !== "Object" && !name.startsWith("Object.")) return undefined;
  return { type, make, field: () => DYN };
}

/** As JSON. Throws a `CelError` for what JSON doesn't have. */
export function toJson(value: Value): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean" || typeof value === "number")
    return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint) return Number(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Timestamp) return formatTimestamp(value.ns);
  if (value instanceof Duration) return formatDurationSeconds(value.ns);
  if (value instanceof ListValue) return [...value].map(toJson);
  if (value instanceof MapValue)
    return Object.fromEntries([...value.keys()].map((key) => [String(key), toJson(value.get(key)!)]));
  if (value instanceof ObjectValue)
    return Object.fromEntries([...value.fields].map(([name, one]) => [name, toJson(one)]));
  throw new CelError(`unsupported conversion to JSON`);
}

/** Where a type's name isn't the place that the object stands at; undefined where all are. */
export function misnamed(value: Value, path = "Object"): string | undefined {
  if (value instanceof ObjectValue) {
    if (value.type.name !== path)
      return `unexpected type name "${value.type.name}", expected "${path}", which matches field name path from root Object type`;
    for (const [name, one] of value.fields) {
      const found = misnamed(one, `${path}.${name}`);
      if (found !== undefined) return found;
    }
  } else if (value instanceof ListValue) {
    for (const one of value) {
      const found = misnamed(one, path);
      if (found !== undefined) return found;
    }
  } else if (value instanceof MapValue) {
    for (const key of value.keys()) {
      const found = misnamed(value.get(key)!, path);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
