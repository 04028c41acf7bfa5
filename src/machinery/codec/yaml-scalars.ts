/** What a plain scalar of YAML 1.1 means, as Go's reader resolves it. Upstream: go.yaml.in/yaml/v2 resolve.go */
import { DecodeError } from "./decode.ts";

export type Scalar = string | number | boolean | null;

const PREFIX = "tag:yaml.org,2002:";
const STRING = `${PREFIX}str`;
const BINARY = `${PREFIX}binary`;

const WORDS: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ...["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"].map((word) => [word, true] as const),
  ...["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"].map((word) => [word, false] as const),
  ...["", "~", "null", "Null", "NULL"].map((word) => [word, null] as const),
  ...[".nan", ".NaN", ".NAN"].map((word) => [word, Number.NaN] as const),
  ...[".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"].map((word) => [word, Number.POSITIVE_INFINITY] as const),
  ...["-.inf", "-.Inf", "-.INF"].map((word) => [word, Number.NEGATIVE_INFINITY] as const),
]);

/** The first characters of what may be anything but a string. */
const TELLING = /^[-+0-9yYnNtTfFoO~.]/;
const INTEGER = /^[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
/** What Go reads as a number that begins with a dot. */
const DOTTED = /^\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)?$/;
const TIMESTAMP =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)| (\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?)?$/;
/** A number in base 60, which nobody reads as one any more. */
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;

function isTimestamp(text: string): boolean {
  if (text.charCodeAt(4) !== 45 /* - */) return false;
  const parts = TIMESTAMP.exec(text);
  if (parts === null) return false;
  const [, year, month, day, hour = parts[7] ?? 0, minute = parts[8] ?? 0, second = parts[9] ?? 0] = parts;
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  return (
    [month, day].every((part) => Number(part) >= 1) &&
    Number(month) <= 12 &&
    Number(day) <= days &&
    Number(hour) < 24 &&
    Number(minute) < 60 &&
    Number(second) < 60
  );
}

/** Whether a text may stand without quotes and is a string still, to readers who know base 60 or to those who don't. */
export function readsAsString(text: string, base60 = true): boolean {
  return typeof resolvePlain(text) === "string" && !isTimestamp(text) && !(base60 && BASE_60.test(text));
}

/** A plain scalar without a tag. */
function resolvePlain(text: string): Scalar {
  if (text === "") return null;
  const first = text.charCodeAt(0);
  // Most letters and signs begin strings: that is told without looking further.
  if (!TELLING.test(text)) return text;
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  if (first === 46 /* . */) return DOTTED.test(text) ? Number(text.replaceAll("_", "")) : text;
  if (first > 57 /* 9 */) return text;
  if (isTimestamp(text)) return text;
  const plain = text.includes("_") ? text.replaceAll("_", "") : text;
  if (INTEGER.test(plain)) {
    const whole = integer(plain);
    if (whole !== undefined) return whole;
  }
  if (FLOAT.test(plain)) {
    const value = Number(plain);
    return Number.isFinite(value) ? value : text;
  }
  return text;
}

/** Undefined where 64 bits don't hold it. */
function integer(text: string): number | undefined {
  const negative = text.startsWith("-");
  const digits = text.replace(/^[-+]/, "");
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits.toLowerCase());
  if (value > (negative ? 1n << 63n : (1n << 64n) - 1n)) return undefined;
  return Number(negative ? -value : value);
}

/** A scalar that is quoted, a block, or says by a tag what it is. */
export function resolve(tag: string, text: string, plain: boolean): Scalar {
  if (tag === "") return plain ? resolvePlain(text) : text;
  if (tag === BINARY) return binary(text);
  const wanted = ["str", "bool", "int", "float", "null", "timestamp"].find((name) => tag === PREFIX + name);
  if (wanted === undefined || tag === STRING) return text;
  const value = resolvePlain(text);
  const found = kindOf(value, text);
  if (found === wanted || (wanted === "float" && found === "int")) return value;
  throw new DecodeError(`yaml: cannot decode !!${found} \`${text}\` as a !!${wanted}`);
}

function kindOf(value: Scalar, text: string): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return isTimestamp(text) ? "timestamp" : "str";
  return INTEGER.test(text.replaceAll("_", "")) ? "int" : "float";
}

function binary(text: string): string {
  const joined = text.replace(/[\r\n]/g, "");
  if (joined.length % 4 > 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(joined))
    throw new DecodeError("yaml: !!binary value contains invalid base64 data");
  return Buffer.from(joined, "base64").toString();
}
