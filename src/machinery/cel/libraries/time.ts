/**
 * Parses and formats times and numbers as Go does, to the nanosecond.
 * Upstream: Go's time and strconv packages, github.com/google/cel-go common/types/timestamp.go
 */
import { CelError } from "../values.ts";

const SECOND = 1_000_000_000n;
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: SECOND,
  m: 60n * SECOND,
  h: 3600n * SECOND,
};

/** Nanoseconds of `1h2m3.5s`; undefined for what isn't one. */
export function parseGoDuration(text: string): bigint | undefined {
  const signed = /^([+-]?)(.*)$/s.exec(text)!;
  const rest = signed[2]!;
  if (rest === "0") return 0n;
  if (rest === "") return undefined;
  let total = 0n;
  let at = 0;
  const part = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/y;
  while (at < rest.length) {
    part.lastIndex = at;
    const found = part.exec(rest);
    if (found === null || (found[1] === "" && (found[2] ?? "") === "")) return undefined;
    const unit = UNITS[found[3]!]!;
    total += BigInt(found[1] || "0") * unit;
    const fraction = found[2] ?? "";
    if (fraction !== "") total += (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
    at = part.lastIndex;
  }
  if (total > 2n ** 63n) return undefined;
  return signed[1] === "-" ? -total : total;
}

/** Nanoseconds since 1970 of an RFC 3339 text; undefined for what isn't one. */
export function parseTimestamp(text: string): bigint | undefined {
  const found = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/.exec(text);
  if (found === null) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const daysOfMonth = [
    31,
    year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28,
    31,
    30,
    31,
    30,
    31,
    31,
    30,
    31,
    30,
    31,
  ];
  if (month < 1 || month > 12 || day < 1 || day > daysOfMonth[month - 1]! || hour > 23 || minute > 59 || second > 59)
    return undefined;
  const utc = new Date(0);
  utc.setUTCFullYear(year, month - 1, day);
  utc.setUTCHours(hour, minute, second);
  const offset =
    found[8] === undefined ? 0 : (Number(found[9]) * 60 + Number(found[10])) * (found[8] === "-" ? -60 : 60);
  return (
    (BigInt(utc.getTime()) / 1000n - BigInt(offset)) * SECOND + BigInt((found[7] ?? "").padEnd(9, "0").slice(0, 9))
  );
}

function split(ns: bigint): { readonly seconds: bigint; readonly nanos: bigint } {
  const nanos = ((ns % SECOND) + SECOND) % SECOND;
  return { seconds: (ns - nanos) / SECOND, nanos };
}

/** In UTC, with as many digits of the second as it needs. */
export function formatTimestamp(ns: bigint): string {
  const { seconds, nanos } = split(ns);
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = nanos === 0n ? "" : `.${nanos.toString().padStart(9, "0").replace(/0+$/, "")}`;
  return `${text}${fraction}Z`;
}

/** Seconds with a fraction: `90.5s`. */
export function formatDurationSeconds(ns: bigint): string {
  return `${formatFixed(Number(ns / SECOND) + Number(ns % SECOND) / 1e9)}s`;
}

/** As Go's `%g` with the fewest digits: an exponent below 1e-4 and from 1e6 on. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa, exponent] = value.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (power < -4 || power >= 6)
    return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  return formatFixed(value);
}

/** All digits and no exponent. */
function formatFixed(value: number): string {
  const text = String(value);
  const found = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (found === null) return text;
  const [, sign, whole, fraction = "", exponent] = found as unknown as [
    string,
    string,
    string,
    string | undefined,
    string,
  ];
  const power = Number(exponent);
  if (power < 0) return `${sign}0.${"0".repeat(-power - 1)}${whole}${fraction}`;
  return `${sign}${whole}${fraction.padEnd(power, "0")}`;
}

export interface TimeFields {
  readonly year: number;
  /** From 0, as day of year, day of month and day of week (Sunday) are; `date` is from 1. */
  readonly month: number;
  readonly dayOfYear: number;
  readonly dayOfMonth: number;
  readonly date: number;
  readonly dayOfWeek: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
  readonly milliseconds: number;
}

/** Of an instant in a time zone: a name of the zone database, or `+hh:mm`. */
export function timeFields(ns: bigint, zone: string): TimeFields {
  const { seconds, nanos } = split(ns);
  const local = new Date((Number(seconds) + zoneOffset(Number(seconds), zone)) * 1000);
  const year = local.getUTCFullYear();
  const startOfYear = new Date(0);
  startOfYear.setUTCFullYear(year, 0, 1);
  return {
    year,
    month: local.getUTCMonth(),
    dayOfYear: Math.floor((local.getTime() - startOfYear.getTime()) / 86_400_000),
    dayOfMonth: local.getUTCDate() - 1,
    date: local.getUTCDate(),
    dayOfWeek: local.getUTCDay(),
    hours: local.getUTCHours(),
    minutes: local.getUTCMinutes(),
    seconds: local.getUTCSeconds(),
    milliseconds: Number(nanos / 1_000_000n),
  };
}

/** Seconds east of UTC at that instant. */
function zoneOffset(seconds: number, zone: string): number {
  if (zone === "UTC" || zone === "") return 0;
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (fixed !== null) return (Number(fixed[2]) * 60 + Number(fixed[3])) * (fixed[1] === "-" ? -60 : 60);
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
  } catch {
    throw new CelError(`unknown time zone ${zone}`);
  }
  const name = format.formatToParts(new Date(seconds * 1000)).find(({ type }) => type === "timeZoneName")!.value;
  const found = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name);
  if (found?.[1] === undefined) return 0;
  const offset = Number(found[2]) * 3600 + Number(found[3]) * 60 + Number(found[4] ?? 0);
  return found[1] === "-" ? -offset : offset;
}
