/**
 * What calls cost when they run, beside 1 for those not named here.
 *
 * Upstream: github.com/google/cel-go interpreter/runtimecost.go, staging/src/k8s.io/apiserver/pkg/cel/library/cost.go
 */
import { sizeOf } from "./libraries/standard.ts";
import { IpValue } from "./libraries/network.ts";
import { FormatValue } from "./libraries/values.ts";
import type { CallCost } from "./program.ts";
import { ListValue, MapValue, Opaque, Optional, type Value } from "./values.ts";

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

type Cost = (args: readonly Value[], result: Value) => number;
const first: Cost = ([value]) => walk(value!);
const firstTwice: Cost = ([value]) => walk(value!, 2);
const smaller: Cost = ([a, b]) => Math.ceil(Math.min(size(a!), size(b!)) * TRAVERSAL);
const selector: Cost = ([, text]) => 10 + walk(text!) + Math.ceil(Math.ceil(size(text!) * 0.5) * 50);
const rangeBytes = (range: Value, times: number): number => Math.ceil(size(range) * times * TRAVERSAL);

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

const BY_OVERLOAD: Readonly<Record<string, Cost>> = {
  string_to_ip: first,
  cidr_contains_ip_ip: ([range]) => rangeBytes(range!, 2),
  cidr_contains_ip_string: ([range, text]) => rangeBytes(range!, 2) + walk(text!),
  cidr_contains_cidr: ([range]) => rangeBytes(range!, 2) + rangeBytes(range!, 1) + 1,
  cidr_contains_cidr_string: ([range, text]) => rangeBytes(range!, 2) + rangeBytes(range!, 1) + 1 + walk(text!),
  starts_with_string: first,
  ends_with_string: first,
  string_to_bytes: first,
  bytes_to_string: first,
  strings_quote: first,
  string_format: first,
  in_list: ([, list]) => size(list!),
  equals: ([a, b]) => (a instanceof Opaque ? 1 : smaller([a!, b!], null)),
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
      : undefined)?.(args, result);
