/** Small checks that many kinds make: each returns the errors of one value at one path. */
import {
  byPointer,
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  notSupportedText,
  required,
  tooLong,
} from "./field-error.ts";
import {
  isDns1123Label,
  isDns1123Subdomain,
  isLabelValue,
  isPercent,
  isPortName,
  isPortNumber,
  isQualifiedName,
} from "./names.ts";
import { validateLabels } from "./object-meta.ts";
import type { LabelSelector } from "../meta/types.ts";

/** One error for each message about a text. */
export function checkText(
  value: string,
  path: string,
  rule: (value: string) => readonly string[],
  shown: unknown = value,
): FieldError[] {
  return rule(value).map((message) => invalid(path, shown, message));
}

/** A text that must be there, and must obey its rule. */
export function checkRequiredText(
  value: string | undefined,
  path: string,
  rule: (value: string) => readonly string[] = () => [],
  detail = "",
): FieldError[] {
  if (value === undefined || value === "") return [required(path, detail)];
  return checkText(value, path, rule);
}

export function checkNonNegative(value: number | undefined, path: string): FieldError[] {
  return (value ?? 0) < 0 ? [invalid(path, value, "must be greater than or equal to 0")] : [];
}

/** One of a few words; the empty one is missing, unless it is allowed. */
export function checkWord(value: string | undefined, path: string, words: readonly string[]): FieldError[] {
  if (value === undefined || value === "") return [required(path)];
  return words.includes(value) ? [] : [notSupported(path, value, words)];
}

/** The same of a value whose type in Go is plainly a text. */
export function checkPlainWord(value: string | undefined, path: string, words: readonly string[]): FieldError[] {
  if (value === undefined || value === "") return [required(path)];
  return words.includes(value) ? [] : [notSupportedText(path, value, words)];
}

/** As `checkWord`, where absence is fine. */
export function checkOptionalWord(value: string | undefined, path: string, words: readonly string[]): FieldError[] {
  return value === undefined || words.includes(value) ? [] : [notSupported(path, value, words)];
}

export function validateLabelSelector(
  selector: LabelSelector | undefined,
  path: string,
  { allowInvalidValues = false }: { readonly allowInvalidValues?: boolean } = {},
): FieldError[] {
  if (selector === undefined) return [];
  const errors = validateLabels(selector.matchLabels, `${path}.matchLabels`);
  for (const [i, requirement] of (selector.matchExpressions ?? []).entries())
    errors.push(...validateRequirement(requirement, `${path}.matchExpressions[${i}]`, { allowInvalidValues }));
  return errors;
}

type Requirement = NonNullable<LabelSelector["matchExpressions"]>[number];

/** One requirement on labels. */
export function validateRequirement(
  { key, operator, values = [] }: Partial<Requirement>,
  path: string,
  {
    allowInvalidValues = false,
    allowUnknownOperator = false,
  }: { readonly allowInvalidValues?: boolean; readonly allowUnknownOperator?: boolean } = {},
): FieldError[] {
  const errors = checkCount(operator, values, path);
  if (!allowUnknownOperator && !OPERATORS.includes(operator ?? ""))
    errors.push(invalid(`${path}.operator`, byPointer(operator ?? ""), "not a valid selector operator"));
  errors.push(...checkText(key ?? "", `${path}.key`, isQualifiedName));
  if (!allowInvalidValues)
    for (const [j, value] of values.entries()) errors.push(...checkText(value, `${path}.values[${j}]`, isLabelValue));
  return errors;
}

/** One requirement on fields; which operators there are is for whoever evaluates it. */
export function validateFieldRequirement(
  { key, operator, values = [] }: Partial<Requirement>,
  path: string,
): FieldError[] {
  return [
    ...((key ?? "") === "" ? [required(`${path}.key`, "must be specified")] : []),
    ...checkCount(operator, values, path),
  ];
}

const OPERATORS: readonly string[] = ["In", "NotIn", "Exists", "DoesNotExist"];

/** Some operators need values, others forbid them. */
function checkCount(operator: string | undefined, values: readonly string[], path: string): FieldError[] {
  const listed = operator === "In" || operator === "NotIn";
  const bare = operator === "Exists" || operator === "DoesNotExist";
  if (listed && values.length === 0)
    return [required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
  if (bare && values.length > 0)
    return [fieldForbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")];
  return [];
}

/** A count or a percentage. */
export function checkIntOrPercent(value: number | string | undefined, path: string): FieldError[] {
  if (value === undefined) return [];
  return typeof value === "number" ? checkNonNegative(value, path) : checkText(value, path, isPercent);
}

/** More than all makes no sense. */
export function checkAtMostAll(value: number | string | undefined, path: string): FieldError[] {
  const percent = typeof value === "string" && /^[0-9]+%$/.test(value) ? Number(value.slice(0, -1)) : 0;
  return percent > 100 ? [invalid(path, value, "must not be greater than 100%")] : [];
}

/** A port by number, or by a name that a container gives it. */
export function checkPortOrName(port: number | string | undefined, path: string): FieldError[] {
  if (typeof port === "string") return checkText(port, path, isPortName);
  return isPortNumber(port ?? 0).map((message) => invalid(path, port ?? 0, message));
}

export function checkPortNumber(port: number | undefined, path: string): FieldError[] {
  return isPortNumber(port ?? 0).map((message) => invalid(path, port ?? 0, message));
}

const HTTP_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const HTTP_PATH_REGEXP = new RegExp(`^${HTTP_PATH}$`);

/** `acme.io/foo`: each part is shown where it is the part that is wrong. */
export function checkDomainPrefixedPath(value: string, path: string): FieldError[] {
  if (value === "") return [required(path)];
  const slash = value.indexOf("/");
  const [host, rest] = [value.slice(0, Math.max(slash, 0)), value.slice(slash + 1)];
  if (slash < 0 || host === "" || rest === "")
    return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  const errors = checkText(host, path, isDns1123Subdomain);
  if (!HTTP_PATH_REGEXP.test(rest))
    errors.push(invalid(path, rest, `Invalid path (regex used for validation is '${HTTP_PATH}')`));
  return errors;
}

const MAX_SIGNER_DOMAIN = 253;
const MAX_SIGNER_NAME = 571;

/** `kubernetes.io/kube-apiserver-client`: who signs certificates. The part that is wrong is shown. */
export function checkSignerName(value: string, path: string): FieldError[] {
  if (value === "") return [required(path)];
  const parts = value.split("/");
  if (parts.length !== 2)
    return [invalid(path, value, "must be a fully qualified domain and path of the form 'example.com/signer-name'")];
  const [domain, name] = parts as [string, string];
  const errors: FieldError[] = [];
  const check = (part: string, rule: (label: string) => readonly string[]) => {
    for (const label of part.split(".")) {
      const problems = rule(label);
      for (const message of problems) errors.push(invalid(path, part, `validating label "${label}": ${message}`));
      if (problems.length > 0) return;
    }
  };
  if (Buffer.byteLength(domain) > MAX_SIGNER_DOMAIN) errors.push(tooLong(path, MAX_SIGNER_DOMAIN));
  check(domain, isDns1123Label);
  if (domain.split(".").length < 2)
    errors.push(invalid(path, domain, "should be a domain with at least two segments separated by dots"));
  check(name, isDns1123Subdomain);
  if (Buffer.byteLength(value) > MAX_SIGNER_NAME) errors.push(tooLong(path, MAX_SIGNER_NAME));
  return errors;
}

const MAX_DRIVER_NAME = 63;

/** The name of a CSI driver: a domain, which need not be in lower case. */
export function checkCsiDriverName(name: string, path: string): FieldError[] {
  if (name === "") return [required(path)];
  return [
    ...(Buffer.byteLength(name) > MAX_DRIVER_NAME ? [tooLong(path, MAX_DRIVER_NAME)] : []),
    ...checkText(name.toLowerCase(), path, isDns1123Subdomain, name),
  ];
}
