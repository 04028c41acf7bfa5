/**
 * The language's own operators, conversions and functions.
 *
 * Upstream: github.com/google/cel-go common/stdlib/standard.go, common/types
 */
import { RE2JS } from "re2js";
import { OPERATORS } from "../ast.ts";
import { fn, global, member, type FunctionDeclaration, type Library, type Overload } from "../environment.ts";
import { STANDARD_MACROS } from "../macros.ts";
import { compare, compareNumbers, equals, valueType } from "../operations.ts";
import {
  A,
  B,
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  formatType,
  INT,
  list,
  map,
  STRING,
  TIMESTAMP,
  typeOf,
  UINT,
  type Type,
} from "../types.ts";
import {
  ArrayList,
  CelError,
  Duration,
  GrowingList,
  ListValue,
  MapValue,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from "../values.ts";
import {
  formatDouble,
  formatDurationSeconds,
  formatTimestamp,
  parseGoDuration,
  parseTimestamp,
  timeFields,
} from "./time.ts";

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;
const UINT_MAX = 2n ** 64n - 1n;
/** Years 1 to 9999. */
const TIME_MIN = -62_135_596_800n * 1_000_000_000n;
const TIME_MAX = 253_402_300_799n * 1_000_000_000n + 999_999_999n;

export function toInt(value: bigint): bigint {
  if (value < INT_MIN || value > INT_MAX) throw new CelError("integer overflow");
  return value;
}
function toUint(value: bigint): Uint {
  if (value < 0n || value > UINT_MAX) throw new CelError("unsigned integer overflow");
  return new Uint(value);
}
function toDuration(ns: bigint): Duration {
  if (ns < INT_MIN || ns > INT_MAX) throw new CelError("integer overflow");
  return new Duration(ns);
}
function toTimestamp(ns: bigint): Timestamp {
  if (ns < TIME_MIN || ns > TIME_MAX) throw new CelError("timestamp overflow");
  return new Timestamp(ns);
}

/** Lists one after the other, without copying either. */
class Joined extends ListValue {
  readonly #left: ListValue;
  readonly #right: ListValue;
  override readonly size: number;
  constructor(left: ListValue, right: ListValue) {
    super();
    this.#left = left;
    this.#right = right;
    this.size = left.size + right.size;
  }
  override at(index: number): Value {
    return index < this.#left.size ? this.#left.at(index) : this.#right.at(index - this.#left.size);
  }
}

function addLists(left: ListValue, right: ListValue): ListValue {
  if (left.add !== undefined) return left.add(right);
  if (left instanceof GrowingList && right.size === 1) return left.push(right.at(0));
  if (left.size === 0) return right;
  if (right.size === 0) return left;
  return left.size + right.size <= 64 ? new ArrayList([...left, ...right]) : new Joined(left, right);
}

const ZERO = "division by zero";
const MODULUS = "modulus by zero";

const arithmetic: readonly FunctionDeclaration[] = [
  fn(
    OPERATORS.add,
    global("add_bytes", [BYTES, BYTES], BYTES, (a: Uint8Array, b: Uint8Array) => Buffer.concat([a, b])),
    global("add_double", [DOUBLE, DOUBLE], DOUBLE, (a: number, b: number) => a + b),
    global("add_duration_duration", [DURATION, DURATION], DURATION, (a: Duration, b: Duration) =>
      toDuration(a.ns + b.ns),
    ),
    global("add_duration_timestamp", [DURATION, TIMESTAMP], TIMESTAMP, (a: Duration, b: Timestamp) =>
      toTimestamp(a.ns + b.ns),
    ),
    global("add_timestamp_duration", [TIMESTAMP, DURATION], TIMESTAMP, (a: Timestamp, b: Duration) =>
      toTimestamp(a.ns + b.ns),
    ),
    global("add_int64", [INT, INT], INT, (a: bigint, b: bigint) => toInt(a + b)),
    global("add_list", [list(A), list(A)], list(A), addLists),
    global("add_string", [STRING, STRING], STRING, (a: string, b: string) => a + b),
    global("add_uint64", [UINT, UINT], UINT, (a: Uint, b: Uint) => toUint(a.value + b.value)),
  ),
  fn(
    OPERATORS.subtract,
    global("subtract_double", [DOUBLE, DOUBLE], DOUBLE, (a: number, b: number) => a - b),
    global("subtract_duration_duration", [DURATION, DURATION], DURATION, (a: Duration, b: Duration) =>
      toDuration(a.ns - b.ns),
    ),
    global("subtract_int64", [INT, INT], INT, (a: bigint, b: bigint) => toInt(a - b)),
    global("subtract_timestamp_duration", [TIMESTAMP, DURATION], TIMESTAMP, (a: Timestamp, b: Duration) =>
      toTimestamp(a.ns - b.ns),
    ),
    global("subtract_timestamp_timestamp", [TIMESTAMP, TIMESTAMP], DURATION, (a: Timestamp, b: Timestamp) =>
      toDuration(a.ns - b.ns),
    ),
    global("subtract_uint64", [UINT, UINT], UINT, (a: Uint, b: Uint) => toUint(a.value - b.value)),
  ),
  fn(
    OPERATORS.multiply,
    global("multiply_double", [DOUBLE, DOUBLE], DOUBLE, (a: number, b: number) => a * b),
    global("multiply_int64", [INT, INT], INT, (a: bigint, b: bigint) => toInt(a * b)),
    global("multiply_uint64", [UINT, UINT], UINT, (a: Uint, b: Uint) => toUint(a.value * b.value)),
  ),
  fn(
    OPERATORS.divide,
    global("divide_double", [DOUBLE, DOUBLE], DOUBLE, (a: number, b: number) => a / b),
    global("divide_int64", [INT, INT], INT, (a: bigint, b: bigint) => {
      if (b === 0n) throw new CelError(ZERO);
      return toInt(a / b);
    }),
    global("divide_uint64", [UINT, UINT], UINT, (a: Uint, b: Uint) => {
      if (b.value === 0n) throw new CelError(ZERO);
      return new Uint(a.value / b.value);
    }),
  ),
  fn(
    OPERATORS.modulo,
    global("modulo_int64", [INT, INT], INT, (a: bigint, b: bigint) => {
      if (b === 0n) throw new CelError(MODULUS);
      if (a === INT_MIN && b === -1n) throw new CelError("integer overflow");
      return a % b;
    }),
    global("modulo_uint64", [UINT, UINT], UINT, (a: Uint, b: Uint) => {
      if (b.value === 0n) throw new CelError(MODULUS);
      return new Uint(a.value % b.value);
    }),
  ),
  fn(
    OPERATORS.negate,
    global("negate_double", [DOUBLE], DOUBLE, (a: number) => -a),
    global("negate_int64", [INT], INT, (a: bigint) => toInt(-a)),
  ),
];

const logic: readonly FunctionDeclaration[] = [
  fn(OPERATORS.and, global("logical_and", [BOOL, BOOL], BOOL)),
  fn(OPERATORS.or, global("logical_or", [BOOL, BOOL], BOOL)),
  fn(
    OPERATORS.not,
    global("logical_not", [BOOL], BOOL, (a: boolean) => !a),
  ),
  fn(OPERATORS.conditional, global("conditional", [BOOL, A, A], A)),
  fn(OPERATORS.notStrictlyFalse, global("not_strictly_false", [BOOL], BOOL)),
  fn(OPERATORS.equals, global("equals", [A, A], BOOL, equals)),
  fn(
    OPERATORS.notEquals,
    global("not_equals", [A, A], BOOL, (a: Value, b: Value) => !equals(a, b)),
  ),
  fn(OPERATORS.index, global("index_list", [list(A), INT], A), global("index_map", [map(A, B), A], B)),
  fn(
    OPERATORS.in,
    global("in_list", [A, list(A)], BOOL, (value: Value, among: ListValue) => {
      for (let i = 0; i < among.size; i++) if (equals(among.at(i), value)) return true;
      return false;
    }),
    global("in_map", [A, map(A, B)], BOOL, (key: Value, among: MapValue) => among.get(key) !== undefined),
  ),
];

const ORDERED: readonly (readonly [string, Type])[] = [
  ["bool", BOOL],
  ["int64", INT],
  ["uint64", UINT],
  ["double", DOUBLE],
  ["string", STRING],
  ["bytes", BYTES],
  ["timestamp", TIMESTAMP],
  ["duration", DURATION],
];
const NUMERIC = ORDERED.slice(1, 4);

function ordering(operator: string, word: string, holds: (order: number) => boolean): FunctionDeclaration {
  const withNaN = (a: Value, b: Value) => {
    if (Number.isNaN(a) || Number.isNaN(b)) return false;
    return holds(compareNumbers(a as bigint, b as bigint));
  };
  const overloads: Overload[] = ORDERED.map(([name, type]) =>
    global(
      `${word}_${name}`,
      [type, type],
      BOOL,
      name === "double" ? withNaN : (a: Value, b: Value) => holds(compare(a, b)),
    ),
  );
  for (const [left, leftType] of NUMERIC)
    for (const [right, rightType] of NUMERIC)
      if (left !== right) overloads.push(global(`${word}_${left}_${right}`, [leftType, rightType], BOOL, withNaN));
  return fn(operator, ...overloads);
}

const order: readonly FunctionDeclaration[] = [
  ordering(OPERATORS.less, "less", (order) => order < 0),
  ordering(OPERATORS.lessEquals, "less_equals", (order) => order <= 0),
  ordering(OPERATORS.greater, "greater", (order) => order > 0),
  ordering(OPERATORS.greaterEquals, "greater_equals", (order) => order >= 0),
];

/** Of a string it is code points. */
export function sizeOf(value: string | Uint8Array | ListValue | MapValue): number {
  if (typeof value === "string") return codePoints(value);
  return value instanceof Uint8Array ? value.length : value.size;
}
function codePoints(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++)
    if ((text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      count--;
      i++;
    }
  return count;
}

const SIZED: readonly (readonly [string, Type])[] = [
  ["bytes", BYTES],
  ["list", list(A)],
  ["map", map(A, B)],
  ["string", STRING],
];
const size = (value: string | Uint8Array | ListValue | MapValue) => BigInt(sizeOf(value));

function conversionError(from: Type, to: string): CelError {
  return new CelError(
    `type conversion error from '${formatType(from) === "null" ? "null_type" : from.name}' to '${to}'`,
  );
}

function wholePart(value: number): bigint {
  return BigInt(Math.trunc(value));
}

function textToInt(text: string): bigint {
  const value = /^[+-]?\d+$/.test(text) ? BigInt(text.replace(/^\+/, "")) : undefined;
  if (value === undefined || value < INT_MIN || value > INT_MAX) throw conversionError(STRING, "int");
  return value;
}
function textToUint(text: string): Uint {
  const value = /^\d+$/.test(text) ? BigInt(text) : undefined;
  if (value === undefined || value > UINT_MAX) throw conversionError(STRING, "uint");
  return new Uint(value);
}
function textToDouble(text: string): number {
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (special !== null) {
    if (/nan/i.test(special[2]!)) return Number.NaN;
    return special[1] === "-" ? -Infinity : Infinity;
  }
  if (!/^[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw conversionError(STRING, "double");
  const value = Number(text);
  if (!Number.isFinite(value)) throw conversionError(STRING, "double");
  return value;
}
function textToBool(text: string): boolean {
  if (["true", "TRUE", "True", "t", "T", "1"].includes(text)) return true;
  if (["false", "FALSE", "False", "f", "F", "0"].includes(text)) return false;
  throw conversionError(STRING, "bool");
}
function bytesToText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  if (Buffer.compare(Buffer.from(text), bytes) !== 0)
    throw new CelError("invalid UTF-8 in bytes, cannot convert to string");
  return text;
}

const same = (value: Value) => value;
const conversions: readonly FunctionDeclaration[] = [
  fn("dyn", global("to_dyn", [A], DYN, same)),
  fn(
    "type",
    global(
      "type",
      [A],
      typeOf(A),
      (value: Value) => new TypeValue(value instanceof TypeValue ? typeOf(DYN) : valueType(value)),
    ),
  ),
  fn(
    "int",
    global("int64_to_int64", [INT], INT, same),
    global("double_to_int64", [DOUBLE], INT, (value: number) => {
      if (!(value > -9223372036854775808 && value < 9223372036854775808)) throw new CelError("integer overflow");
      return wholePart(value);
    }),
    global("duration_to_int64", [DURATION], INT, (value: Duration) => value.ns),
    global("string_to_int64", [STRING], INT, textToInt),
    global("timestamp_to_int64", [TIMESTAMP], INT, (value: Timestamp) => floorDivide(value.ns, 1_000_000_000n)),
    global("uint64_to_int64", [UINT], INT, (value: Uint) => toInt(value.value)),
  ),
  fn(
    "uint",
    global("uint64_to_uint64", [UINT], UINT, same),
    global("double_to_uint64", [DOUBLE], UINT, (value: number) => {
      if (!(value >= 0 && value < 18446744073709551616)) throw new CelError("unsigned integer overflow");
      return new Uint(wholePart(value));
    }),
    global("int64_to_uint64", [INT], UINT, (value: bigint) => toUint(value)),
    global("string_to_uint64", [STRING], UINT, textToUint),
  ),
  fn(
    "double",
    global("double_to_double", [DOUBLE], DOUBLE, same),
    global("int64_to_double", [INT], DOUBLE, Number),
    global("string_to_double", [STRING], DOUBLE, textToDouble),
    global("uint64_to_double", [UINT], DOUBLE, (value: Uint) => Number(value.value)),
  ),
  fn("bool", global("bool_to_bool", [BOOL], BOOL, same), global("string_to_bool", [STRING], BOOL, textToBool)),
  fn(
    "bytes",
    global("bytes_to_bytes", [BYTES], BYTES, same),
    global("string_to_bytes", [STRING], BYTES, (value: string) => Buffer.from(value)),
  ),
  fn(
    "string",
    global("string_to_string", [STRING], STRING, same),
    global("bool_to_string", [BOOL], STRING, String),
    global("bytes_to_string", [BYTES], STRING, bytesToText),
    global("double_to_string", [DOUBLE], STRING, formatDouble),
    global("duration_to_string", [DURATION], STRING, (value: Duration) => formatDurationSeconds(value.ns)),
    global("int64_to_string", [INT], STRING, String),
    global("timestamp_to_string", [TIMESTAMP], STRING, (value: Timestamp) => formatTimestamp(value.ns)),
    global("uint64_to_string", [UINT], STRING, (value: Uint) => String(value.value)),
  ),
  fn(
    "timestamp",
    global("timestamp_to_timestamp", [TIMESTAMP], TIMESTAMP, same),
    global("int64_to_timestamp", [INT], TIMESTAMP, (value: bigint) => toTimestamp(value * 1_000_000_000n)),
    global("string_to_timestamp", [STRING], TIMESTAMP, (value: string) => {
      const ns = parseTimestamp(value);
      if (ns === undefined) throw conversionError(STRING, "google.protobuf.Timestamp");
      return toTimestamp(ns);
    }),
  ),
  fn(
    "duration",
    global("duration_to_duration", [DURATION], DURATION, same),
    global("int64_to_duration", [INT], DURATION, () => {
      throw conversionError(INT, "google.protobuf.Duration");
    }),
    global("string_to_duration", [STRING], DURATION, (value: string) => {
      const ns = parseGoDuration(value);
      if (ns === undefined) throw conversionError(STRING, "google.protobuf.Duration");
      return toDuration(ns);
    }),
  ),
];

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

export function regex(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new CelError(
      `error parsing regexp: ${error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error)}`,
    );
  }
}
const matches = (text: string, pattern: string) => regex(pattern).matcher(text).find();
const withPattern = (literals: readonly (Value | undefined)[]) => {
  const pattern = literals[1];
  if (typeof pattern !== "string") return undefined;
  const compiled = regex(pattern);
  return (text: string) => compiled.matcher(text).find();
};

const texts: readonly FunctionDeclaration[] = [
  fn(
    "size",
    ...SIZED.map(([name, type]) => global(`size_${name}`, [type], INT, size)),
    ...SIZED.map(([name, type]) => member(`${name}_size`, [type], INT, size)),
  ),
  fn(
    "contains",
    member("contains_string", [STRING, STRING], BOOL, (text: string, part: string) => text.includes(part)),
  ),
  fn(
    "startsWith",
    member("starts_with_string", [STRING, STRING], BOOL, (text: string, part: string) => text.startsWith(part)),
  ),
  fn(
    "endsWith",
    member("ends_with_string", [STRING, STRING], BOOL, (text: string, part: string) => text.endsWith(part)),
  ),
  fn(
    "matches",
    { ...global("matches", [STRING, STRING], BOOL, matches), prepare: withPattern },
    { ...member("matches_string", [STRING, STRING], BOOL, matches), prepare: withPattern },
  ),
];

const PARTS: readonly (readonly [name: string, id: string, part: keyof ReturnType<typeof timeFields>])[] = [
  ["getFullYear", "timestamp_to_year", "year"],
  ["getMonth", "timestamp_to_month", "month"],
  ["getDayOfYear", "timestamp_to_day_of_year", "dayOfYear"],
  ["getDayOfMonth", "timestamp_to_day_of_month", "dayOfMonth"],
  ["getDate", "timestamp_to_day_of_month_1_based", "date"],
  ["getDayOfWeek", "timestamp_to_day_of_week", "dayOfWeek"],
  ["getHours", "timestamp_to_hours", "hours"],
  ["getMinutes", "timestamp_to_minutes", "minutes"],
  ["getSeconds", "timestamp_to_seconds_tz", "seconds"],
  ["getMilliseconds", "timestamp_to_milliseconds", "milliseconds"],
];
const OF_DURATION: Readonly<Record<string, readonly [id: string, ns: bigint]>> = {
  getHours: ["duration_to_hours", 3_600_000_000_000n],
  getMinutes: ["duration_to_minutes", 60_000_000_000n],
  getSeconds: ["duration_to_seconds", 1_000_000_000n],
  getMilliseconds: ["duration_to_milliseconds", 1_000_000n],
};
const times: readonly FunctionDeclaration[] = PARTS.map(([name, id, part]) => {
  const overloads = [
    member(id, [TIMESTAMP], INT, ({ ns }: Timestamp) => BigInt(timeFields(ns, "UTC")[part])),
    member(`${id}_with_tz`, [TIMESTAMP, STRING], INT, ({ ns }: Timestamp, zone: string) =>
      BigInt(timeFields(ns, zone)[part]),
    ),
  ];
  const ofDuration = OF_DURATION[name];
  if (ofDuration !== undefined)
    overloads.push(member(ofDuration[0], [DURATION], INT, ({ ns }: Duration) => ns / ofDuration[1]));
  return fn(name, ...overloads);
});

export const standard: Library = {
  macros: STANDARD_MACROS,
  functions: [...arithmetic, ...logic, ...order, ...conversions, ...texts, ...times],
};
