/**
 * Values that may be absent, and loops over two variables.
 *
 * Upstream: github.com/google/cel-go cel/library.go (optional types), ext/comprehensions.go
 */
import { OPERATORS } from "../ast.ts";
import { fn, global, member, type Library } from "../environment.ts";
import { OPTIONAL_MACROS, TWO_VARIABLE_MACROS } from "../macros.ts";
import { A, B, BOOL, DYN, INT, list, map, optional } from "../types.ts";
import {
  ArrayList,
  CelError,
  Duration,
  GrowingMap,
  ListValue,
  MapValue,
  Optional,
  Timestamp,
  Uint,
  type Value,
} from "../values.ts";

function isZero(value: Value): boolean {
  if (value === null || value === false || value === "" || value === 0n || value === 0) return true;
  if (value instanceof Uint) return value.value === 0n;
  if (value instanceof Uint8Array) return value.length === 0;
  if (value instanceof ListValue || value instanceof MapValue) return value.size === 0;
  if (value instanceof Duration || value instanceof Timestamp) return value.ns === 0n;
  return value instanceof Optional && value.value === undefined;
}

function valueOf({ value }: Optional): Value {
  if (value === undefined) throw new CelError("optional.none() dereference");
  return value;
}

function unwrap(values: ListValue): ListValue {
  const kept: Value[] = [];
  for (const value of values) {
    if (!(value instanceof Optional)) throw new CelError(`value ${String(value)} is not optional`);
    if (value.value !== undefined) kept.push(value.value);
  }
  return new ArrayList(kept);
}

const edge = (pick: (values: ListValue) => number) => (values: ListValue) =>
  values.size === 0 ? Optional.none : new Optional(values.at(pick(values)));

export const optionals: Library = {
  macros: OPTIONAL_MACROS,
  types: [optional(DYN)],
  functions: [
    fn(
      "optional.of",
      global("optional_of", [A], optional(A), (value: Value) => new Optional(value)),
    ),
    fn(
      "optional.ofNonZeroValue",
      global("optional_ofNonZeroValue", [A], optional(A), (value: Value) =>
        isZero(value) ? Optional.none : new Optional(value),
      ),
    ),
    fn(
      "optional.none",
      global("optional_none", [], optional(A), () => Optional.none),
    ),
    fn(
      "hasValue",
      member("optional_hasValue", [optional(A)], BOOL, ({ value }: Optional) => value !== undefined),
    ),
    fn("value", member("optional_value", [optional(A)], A, valueOf)),
    // The interpreter evaluates their arguments only when it needs them.
    fn("or", member("optional_or_optional", [optional(A), optional(A)], optional(A))),
    fn("orValue", member("optional_orValue_value", [optional(A), A], A)),
    fn(OPERATORS.optSelect, global("select_optional_field", [DYN, DYN], optional(A))),
    fn(
      OPERATORS.optIndex,
      global("list_optindex_optional_int", [list(A), INT], optional(A)),
      global("optional_list_optindex_optional_int", [optional(list(A)), INT], optional(A)),
      global("map_optindex_optional_value", [map(A, B), A], optional(B)),
      global("optional_map_optindex_optional_value", [optional(map(A, B)), A], optional(B)),
    ),
    fn(
      OPERATORS.index,
      global("optional_list_index_int", [optional(list(A)), INT], optional(A)),
      global("optional_map_index_value", [optional(map(A, B)), A], optional(B)),
    ),
    fn(
      "first",
      member(
        "list_first",
        [list(A)],
        optional(A),
        edge(() => 0),
      ),
    ),
    fn(
      "last",
      member(
        "list_last",
        [list(A)],
        optional(A),
        edge(({ size }) => size - 1),
      ),
    ),
    fn("optional.unwrap", global("optional_unwrap", [list(optional(A))], list(A), unwrap)),
    fn("unwrapOpt", member("optional_unwrapOpt", [list(optional(A))], list(A), unwrap)),
  ],
};

function insert(into: MapValue, key: Value, value: Value): MapValue {
  if (into.get(key) !== undefined)
    throw new CelError(`insert failed: key ${key instanceof Uint ? key.value : String(key)} already exists`);
  let map = into instanceof GrowingMap ? into : GrowingMap.empty();
  if (map !== into) for (const one of into.keys()) map = map.with(one, into.get(one)!);
  return map.with(key, value);
}

export const twoVariableComprehensions: Library = {
  macros: TWO_VARIABLE_MACROS,
  functions: [
    fn(
      "cel.@mapInsert",
      global("@mapInsert_map_key_value", [map(A, B), A, B], map(A, B), insert),
      global("@mapInsert_map_map", [map(A, B), map(A, B)], map(A, B), (into: MapValue, from: MapValue) => {
        let result = into;
        for (const key of from.keys()) result = insert(result, key, from.get(key)!);
        return result;
      }),
    ),
  ],
};
