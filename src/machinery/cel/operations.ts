/** Equality, order and types of values, which many functions share. Upstream: github.com/google/cel-go common/types */
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  list,
  map,
  NULL,
  optional,
  STRING,
  TIMESTAMP,
  typeOf,
  UINT,
  type Type,
} from "./types.ts";
import {
  CelError,
  Duration,
  ListValue,
  MapValue,
  Opaque,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from "./values.ts";

const isNumber = (value: Value): value is bigint | number | Uint =>
  typeof value === "bigint" || typeof value === "number" || value instanceof Uint;

/** Numbers compare by what they are worth, whatever their types. */
export function compareNumbers(a: bigint | number | Uint, b: bigint | number | Uint): number {
  const left = a instanceof Uint ? a.value : a;
  const right = b instanceof Uint ? b.value : b;
  if (Number.isNaN(left) || Number.isNaN(right)) throw new CelError("NaN values cannot be ordered");
  // The engine compares a bigint with a float exactly.
  return left < right ? -1 : left > right ? 1 : 0;
}

export function equals(a: Value, b: Value): boolean {
  if (a === b) return !Number.isNaN(a);
  if (isNumber(a)) {
    if (!isNumber(b) || Number.isNaN(a) || Number.isNaN(b)) return false;
    return compareNumbers(a, b) === 0;
  }
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Timestamp) return b instanceof Timestamp && a.ns === b.ns;
  if (a instanceof Duration) return b instanceof Duration && a.ns === b.ns;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.type.name === b.type.name;
  if (a instanceof Optional) {
    if (!(b instanceof Optional)) return false;
    if (a.value === undefined || b.value === undefined) return a.value === b.value;
    return equals(a.value, b.value);
  }
  if (a instanceof Opaque) return b instanceof Opaque && a.type.name === b.type.name && a.equals(b);
  if (a instanceof ListValue) {
    if (!(b instanceof ListValue)) return false;
    if (a.equals !== undefined) return a.equals(b);
    if (a.size !== b.size) return false;
    for (let i = 0; i < a.size; i++) if (!equals(a.at(i), b.at(i))) return false;
    return true;
  }
  if (a instanceof MapValue) {
    if (!(b instanceof MapValue)) return false;
    if (a.equals !== undefined) return a.equals(b);
    if (a.size !== b.size) return false;
    for (const key of a.keys()) {
      const other = b.get(key);
      if (other === undefined || !equals(a.get(key)!, other)) return false;
    }
    return true;
  }
  return false;
}

/** Of two values of one type that has an order. */
export function compare(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (typeof a === "string" && typeof b === "string") return compareStrings(a, b);
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration))
    return a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : 0;
  throw new CelError("no such overload");
}

/** By code points, as UTF-8 sorts; UTF-16 puts surrogates before the last private and compatibility characters. */
function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left === right) continue;
    const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
    return isHigh(left) === isHigh(right) ? left - right : isHigh(left) ? 1 : -1;
  }
  return a.length - b.length;
}

export function valueType(value: Value): Type {
  if (value === null) return NULL;
  switch (typeof value) {
    case "boolean":
      return BOOL;
    case "bigint":
      return INT;
    case "number":
      return DOUBLE;
    case "string":
      return STRING;
  }
  if (value instanceof Uint) return UINT;
  if (value instanceof Uint8Array) return BYTES;
  if (value instanceof Timestamp) return TIMESTAMP;
  if (value instanceof Duration) return DURATION;
  if (value instanceof ListValue) return list(DYN);
  if (value instanceof MapValue) return map(DYN, DYN);
  if (value instanceof TypeValue) return typeOf(DYN);
  if (value instanceof Optional) return optional(DYN);
  return value.type;
}
