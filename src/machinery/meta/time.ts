/** Times as the API writes them: RFC 3339 in UTC, with whole seconds (Time) or six decimals (MicroTime); and Go's durations. */

const LAYOUT = "2006-01-02T15:04:05Z07:00";
const MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00";
/** Six decimals: no more, no less. */
const SIX_DECIMALS = /^.{19}[.,]\d{6}\D/;
/** Right for sure, and written as it should be; the last days of months take the slower way. */
const CANONICAL = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const CANONICAL_MICRO = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;

class TimeError extends Error {
  override readonly name = "TimeError";
}

/** `metadata.creationTimestamp` and most others. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** Leases and events: `2006-01-02T15:04:05.000000Z`. */
export function formatMicroTime(ms: number): string {
  const micros = Math.round((ms - Math.floor(ms)) * 1000);
  return `${new Date(Math.floor(ms)).toISOString().slice(0, 23)}${String(Math.min(micros, 999)).padStart(3, "0")}Z`;
}

/** Milliseconds since the epoch, with a fraction where the text has one. */
export function parseTime(text: string): number {
  const { seconds, nanos } = secondsAndNanos(text);
  return seconds * 1000 + nanos / 1e6;
}

export function secondsAndNanos(text: string, layout = LAYOUT): { readonly seconds: number; readonly nanos: number } {
  // Nearly every one, several an object that is written: digit by digit in a tenth of the time. `Date.UTC` takes the years 0 to 99 for others.
  if (CANONICAL.test(text) && text >= "0100") {
    const [year, month] = [digits(text, 0) * 100 + digits(text, 2), digits(text, 5) - 1];
    const ms = Date.UTC(year, month, digits(text, 8), digits(text, 11), digits(text, 14), digits(text, 17));
    return { seconds: ms / 1000, nanos: 0 };
  }
  const match = RFC3339.exec(text);
  if (match === null) throw new TimeError(whereItFails(text, layout));
  const [, year, month, day, hour, minute, second, fraction = "", zone] = match as unknown as string[];
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  const range = (what: string) => new TimeError(`parsing time ${JSON.stringify(text)}: ${what} out of range`);
  if (month === "00" || Number(month) > 12) throw range("month");
  if (day === "00" || Number(day) > days) throw range("day");
  if (Number(hour) > 23) throw range("hour");
  if (Number(minute) > 59) throw range("minute");
  if (Number(second) > 59) throw range("second");
  const offset =
    zone === "Z" ? 0 : (zone![0] === "-" ? -1 : 1) * (Number(zone!.slice(1, 3)) * 3600 + Number(zone!.slice(4)) * 60);
  // Date.parse, not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  const seconds = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) / 1000 - offset;
  return { seconds, nanos: Number(fraction.slice(0, 9).padEnd(9, "0")) };
}

/** The two that begin there. */
const digits = (text: string, at: number): number => text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - ZEROS;
const ZEROS = 48 * 11;

/** The text that upstream would answer with after reading `text`. */
export function canonicalTime(text: string): string {
  return CANONICAL.test(text) ? text : formatTime(secondsAndNanos(text).seconds * 1000);
}

export function canonicalMicroTime(text: string): string {
  if (CANONICAL_MICRO.test(text)) return text;
  if (!SIX_DECIMALS.test(text)) throw new TimeError(whereItFails(text, MICRO_LAYOUT));
  const { seconds, nanos } = secondsAndNanos(text, MICRO_LAYOUT);
  return microTimeOf(seconds, nanos);
}

export function microTimeOf(seconds: number, nanos: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`;
}

/** Go's words for the first part of the layout that the text doesn't fit. */
function whereItFails(text: string, whole: string): string {
  const parts: readonly (readonly [RegExp, string])[] = [
    [/^\d{4}/, "2006"],
    [/^-/, "-"],
    [/^\d\d/, "01"],
    [/^-/, "-"],
    [/^\d\d/, "02"],
    [/^T/, "T"],
    [/^\d\d/, "15"],
    [/^:/, ":"],
    [/^\d\d/, "04"],
    [/^:/, ":"],
    ...(whole === MICRO_LAYOUT
      ? ([
          [/^\d\d/, "05"],
          [/^[.,]\d{6}/, ".000000"],
        ] as const)
      : ([[/^\d\d(?:[.,]\d+)?/, "05"]] as const)),
    [/^(?:Z|[+-]\d\d:\d\d)/, "Z07:00"],
  ];
  let rest = text;
  for (const [pattern, layout] of parts) {
    const match = pattern.exec(rest);
    if (match === null)
      return `parsing time ${quoted(text)} as ${quoted(whole)}: cannot parse ${quoted(rest)} as ${quoted(layout)}`;
    rest = rest.slice(match[0].length);
  }
  return `parsing time ${JSON.stringify(text)}: extra text: ${JSON.stringify(rest)}`;
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds of a Go duration (`1h30m`, `-1.5s`). */
export function parseDuration(text: string): number {
  const invalid = new TimeError(`time: invalid duration ${JSON.stringify(text)}`);
  const match = /^([+-]?)(.*)$/s.exec(text)!;
  let rest = match[2]!;
  if (rest === "0") return 0;
  if (rest === "") throw invalid;
  let total = 0;
  while (rest !== "") {
    const number = /^(\d*)(?:\.(\d*))?/.exec(rest)!;
    if ((number[1] ?? "") === "" && (number[2] ?? "") === "") throw invalid;
    rest = rest.slice(number[0].length);
    const unit = /^[^\d.]+/.exec(rest)?.[0];
    if (unit === undefined) throw new TimeError(`time: missing unit in duration ${JSON.stringify(text)}`);
    const scale = UNITS[unit];
    if (scale === undefined)
      throw new TimeError(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    rest = rest.slice(unit.length);
    total += Math.trunc(Number(`${number[1] === "" ? "0" : number[1]}.${number[2] ?? "0"}`) * scale);
    // Go counts in 64 bits, one of which is the sign.
    if (total >= 2 ** 63) throw invalid;
  }
  return match[1] === "-" ? -total : total;
}

/** As Go prints a duration: `1h30m0s`, `1.5s`, `100ms`, `0s`. */
export function formatDuration(nanos: number): string {
  if (nanos === 0) return "0s";
  const sign = nanos < 0 ? "-" : "";
  const n = Math.abs(nanos);
  if (n < 1e3) return `${sign}${n}ns`;
  if (n < 1e6) return `${sign}${n / 1e3}µs`;
  if (n < 1e9) return `${sign}${n / 1e6}ms`;
  const hours = Math.floor(n / 3600e9);
  const minutes = Math.floor((n % 3600e9) / 60e9);
  const remainder = n % 60e9;
  const fraction = String(remainder % 1e9)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const seconds = `${Math.floor(remainder / 1e9)}${fraction === "" ? "" : `.${fraction}`}s`;
  return `${sign}${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}`;
}

/** As Go's package of times quotes: what is no plain character byte by byte. */
function quoted(text: string): string {
  let out = "";
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    if (byte >= 0x80 || byte < 0x20) out += `\\x${byte.toString(16).padStart(2, "0")}`;
    else out += character === '"' || character === "\\" ? `\\${character}` : character;
  }
  return `"${out}"`;
}
