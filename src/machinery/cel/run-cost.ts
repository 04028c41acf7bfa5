/**
 * What calls cost at run time; those that are not listed here cost 1.
 * Upstream: github.com/google/cel-go interpreter/runtimecost.go, staging/src/k8s.io/apiserver/pkg/cel/library/cost.go
 */
import { sizeOf } from "./libraries/standard.ts";
import { IpValue } from "./libraries/network.ts";
import { FormatValue } from "./libraries/values.ts";
import type { CallCost } from "./frame.ts";
import { CelAbort, ListValue, MapValue, Opaque, Optional, type Value } from "./values.ts";

const TRAVERSAL = 0.1;
const REGEX_LENGTH = 0.25;

function size(value: Value): number {
  if (
    typeof value === "string" ||
    value instanceof Uint8Array ||
    value instanceof ListValue ||
    value instanceof MapValue
  )
    return sizeOf(value);
  if (value instanceof Optional && value.value !== undefined) return size(value.value);
  if (value instanceof IpValue) return value.size;
  if (value instanceof Opaque && "size" in value) return value.size as number;
  return 1;
}

const walk = (value: Value, times = 1): number => Math.ceil(size(value) * times * TRAVERSAL);

/** Of everything inside; strings count a tenth of their bytes, rounded down. */
function whole(value: Value): number {
  if (typeof value === "string") return Math.floor(Buffer.byteLength(value) * TRAVERSAL);
  if (value instanceof Uint8Array) return Math.floor(value.length * TRAVERSAL);
  if (value instanceof ListValue) {
    let sum = 0;
    for (const item of value) sum += whole(item);
    return sum;
  }
  if (value instanceof MapValue) {
    let sum = 0;
    for (const key of value.keys()) sum += whole(key) + whole(value.get(key)!);
    return sum;
  }
  return 1;
}

const byRegex = (text: Value, patternLength: number): number =>
  Math.ceil((1 + size(text)) * TRAVERSAL) * Math.ceil(patternLength * REGEX_LENGTH);

type Cost = (args: readonly Value[], result: Value, overload: string) => number;
const first: Cost = ([value]) => walk(value!);
const firstTwice: Cost = ([value]) => walk(value!, 2);
const smaller: Cost = ([a, b]) => Math.ceil(Math.min(size(a!), size(b!)) * TRAVERSAL);
const selector: Cost = ([, text]) => 10 + walk(text!) + Math.ceil(Math.ceil(size(text!) * 0.5) * 50);

const BY_NAME: Readonly<Record<string, Cost>> = {
  check: () => 350_000,
  fieldSelector: selector,
  labelSelector: selector,
  isSorted: ([value]) => whole(value!),
  sum: ([value]) => whole(value!),
  max: ([value]) => whole(value!),
  min: ([value]) => whole(value!),
  indexOf: ([value]) => whole(value!),
  lastIndexOf: ([value]) => whole(value!),
  url: first,
  lowerAscii: first,
  upperAscii: first,
  substring: first,
  trim: first,
  "jsonpatch.escapeKey": first,
  replace: firstTwice,
  split: firstTwice,
  join: (_, result) => walk(result, 2),
  find: ([text, pattern]) => byRegex(text!, size(pattern!)),
  findAll: ([text, pattern]) => byRegex(text!, size(pattern!)),
  ip: ([value], _, overload) => (overload === "cidr_ip" ? 1 : walk(value!)),
  containsIP: ([range, other], _, overload) =>
    walk(range!, 2) + (overload === "cidr_contains_ip_string" ? walk(other!) : 0),
  containsCIDR: ([range, other], _, overload) =>
    walk(range!, 2) + walk(range!) + 1 + (overload === "cidr_contains_cidr_string" ? walk(other!) : 0),
  cidr: first,
  isIP: first,
  isCIDR: first,
  "ip.isCanonical": firstTwice,
  quantity: first,
  isQuantity: first,
  semver: first,
  isSemver: first,
  validate: ([format, text]) => (format instanceof FormatValue ? byRegex(text!, format.format.regexSize) : 1),
};

/** A call that makes a list: one, ten for the list, and what it walked. */
const listCall = (walked: number): number => Math.floor(walked) + 1 + 10;
const resultSize: Cost = (_, result) => listCall(size(result));
/** As if each element was compared with every other. */
const pairwise = (values: Value): number => {
  // Upstream fails so where the list itself has failed.
  if (!(values instanceof ListValue))
    throw new CelAbort("internal error: interface conversion: *types.Err is not traits.Lister: missing method Add");
  const count = values.size;
  if (count === 0) return listCall(0);
  const first = values.at(0);
  const factor = typeof first === "string" || first instanceof Uint8Array ? 2 + TRAVERSAL : 2;
  return listCall(count * count * factor);
};
const sets =
  (factor: number): Cost =>
  ([a, b]) =>
    1 + size(a!) * size(b!) * factor;

const BY_OVERLOAD: Readonly<Record<string, Cost>> = {
  list_slice: resultSize,
  list_flatten: ([list]) => listCall(size(list!)),
  list_flatten_int: ([list, depth]) => listCall(size(list!) * (typeof depth === "bigint" ? Number(depth) : 1)),
  lists_range: resultSize,
  list_reverse: resultSize,
  list_distinct: ([list]) => pairwise(list!),
  ...Object.fromEntries(
    ["int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"].flatMap((type): [string, Cost][] => [
      [`list_${type}_sort`, ([list]) => pairwise(list!)],
      [`list_${type}_sortByAssociatedKeys`, ([, keys]) => pairwise(keys!)],
    ]),
  ),
  list_sets_contains_list: sets(1),
  list_sets_intersects_list: sets(1),
  list_sets_equivalent_list: sets(2),
  starts_with_string: first,
  ends_with_string: first,
  string_to_bytes: first,
  bytes_to_string: first,
  strings_quote: first,
  string_format: first,
  in_list: ([, list]) => size(list!),
  equals: ([a, b]) => (a instanceof Opaque ? 1 : Math.ceil(Math.min(size(a!), size(b!)) * TRAVERSAL)),
  not_equals: smaller,
  less_string: smaller,
  greater_string: smaller,
  less_equals_string: smaller,
  greater_equals_string: smaller,
  less_bytes: smaller,
  greater_bytes: smaller,
  less_equals_bytes: smaller,
  greater_equals_bytes: smaller,
  add_string: ([a, b]) => Math.ceil((size(a!) + size(b!)) * TRAVERSAL),
  add_bytes: ([a, b]) => Math.ceil((size(a!) + size(b!)) * TRAVERSAL),
  matches: ([text, pattern]) => byRegex(text!, size(pattern!)),
  matches_string: ([text, pattern]) => byRegex(text!, size(pattern!)),
  contains_string: ([text, part]) => walk(text!) * walk(part!),
};

export const runCost: CallCost = (name, overload, args, result) =>
  (Object.hasOwn(BY_NAME, name)
    ? BY_NAME[name]
    : Object.hasOwn(BY_OVERLOAD, overload)
      ? BY_OVERLOAD[overload]
      : undefined)?.(args, result, overload);
