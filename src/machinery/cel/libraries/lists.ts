/**
 * Functions of lists: those of Kubernetes (`sum`, `min`, …), those of cel-go's extension (`sort`, `slice`, …), and sets.
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/library/lists.go, github.com/google/cel-go ext/lists.go (version 3), ext/sets.go
 */
import { fn, global, member, type Library, type Overload } from "../environment.ts";
import { SORT_BY } from "../macros.ts";
import { compare, equals, valueType } from "../operations.ts";
import { A, BOOL, BYTES, DOUBLE, DURATION, DYN, INT, list, STRING, TIMESTAMP, UINT, type Type } from "../types.ts";
import { ArrayList, CelError, Duration, ListValue, Uint, type Value } from "../values.ts";
import { toInt } from "./standard.ts";

const SUMMABLE: readonly (readonly [string, Type, Value])[] = [
  ["int", INT, 0n],
  ["uint", UINT, new Uint(0n)],
  ["double", DOUBLE, 0],
  ["duration", DURATION, new Duration(0n)],
];
const COMPARABLE: readonly (readonly [string, Type])[] = [
  ["int", INT],
  ["uint", UINT],
  ["double", DOUBLE],
  ["bool", BOOL],
  ["duration", DURATION],
  ["timestamp", TIMESTAMP],
  ["string", STRING],
  ["bytes", BYTES],
];

function add(a: Value, b: Value): Value {
  if (typeof a === "bigint" && typeof b === "bigint") return toInt(a + b);
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a instanceof Uint && b instanceof Uint) return new Uint(a.value + b.value);
  if (a instanceof Duration && b instanceof Duration) return new Duration(a.ns + b.ns);
  throw new CelError("no such overload");
}

/** Values that have no order count as equal here. */
function loosely(a: Value, b: Value): number {
  try {
    return compare(a, b);
  } catch (error) {
    if (error instanceof CelError) return 0;
    throw error;
  }
}

function isSorted(values: ListValue): boolean {
  for (let i = 1; i < values.size; i++) if (loosely(values.at(i - 1), values.at(i)) > 0) return false;
  return true;
}

const extreme =
  (name: string, sign: number) =>
  (values: ListValue): Value => {
    if (values.size === 0) throw new CelError(`${name} called on empty list`);
    let best = values.at(0);
    for (let i = 1; i < values.size; i++) if (sign * loosely(values.at(i), best) > 0) best = values.at(i);
    return best;
  };

function indexOf(values: ListValue, value: Value): bigint {
  for (let i = 0; i < values.size; i++) if (equals(values.at(i), value)) return BigInt(i);
  return -1n;
}
function lastIndexOf(values: ListValue, value: Value): bigint {
  for (let i = values.size - 1; i >= 0; i--) if (equals(values.at(i), value)) return BigInt(i);
  return -1n;
}

const each = (name: string, make: (id: string, type: Type) => Overload): readonly Overload[] =>
  COMPARABLE.map(([type, elements]) => make(`list_${type}_${name}`, elements));

/** Of Kubernetes. */
export const lists: Library = {
  functions: [
    fn("isSorted", ...each("is_sorted_bool", (id, type) => member(id, [list(type)], BOOL, isSorted))),
    fn(
      "sum",
      ...SUMMABLE.map(([name, type, zero]) =>
        member(`list_${name}_sum_${name}`, [list(type)], type, (values: ListValue) => [...values].reduce(add, zero)),
      ),
    ),
    fn(
      "max",
      ...COMPARABLE.map(([name, type]) => member(`list_${name}_max_${name}`, [list(type)], type, extreme("max", 1))),
    ),
    fn(
      "min",
      ...COMPARABLE.map(([name, type]) => member(`list_${name}_min_${name}`, [list(type)], type, extreme("min", -1))),
    ),
    fn("indexOf", member("list_a_index_of_int", [list(A), A], INT, indexOf)),
    fn("lastIndexOf", member("list_a_last_index_of_int", [list(A), A], INT, lastIndexOf)),
  ],
};

function slice(values: ListValue, from: bigint, to: bigint): ListValue {
  if (from < 0n || to < 0n) throw new CelError(`cannot slice(${from}, ${to}), negative indexes not supported`);
  if (from > to)
    throw new CelError(`cannot slice(${from}, ${to}), start index must be less than or equal to end index`);
  if (to > values.size) throw new CelError(`cannot slice(${from}, ${to}), list is length ${values.size}`);
  return new ArrayList([...values].slice(Number(from), Number(to)));
}

function flatten(values: ListValue, depth: bigint): Value[] {
  if (depth < 0n) throw new CelError("level must be non-negative");
  const flat: Value[] = [];
  for (const value of values) {
    if (value instanceof ListValue && depth > 0n) flat.push(...flatten(value, depth - 1n));
    else flat.push(value);
  }
  return flat;
}

function sortBy(values: ListValue, keys: ListValue): ListValue {
  if (values.size !== keys.size)
    throw new CelError(
      `@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got ${values.size} and ${keys.size} elements respectively`,
    );
  if (values.size === 0) return values;
  const type = valueType(keys.at(0)).name;
  const order = [...keys].map((key, i) => ({ key, i }));
  if (!COMPARABLE.some(([, { name }]) => name === type)) throw new CelError("list elements must be comparable");
  if (order.some(({ key }) => valueType(key).name !== type))
    throw new CelError("list elements must have the same type");
  order.sort((a, b) => compare(a.key, b.key) || a.i - b.i);
  return new ArrayList(order.map(({ i }) => values.at(i)));
}

function distinct(values: ListValue): ListValue {
  const kept: Value[] = [];
  for (const value of values) if (!kept.some((one) => equals(one, value))) kept.push(value);
  return new ArrayList(kept);
}

/** The language's extension. */
export const listsExtension: Library = {
  macros: [SORT_BY],
  functions: [
    fn("slice", member("list_slice", [list(A), INT, INT], list(A), slice)),
    fn(
      "flatten",
      member("list_flatten", [list(list(A))], list(A), (values: ListValue) => new ArrayList(flatten(values, 1n))),
      member(
        "list_flatten_int",
        [list(DYN), INT],
        list(DYN),
        (values: ListValue, depth: bigint) => new ArrayList(flatten(values, depth)),
      ),
    ),
    fn(
      "sort",
      ...COMPARABLE.map(([name, type]) =>
        member(`list_${name}_sort`, [list(type)], list(type), (values: ListValue) => sortBy(values, values)),
      ),
    ),
    fn(
      "@sortByAssociatedKeys",
      ...COMPARABLE.map(([name, type]) =>
        member(`list_${name}_sortByAssociatedKeys`, [list(A), list(type)], list(A), sortBy),
      ),
    ),
    fn("distinct", member("list_distinct", [list(A)], list(A), distinct)),
    fn(
      "reverse",
      member("list_reverse", [list(A)], list(A), (values: ListValue) => new ArrayList([...values].reverse())),
    ),
    fn(
      "lists.range",
      global("lists_range", [INT], list(INT), (count: bigint) => {
        if (count > 1_000_000n) throw new CelError("operation cancelled: actual cost limit exceeded");
        return new ArrayList(Array.from({ length: Math.max(0, Number(count)) }, (_, i) => BigInt(i)));
      }),
    ),
  ],
};

const contains = (values: ListValue, part: ListValue): boolean =>
  [...part].every((value) => [...values].some((one) => equals(one, value)));

export const sets: Library = {
  functions: [
    fn("sets.contains", global("list_sets_contains_list", [list(A), list(A)], BOOL, contains)),
    fn(
      "sets.equivalent",
      global(
        "list_sets_equivalent_list",
        [list(A), list(A)],
        BOOL,
        (a: ListValue, b: ListValue) => contains(a, b) && contains(b, a),
      ),
    ),
    fn(
      "sets.intersects",
      global("list_sets_intersects_list", [list(A), list(A)], BOOL, (a: ListValue, b: ListValue) =>
        [...a].some((value) => [...b].some((one) => equals(one, value))),
      ),
    ),
  ],
};
