/**
 * Quantities, versions, named formats and regular expressions.
 *
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/library/{quantity,semverlib,format,regex,jsonpatch}.go
 */
import {
  addQuantities,
  compareQuantities,
  parseQuantity,
  quantityOf,
  subtractQuantities,
  type Quantity,
} from "../../meta/quantity.ts";
import {
  isDns1035Label,
  isDns1123Label,
  isDns1123Subdomain,
  isLabelValue,
  isQualifiedName,
  maskTrailingDash,
} from "../../validation/names.ts";
import type { RE2JS } from "re2js";
import { fn, global, member, type Library, type Overload } from "../environment.ts";
import { BOOL, DOUBLE, INT, list, optional, STRING, struct } from "../types.ts";
import { CelError, JsonList, Opaque, Optional, type Value } from "../values.ts";
import { regex } from "./standard.ts";
import { parseTimestamp } from "./time.ts";

export const QUANTITY = struct("kubernetes.Quantity");
const SEMVER = struct("kubernetes.Semver");
export const FORMAT = struct("kubernetes.NamedFormat");

const NANO = 1_000_000_000n;

class QuantityValue extends Opaque {
  override readonly type = QUANTITY;
  readonly quantity: Quantity;
  constructor(quantity: Quantity) {
    super();
    this.quantity = quantity;
  }
  override equals(other: Opaque): boolean {
    return other instanceof QuantityValue && compareQuantities(this.quantity, other.quantity) === 0;
  }
}

function toQuantity(text: string): QuantityValue {
  const quantity = parseQuantity(text);
  if (quantity === undefined)
    throw new CelError(
      /^[+-]?\d*\.?\d*[eEinumkKMGTP]+[-+]?\d*$/.test(text)
        ? "unable to parse quantity's suffix"
        : "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
  return new QuantityValue(quantity);
}

const isInteger = ({ quantity: { nano } }: QuantityValue): boolean =>
  nano % NANO === 0n && nano / NANO < 2n ** 63n && nano / NANO >= -(2n ** 63n);

/** By the scale the quantity is kept at, as upstream multiplies: a float shows it. */
function toFloat(nano: bigint): number {
  if (nano % NANO === 0n) return Number(nano / NANO);
  for (const [parts, scale] of [
    [1_000_000n, 1e-3],
    [1_000n, 1e-6],
  ] as const)
    if (nano % parts === 0n) return Number(nano / parts) * scale;
  return Number(nano) * 1e-9;
}

const quantities: Library = {
  types: [QUANTITY],
  functions: [
    fn("quantity", global("string_to_quantity", [STRING], QUANTITY, toQuantity)),
    fn(
      "isQuantity",
      global("is_quantity_string", [STRING], BOOL, (text: string) => parseQuantity(text) !== undefined),
    ),
    fn(
      "sign",
      global("quantity_sign", [QUANTITY], INT, ({ quantity }: QuantityValue) =>
        quantity.nano > 0n ? 1n : quantity.nano < 0n ? -1n : 0n,
      ),
    ),
    fn(
      "isGreaterThan",
      member(
        "quantity_is_greater_than",
        [QUANTITY, QUANTITY],
        BOOL,
        (a: QuantityValue, b: QuantityValue) => a.quantity.nano > b.quantity.nano,
      ),
    ),
    fn(
      "isLessThan",
      member(
        "quantity_is_less_than",
        [QUANTITY, QUANTITY],
        BOOL,
        (a: QuantityValue, b: QuantityValue) => a.quantity.nano < b.quantity.nano,
      ),
    ),
    fn(
      "compareTo",
      member("quantity_compare_to", [QUANTITY, QUANTITY], INT, (a: QuantityValue, b: QuantityValue) =>
        BigInt(Math.sign(compareQuantities(a.quantity, b.quantity))),
      ),
    ),
    fn(
      "asApproximateFloat",
      member("quantity_get_float", [QUANTITY], DOUBLE, ({ quantity: { nano } }: QuantityValue) => toFloat(nano)),
    ),
    fn(
      "asInteger",
      member("quantity_get_int", [QUANTITY], INT, (value: QuantityValue) => {
        if (!isInteger(value)) throw new CelError("cannot convert value to integer");
        return value.quantity.nano / NANO;
      }),
    ),
    fn("isInteger", member("quantity_is_integer", [QUANTITY], BOOL, isInteger)),
    fn(
      "add",
      member(
        "quantity_add",
        [QUANTITY, QUANTITY],
        QUANTITY,
        (a: QuantityValue, b: QuantityValue) => new QuantityValue(addQuantities(a.quantity, b.quantity)),
      ),
      member(
        "quantity_add_int",
        [QUANTITY, INT],
        QUANTITY,
        (a: QuantityValue, b: bigint) => new QuantityValue(addQuantities(a.quantity, quantityOf(b))),
      ),
    ),
    fn(
      "sub",
      member(
        "quantity_sub",
        [QUANTITY, QUANTITY],
        QUANTITY,
        (a: QuantityValue, b: QuantityValue) => new QuantityValue(subtractQuantities(a.quantity, b.quantity)),
      ),
      member(
        "quantity_sub_int",
        [QUANTITY, INT],
        QUANTITY,
        (a: QuantityValue, b: bigint) => new QuantityValue(subtractQuantities(a.quantity, quantityOf(b))),
      ),
    ),
  ],
};

class SemverValue extends Opaque {
  override readonly type = SEMVER;
  readonly numbers: readonly [bigint, bigint, bigint];
  readonly prerelease: readonly string[];
  constructor(numbers: readonly [bigint, bigint, bigint], prerelease: readonly string[]) {
    super();
    this.numbers = numbers;
    this.prerelease = prerelease;
  }
  override equals(other: Opaque): boolean {
    return other instanceof SemverValue && compareVersions(this, other) === 0;
  }
}

function compareVersions(a: SemverValue, b: SemverValue): number {
  for (let i = 0; i < 3; i++) if (a.numbers[i] !== b.numbers[i]) return a.numbers[i]! < b.numbers[i]! ? -1 : 1;
  const [left, right] = [a.prerelease, b.prerelease];
  if (left.length === 0 || right.length === 0) return left.length === right.length ? 0 : left.length === 0 ? 1 : -1;
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [one, other] = [left[i]!, right[i]!];
    if (one === other) continue;
    const [isNumber, otherIsNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
    if (isNumber && otherIsNumber) return BigInt(one) < BigInt(other) ? -1 : 1;
    if (isNumber !== otherIsNumber) return isNumber ? -1 : 1;
    return one < other ? -1 : 1;
  }
  return Math.sign(left.length - right.length);
}

/** The version, or why it isn't one. */
function parseVersion(text: string): SemverValue | string {
  if (text === "") return "Version string empty";
  const parts = text.split(".");
  if (parts.length < 3) return "No Major.Minor.Patch elements found";
  const [major, minor] = parts as [string, string];
  const rest = parts.slice(2).join(".");
  for (const [name, part] of [
    ["major", major],
    ["minor", minor],
  ] as const) {
    if (!/^\d+$/.test(part)) return `Invalid character(s) found in ${name} number ${JSON.stringify(part)}`;
    if (part.length > 1 && part.startsWith("0"))
      return `${name === "major" ? "Major" : "Minor"} number must not contain leading zeroes ${JSON.stringify(part)}`;
  }
  const found = /^([^+-]*)(?:-([^+]*))?(?:\+(.*))?$/s.exec(rest)!;
  const patch = found[1]!;
  if (!/^\d+$/.test(patch)) return `Invalid character(s) found in patch number ${JSON.stringify(patch)}`;
  if (patch.length > 1 && patch.startsWith("0"))
    return `Patch number must not contain leading zeroes ${JSON.stringify(patch)}`;
  const prerelease = found[2] === undefined ? [] : found[2].split(".");
  for (const part of prerelease) {
    if (part === "") return "Prerelease is empty";
    if (/^\d+$/.test(part)) {
      if (part.length > 1 && part.startsWith("0"))
        return `Numeric PreRelease version must not contain leading zeroes ${JSON.stringify(part)}`;
    } else if (!/^[0-9A-Za-z-]+$/.test(part)) return `Invalid character(s) found in prerelease ${JSON.stringify(part)}`;
  }
  for (const part of found[3]?.split(".") ?? []) {
    if (part === "") return "Build meta data is empty";
    if (!/^[0-9A-Za-z-]+$/.test(part)) return `Invalid character(s) found in build meta data ${JSON.stringify(part)}`;
  }
  return new SemverValue([BigInt(major), BigInt(minor), BigInt(patch)], prerelease);
}

/** `v1.2` as `1.2.0`. */
function parseTolerant(text: string): SemverValue | string {
  const parts = text.replace(/^v/, "").split(".");
  const three = parts.length > 3 ? [parts[0]!, parts[1]!, parts.slice(2).join(".")] : parts;
  const trimmed = three.map((part) => {
    if (part.length < 2) return part;
    const rest = part.replace(/^0+/, "");
    return /^\d/.test(rest) ? rest : `0${rest}`;
  });
  if (trimmed.length < 3) {
    if (/[+-]/.test(trimmed.at(-1)!)) return "short version cannot contain PreRelease/Build meta data";
    while (trimmed.length < 3) trimmed.push("0");
  }
  return parseVersion(trimmed.join("."));
}

const version = (text: string, normalize = false): Value => {
  const parsed = normalize ? parseTolerant(text) : parseVersion(text);
  if (typeof parsed === "string") throw new CelError(parsed);
  return parsed;
};
const isVersion = (text: string, normalize = false) =>
  typeof (normalize ? parseTolerant(text) : parseVersion(text)) !== "string";

const versions: Library = {
  types: [SEMVER],
  functions: [
    fn(
      "semver",
      global("string_to_semver", [STRING], SEMVER, version),
      global("string_bool_to_semver", [STRING, BOOL], SEMVER, version),
    ),
    fn(
      "isSemver",
      global("is_semver_string", [STRING], BOOL, isVersion),
      global("is_semver_string_bool", [STRING, BOOL], BOOL, isVersion),
    ),
    fn(
      "isGreaterThan",
      member(
        "semver_is_greater_than",
        [SEMVER, SEMVER],
        BOOL,
        (a: SemverValue, b: SemverValue) => compareVersions(a, b) > 0,
      ),
    ),
    fn(
      "isLessThan",
      member(
        "semver_is_less_than",
        [SEMVER, SEMVER],
        BOOL,
        (a: SemverValue, b: SemverValue) => compareVersions(a, b) < 0,
      ),
    ),
    fn(
      "compareTo",
      member("semver_compare_to", [SEMVER, SEMVER], INT, (a: SemverValue, b: SemverValue) =>
        BigInt(compareVersions(a, b)),
      ),
    ),
    ...(["major", "minor", "patch"] as const).map((name, i) =>
      fn(
        name,
        member(`semver_${name}`, [SEMVER], INT, ({ numbers }: SemverValue) => numbers[i]!),
      ),
    ),
  ],
};

interface Format {
  readonly name: string;
  /** What a check counts as, as if it were a regular expression of this length. */
  readonly regexSize: number;
  check(text: string): readonly string[];
}

export class FormatValue extends Opaque {
  override readonly type = FORMAT;
  readonly format: Format;
  constructor(format: Format) {
    super();
    this.format = format;
  }
  override equals(other: Opaque): boolean {
    return other instanceof FormatValue && other.format.name === this.format.name;
  }
}

const masked = (check: (text: string) => readonly string[]) => (text: string) => check(maskTrailingDash(text));
const matching = (pattern: RegExp, why: string) => (text: string) => (pattern.test(text) ? [] : [why]);

function uriProblem(text: string): readonly string[] {
  const why = (words: string) => [`parse ${JSON.stringify(text)}: ${words}`];
  if (text === "") return why("empty url");
  if (text.startsWith(":")) return why("missing protocol scheme");
  const scheme = /^[a-zA-Z][a-zA-Z0-9+.-]*:/.exec(text)?.[0] ?? "";
  if (!text.slice(scheme.length).startsWith("/")) return why("invalid URI for request");
  const escape = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(text);
  return escape === null ? [] : why(`invalid URL escape ${JSON.stringify(escape[0])}`);
}

const FORMATS: Readonly<Record<string, Format>> = {
  dns1123Label: { name: "DNS1123Label", regexSize: 30, check: isDns1123Label },
  dns1123Subdomain: { name: "DNS1123Subdomain", regexSize: 60, check: isDns1123Subdomain },
  dns1035Label: { name: "DNS1035Label", regexSize: 30, check: isDns1035Label },
  qualifiedName: { name: "QualifiedName", regexSize: 60, check: isQualifiedName },
  dns1123LabelPrefix: { name: "DNS1123LabelPrefix", regexSize: 30, check: masked(isDns1123Label) },
  dns1123SubdomainPrefix: { name: "DNS1123SubdomainPrefix", regexSize: 60, check: masked(isDns1123Subdomain) },
  dns1035LabelPrefix: { name: "DNS1035LabelPrefix", regexSize: 30, check: masked(isDns1035Label) },
  labelValue: { name: "LabelValue", regexSize: 40, check: isLabelValue },
  uri: { name: "URI", regexSize: 1103, check: uriProblem },
  uuid: {
    name: "uuid",
    regexSize: 70,
    check: matching(
      /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
      "does not match the UUID format",
    ),
  },
  byte: {
    name: "byte",
    regexSize: 84,
    check: matching(
      /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/,
      "invalid base64",
    ),
  },
  date: {
    name: "date",
    regexSize: 71,
    check: (text) =>
      /^\d{4}-\d\d-\d\d$/.test(text) && parseTimestamp(`${text}T00:00:00Z`) !== undefined ? [] : ["invalid date"],
  },
  datetime: {
    name: "datetime",
    regexSize: 71,
    check: (text) => (parseTimestamp(text) === undefined ? ["invalid datetime"] : []),
  },
};

const formats: Library = {
  types: [FORMAT],
  functions: [
    ...Object.entries(FORMATS).map(([name, format]) => {
      const value = new FormatValue(format);
      return fn(
        `format.${name}`,
        global(`format.${name}`, [], FORMAT, () => value),
      );
    }),
    fn(
      "format.named",
      global("format-named", [STRING], optional(FORMAT), (name: string) =>
        Object.hasOwn(FORMATS, name) ? new Optional(new FormatValue(FORMATS[name]!)) : Optional.none,
      ),
    ),
    fn(
      "validate",
      member("format-validate", [FORMAT, STRING], optional(list(STRING)), ({ format }: FormatValue, text: string) => {
        const problems = format.check(text);
        return problems.length === 0 ? Optional.none : new Optional(new JsonList(problems));
      }),
    ),
  ],
};

function pattern(text: string): RE2JS {
  try {
    return regex(text);
  } catch (error) {
    throw new CelError(`Illegal regex: ${(error as Error).message}`);
  }
}
function find(text: string, compiled: RE2JS): string {
  const matcher = compiled.matcher(text);
  return matcher.find() ? (matcher.group() ?? "") : "";
}
function findAll(text: string, compiled: RE2JS, limit = -1n): Value {
  const matcher = compiled.matcher(text);
  const found: string[] = [];
  while ((limit < 0n || found.length < limit) && matcher.find()) found.push(matcher.group() ?? "");
  return new JsonList(found);
}

/** A pattern that is a literal is compiled once. */
function searching(overload: Overload, search: (text: string, compiled: RE2JS, limit?: bigint) => Value): Overload {
  return {
    ...overload,
    run: (text: string, source: string, limit?: bigint) => search(text, pattern(source), limit),
    prepare: ([, source]) => {
      if (typeof source !== "string") return undefined;
      // Upstream's words here lack those that say what went wrong.
      const compiled = regex(source);
      return (text: string, _: string, limit?: bigint) => search(text, compiled, limit);
    },
  };
}

const expressions: Library = {
  functions: [
    fn("find", searching(member("string_find_string", [STRING, STRING], STRING), find)),
    fn(
      "findAll",
      searching(member("string_find_all_string", [STRING, STRING], list(STRING)), findAll),
      searching(member("string_find_all_string_int", [STRING, STRING, INT], list(STRING)), findAll),
    ),
  ],
};

/** Of mutating policies alone. */
export const jsonPatchFunctions: Library = {
  functions: [
    fn(
      "jsonpatch.escapeKey",
      global("string_jsonpatch_escapeKey_string", [STRING], STRING, (key: string) =>
        key.replaceAll("~", "~0").replaceAll("/", "~1"),
      ),
    ),
  ],
};

export { expressions, formats, quantities, versions };
