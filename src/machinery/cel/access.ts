/** Fields, keys and indexes: what `value.field` and `value[key]` find. */
import { valueType } from "./operations.ts";
import { CelError, ListValue, MapValue, Opaque, Optional, Uint, type Value } from "./values.ts";

/** Undefined where there is nothing of that name or at that index. */
export function lookUp(value: Value, key: Value): Value | undefined {
  if (value instanceof MapValue) return value.get(key);
  if (value instanceof ListValue) {
    const index = position(key);
    return index >= 0 && index < value.size ? value.at(index) : undefined;
  }
  if (value instanceof Opaque && value.field !== undefined && typeof key === "string") return value.field(key);
  return undefined;
}

/** Like `lookUp`, but a missing element is a failure. */
export function at(value: Value, key: Value): Value {
  const found = lookUp(value, key);
  if (found !== undefined) return found;
  throw new CelError(`${value instanceof ListValue ? "index out of bounds" : "no such key"}: ${show(key)}`);
}

/** What `has(value.field)` answers. */
export function isPresent(value: Value, field: string): boolean {
  return value instanceof Opaque && value.has !== undefined ? value.has(field) : lookUp(value, field) !== undefined;
}

function position(key: Value): number {
  if (typeof key === "bigint") return Number(key);
  if (key instanceof Uint) return Number(key.value);
  if (typeof key !== "number") throw new CelError(`unsupported index type '${valueType(key).name}' in list`);
  if (!Number.isInteger(key)) throw new CelError(`unsupported index value ${show(key)} in list`);
  return key;
}

/** A value as it appears in error messages. */
export function show(value: Value): string {
  return value instanceof Uint ? String(value.value) : String(value);
}

/** The Go type by which cel-go calls a value in two of its error messages. */
export function nativeName(value: Value): string {
  const { kind } = valueType(value);
  switch (kind) {
    case "type":
      return "*types.Type";
    case "opaque":
    case "struct":
      return value instanceof Optional ? "*types.Optional" : valueType(value).name;
    default:
      return `types.${kind[0]!.toUpperCase()}${kind.slice(1)}`;
  }
}
