/**
 * The string formats that schemas of custom kinds can require. Unknown ones are ignored.
 * Upstream: kube-openapi/pkg/validation/strfmt, staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/validation/formats.go
 */
import { parseGoDuration, parseTimestamp } from "../../cel/libraries/time.ts";
import { parseCidr, parseIp } from "../ip.ts";

type Format = (text: string) => boolean;

const pattern =
  (expression: RegExp): Format =>
  (text) =>
    expression.test(text);

/** By their names without dashes. */
const FORMATS: ReadonlyMap<string, Format> = new Map<string, Format>([
  ["bsonobjectid", pattern(/^[0-9a-fA-F]{24}$/)],
  ["uri", isRequestUri],
  [
    "email",
    pattern(/^\s*(?:"[^"]*"\s*|[^<>@",;:]*)?(?:<[^<>\s@]+@[^<>\s@]+>|[^<>\s@"(),:;[\]\\]+@[^<>\s@"(),:;\\]+)\s*$/),
  ],
  ["hostname", isHostname],
  ["ipv4", (text) => text.includes(".") && parseIp(text) !== undefined],
  ["ipv6", (text) => text.includes(":") && parseIp(text) !== undefined],
  ["cidr", (text) => parseCidr(text) !== undefined],
  ["mac", isMac],
  ["uuid", pattern(/^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i)],
  ["uuid3", pattern(/^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i)],
  ["uuid4", pattern(/^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i)],
  ["uuid5", pattern(/^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i)],
  ["isbn", (text) => isIsbn10(text) || isIsbn13(text)],
  ["isbn10", isIsbn10],
  ["isbn13", isIsbn13],
  ["creditcard", isCreditCard],
  ["ssn", (text) => text.length === 11 && /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text)],
  ["hexcolor", pattern(/^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/)],
  ["rgbcolor", isRgbColor],
  ["byte", pattern(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/)],
  ["password", () => true],
  ["date", isDate],
  ["duration", isDuration],
  ["datetime", isDateTime],
  ["k8sshortname", (text) => text.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text)],
  [
    "k8slongname",
    (text) => text.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(text),
  ],
]);

const INTEGERS: readonly string[] = ["int32", "int64"];
const NUMBERS: readonly string[] = ["float", "double"];

/** The format that is looked at for values of a type; undefined where it says nothing. */
export function knownFormat(type: string, format: string | undefined): string | undefined {
  if (format === undefined || format === "") return undefined;
  switch (type) {
    case "":
    case "string":
      return FORMATS.has(format.replaceAll("-", "")) ? format : undefined;
    case "integer":
      return INTEGERS.includes(format) ? format : undefined;
    case "number":
      return NUMBERS.includes(format) ? format : undefined;
    default:
      return undefined;
  }
}

/** Whether a text is one of the format; what isn't a format of texts is had by all. */
export function hasFormat(format: string, text: string): boolean {
  return FORMATS.get(format.replaceAll("-", ""))?.(text) ?? true;
}

/** An absolute URI, or an absolute path. */
function isRequestUri(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  if (text === "" || /[\u0000-\u001f\u007f]/.test(text)) return false;
  const [, scheme, rest = ""] = /^([a-zA-Z][a-zA-Z0-9+.-]*):([^]*)$/.exec(text) ?? [undefined, undefined, text];
  if (scheme === undefined && (text.startsWith(":") || !rest.startsWith("/"))) return false;
  if (!rest.startsWith("/")) return scheme !== undefined && rest !== "" ? true : scheme !== undefined;
  const [path = ""] = rest.split("?");
  if (/%(?![0-9a-fA-F]{2})/.test(path)) return false;
  if (scheme === undefined || !rest.startsWith("//")) return true;
  const authority = /^\/\/([^/?]*)/.exec(rest)![1]!;
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  if (/[\s"<>\\^`{|}]/.test(host)) return false;
  const port = /:([^:\]]*)$/.exec(host)?.[1];
  return port === undefined || /^\d*$/.test(port);
}

function isHostname(text: string): boolean {
  const whole =
    /^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.))+([a-zA-Z\p{L}]){2,63})$/u;
  if (text.length > 255 || !whole.test(text)) return false;
  return Buffer.byteLength(text) <= 255 && text.split(".").every((part) => Buffer.byteLength(part) <= 63);
}

function isMac(text: string): boolean {
  const sizes = [6, 8, 20];
  for (const [separator, digits] of [
    [":", 2],
    ["-", 2],
    [".", 4],
  ] as const) {
    const parts = text.split(separator);
    if (parts.length < 2) continue;
    return (
      sizes.includes((parts.length * digits) / 2) &&
      parts.every((part) => part.length === digits && /^[0-9a-fA-F]+$/.test(part))
    );
  }
  return false;
}

function isIsbn10(text: string): boolean {
  const digits = text.replaceAll(/[\s-]+/g, "");
  if (!/^(?:[0-9]{9}X|[0-9]{10})$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < 10; i++) sum += (i + 1) * (digits[i] === "X" ? 10 : Number(digits[i]));
  return sum % 11 === 0;
}

function isIsbn13(text: string): boolean {
  const digits = text.replaceAll(/[\s-]+/g, "");
  if (!/^[0-9]{13}$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < 12; i++) sum += (i % 2 === 0 ? 1 : 3) * Number(digits[i]);
  return Number(digits[12]) === (10 - (sum % 10)) % 10;
}

function isCreditCard(text: string): boolean {
  const digits = text.replaceAll(/[^0-9]+/g, "");
  const issued =
    /^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$/;
  if (!issued.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled >= 10 ? (doubled % 10) + 1 : doubled;
  }
  return sum % 10 === 0;
}

function isRgbColor(text: string): boolean {
  const part = "\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*";
  return new RegExp(`^rgb\\(${part},${part},${part}\\)$`).test(text);
}

function isDate(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && parseTimestamp(`${text}T00:00:00Z`) !== undefined;
}

function isDateTime(text: string): boolean {
  const [date = "", time] = text.toLowerCase().split("t");
  if (time === undefined || !isDate(date)) return false;
  const parts = /^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$/.exec(time);
  return parts !== null && parts[1]! <= "23" && parts[2]! <= "59" && parts[3]! <= "59";
}

const UNITS: readonly (readonly string[])[] = [
  ["ns", "nano"],
  ["us", "µs", "micro"],
  ["ms", "milli"],
  ["s", "sec"],
  ["m", "min"],
  ["h", "hr", "hour"],
  ["d", "day"],
  ["w", "wk", "week"],
];

/** Go's durations, and Scala's: `3 days`. */
function isDuration(text: string): boolean {
  if (parseGoDuration(text) !== undefined) return true;
  for (const [, , number, word] of text.matchAll(/((\d+)\s*([A-Za-zµ]+))/g)) {
    if (BigInt(number!) >= 2n ** 63n) return false;
    const unit = word!.toLowerCase();
    if (UNITS.some((names) => names.includes(unit) || unit.startsWith(names.at(-1)!))) return true;
  }
  return false;
}
