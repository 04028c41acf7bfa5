/**
 * `'%s has %d'.format([name, count])`.
 *
 * Upstream: github.com/google/cel-go ext/formatting.go
 */
import { valueType } from "../operations.ts";
import { CelError, Duration, ListValue, MapValue, Timestamp, TypeValue, Uint, type Value } from "../values.ts";
import { formatDouble, formatDurationSeconds, formatTimestamp } from "./time.ts";

export function formatText(format: string, args: ListValue): string {
  return walkFormat(format, args.size, (verb, index, precision) => formatOne(verb, args.at(index), precision)).text;
}

const VERBS = "sdfebxXo";

/** Reads the format; `write` gets each clause with the index of its argument. */
export function walkFormat(
  format: string,
  count: number,
  write: (verb: string, index: number, precision: number | undefined) => string,
): { readonly text: string; readonly used: number } {
  let text = "";
  let used = 0;
  for (let i = 0; i < format.length; i++) {
    if (format[i] !== "%") {
      text += format[i]!;
      continue;
    }
    i++;
    if (format[i] === "%") {
      text += "%";
      continue;
    }
    if (used >= count) throw new CelError(`index ${used} out of range`);
    if (i === format.length) throw new CelError("unexpected end of string");
    let precision: number | undefined;
    if (format[i] === ".") {
      const digits = /^\d*/.exec(format.slice(i + 1))![0];
      const failed = (why: string) =>
        new CelError(`could not parse formatting clause: error while parsing precision: ${why}`);
      if (i + 1 + digits.length >= format.length) throw failed("could not find end of precision specifier");
      if (digits === "")
        throw failed('error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax');
      precision = Number(digits);
      i += 1 + digits.length;
    }
    const verb = format[i]!;
    if (!VERBS.includes(verb))
      throw new CelError(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
    text += write(verb, used++, precision);
  }
  return { text, used };
}

function formatOne(verb: string, value: Value, precision: number | undefined): string {
  switch (verb) {
    case "s":
      return asText(value);
    case "d":
      if (typeof value === "bigint") return String(value);
      if (value instanceof Uint) return String(value.value);
      throw wrongType("decimal clause can only be used on integers", value);
    case "f":
      return floating(
        value,
        (number) => number.toFixed(precision ?? 6),
        "fixed-point clause can only be used on doubles",
      );
    case "e":
      return floating(
        value,
        (number) => number.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, "e$10$2"),
        "scientific clause can only be used on doubles",
      );
    case "b":
      if (typeof value === "boolean") return value ? "1" : "0";
      if (typeof value === "bigint") return value.toString(2);
      if (value instanceof Uint) return value.value.toString(2);
      throw wrongType("only integers and bools can be formatted as binary", value);
    case "x":
    case "X": {
      const hex = asHex(value);
      return verb === "x" ? hex : hex.toUpperCase();
    }
    case "o":
      if (typeof value === "bigint") return value.toString(8);
      if (value instanceof Uint) return value.value.toString(8);
      throw wrongType("octal clause can only be used on integers", value);
    default:
      throw new CelError(`unknown clause ${verb}`);
  }
}

function wrongType(words: string, value: Value): CelError {
  return new CelError(`error during formatting: ${words}, was given ${valueType(value).name}`);
}

function formatSpecial(value: number): string | undefined {
  if (Number.isNaN(value)) return "NaN";
  if (Number.isFinite(value)) return undefined;
  return value > 0 ? "Infinity" : "-Infinity";
}

function floating(value: Value, format: (value: number) => string, words: string): string {
  const number =
    typeof value === "number"
      ? value
      : typeof value === "bigint"
        ? Number(value)
        : value instanceof Uint
          ? Number(value.value)
          : undefined;
  if (number === undefined) throw wrongType(words, value);
  return formatSpecial(number) ?? format(number);
}

function asHex(value: Value): string {
  if (typeof value === "bigint") return value.toString(16);
  if (value instanceof Uint) return value.value.toString(16);
  if (typeof value === "string") return Buffer.from(value).toString("hex");
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  throw wrongType("only integers, byte buffers, and strings can be formatted as hex", value);
}

/** What `%s` makes of a value; lists and maps as they would be written, maps in the order of their keys. */
function asText(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "string") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number") return formatDouble(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value instanceof Timestamp) return formatTimestamp(value.ns);
  if (value instanceof Duration) return formatDurationSeconds(value.ns);
  if (value instanceof TypeValue) return value.type.name;
  if (value instanceof ListValue) return `[${[...value].map(literalText).join(", ")}]`;
  if (value instanceof MapValue) {
    const entries = [...value.keys()].map((key) => [literalText(key), literalText(value.get(key)!)] as const);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, text]) => `${key}:${text}`).join(", ")}}`;
  }
  throw wrongType(
    "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
    value,
  );
}

/** Inside a list or a map: as an expression would write it. */
function literalText(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return `b${JSON.stringify(Buffer.from(value).toString())}`;
  if (typeof value === "number") {
    const special = formatSpecial(value);
    return special === undefined ? value.toFixed(6) : JSON.stringify(special);
  }
  if (value instanceof Timestamp) return `timestamp(${JSON.stringify(formatTimestamp(value.ns))})`;
  if (value instanceof Duration) return `duration(${JSON.stringify(formatDurationSeconds(value.ns))})`;
  if (value instanceof TypeValue) return `type(${value.type.name})`;
  return asText(value);
}
