/**
 * Requests, limits and the names of resources.
 * Upstream: pkg/apis/core/validation/validation.go (ValidateResourceRequirements), pkg/apis/core/helper
 */
import { compareQuantities, parseQuantity } from "../../../../../machinery/meta/quantity.ts";
import { checkText } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  fieldNotFound,
  invalid,
  notSupported,
  required,
} from "../../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isQualifiedName } from "../../../../../machinery/validation/names.ts";
import type { PodSpec, ResourceRequirements } from "../../../../generated/core.v1.ts";

const CONTAINER: readonly string[] = ["cpu", "memory", "ephemeral-storage"];
const INTEGER: readonly string[] = [
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
];
const STANDARD: readonly string[] = [
  ...CONTAINER,
  "storage",
  "requests.cpu",
  "requests.memory",
  "requests.storage",
  "requests.ephemeral-storage",
  "limits.cpu",
  "limits.memory",
  "limits.ephemeral-storage",
  ...INTEGER,
];

export const isHugePages = (name: string): boolean => name.startsWith("hugepages-");
export const isNativeResource = (name: string): boolean => !name.includes("/") || name.includes("kubernetes.io/");
export const isExtended = (name: string): boolean =>
  !isNativeResource(name) && !name.startsWith("requests.") && isQualifiedName(`requests.${name}`).length === 0;
/** More of it can be promised than there is. */
export const isOvercommitable = (name: string): boolean => isNativeResource(name) && !isHugePages(name);

export function validateResourceName(name: string, path: string): FieldError[] {
  const errors = checkText(name, path, isQualifiedName);
  if (errors.length > 0) return errors;
  if (!name.includes("/") && !STANDARD.includes(name) && !isHugePages(name) && !name.startsWith("requests.hugepages-"))
    return [invalid(path, name, "must be a standard resource type or fully qualified")];
  return [];
}

export function validateContainerResourceName(name: string, path: string): FieldError[] {
  const errors = validateResourceName(name, path);
  if (!name.includes("/")) {
    if (!CONTAINER.includes(name) && !isHugePages(name))
      errors.push(invalid(path, name, "must be a standard resource for containers"));
  } else if (!isNativeResource(name) && !isExtended(name))
    errors.push(invalid(path, name, "doesn't follow extended resource name standard"));
  return errors;
}

function validatePodResourceName(name: string, path: string): FieldError[] {
  const errors = validateResourceName(name, path);
  if (errors.length > 0) return errors;
  if (name === "cpu" || name === "memory" || isHugePages(name)) return [];
  return [notSupported(path, name, ["cpu", "hugepages-", "memory"])];
}

export function validateQuantityValue(name: string, text: string, path: string): FieldError[] {
  const quantity = parseQuantity(text);
  if (quantity === undefined) return [];
  const errors: FieldError[] = [];
  if (quantity.nano < 0n) errors.push(invalid(path, text, "must be greater than or equal to 0"));
  if ((INTEGER.includes(name) || isExtended(name)) && quantity.nano % 1_000_000_000n !== 0n)
    errors.push(invalid(path, text, "must be an integer"));
  return errors;
}

/** Huge pages come whole; of a page whose size makes no sense none can be had. */
export function isIndivisible(name: string, text: string): boolean {
  if (!isHugePages(name)) return false;
  const page = parseQuantity(name.slice("hugepages-".length));
  const amount = parseQuantity(text);
  if (amount === undefined) return false;
  return page === undefined || page.nano <= 0n || amount.nano % page.nano !== 0n;
}

function validateHugePageMultiple(name: string, text: string, path: string): FieldError[] {
  return isIndivisible(name, text) ? [invalid(path, text, `${text} is not positive integer multiple of ${name}`)] : [];
}

export interface ResourceRules {
  readonly level: "container" | "pod";
  readonly claimNames: readonly string[];
  readonly allowOddHugePages: boolean;
}

export function validateResourceRequirements(
  resources: ResourceRequirements | undefined,
  path: string,
  { level, claimNames, allowOddHugePages }: ResourceRules,
): FieldError[] {
  if (resources === undefined) return [];
  const errors: FieldError[] = [];
  const { limits = {}, requests = {}, claims = [] } = resources;
  const nameRule = level === "pod" ? validatePodResourceName : validateContainerResourceName;
  const sorted = (list: object) => Object.keys(list).sort();
  for (const [list, amounts] of [
    ["limits", limits],
    ["requests", requests],
  ] as const) {
    for (const name of sorted(amounts)) {
      const at = `${path}.${list}[${name}]`;
      const text = amounts[name]!;
      errors.push(...nameRule(name, at), ...validateQuantityValue(name, text, at));
      if (list === "requests") errors.push(...validateAgainstLimit(name, text, limits[name], path));
      if (!allowOddHugePages) errors.push(...validateHugePageMultiple(name, text, at));
    }
  }
  const named = [...sorted(limits), ...sorted(requests)];
  if (named.some(isHugePages) && !named.includes("cpu") && !named.includes("memory"))
    errors.push(fieldForbidden(path, "HugePages require cpu or memory"));
  return [...errors, ...validateClaims(claims, `${path}.claims`, claimNames)];
}

function validateAgainstLimit(name: string, request: string, limit: string | undefined, path: string): FieldError[] {
  if (limit === undefined)
    return isOvercommitable(name)
      ? []
      : [required(`${path}.limits`, "Limit must be set for non overcommitable resources")];
  const [asked, most] = [parseQuantity(request), parseQuantity(limit)];
  if (asked === undefined || most === undefined) return [];
  const order = compareQuantities(asked, most);
  if (!isOvercommitable(name))
    return order === 0 ? [] : [invalid(`${path}.requests`, request, `must be equal to ${name} limit of ${limit}`)];
  return order <= 0
    ? []
    : [invalid(`${path}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`)];
}

function validateClaims(
  claims: NonNullable<ResourceRequirements["claims"]>,
  path: string,
  known: readonly string[],
): FieldError[] {
  const errors: FieldError[] = [];
  const whole = new Set<string>();
  const parts = new Set<string>();
  for (const [i, { name, request }] of claims.entries()) {
    const at = `${path}[${i}]`;
    if (!name) {
      errors.push(required(at));
      continue;
    }
    if (whole.has(name)) errors.push(duplicate(at, name));
    else if (!request) {
      if ([...parts].some((part) => part.startsWith(`${name}/`))) errors.push(duplicate(at, name));
      whole.add(name);
    } else {
      errors.push(...checkText(request, `${at}.request`, isDns1123Label));
      if (parts.has(`${name}/${request}`)) errors.push(duplicate(at, `${name}/${request}`));
      parts.add(`${name}/${request}`);
    }
    if (!known.includes(name)) {
      const where =
        known.length === 0
          ? "must be one of the names in pod.spec.resourceClaims which is empty"
          : `must be one of the names in pod.spec.resourceClaims: ${[...known].sort().join(", ")}`;
      const error = fieldNotFound(at, name);
      errors.push({ ...error, message: `${error.message}: ${where}` });
    }
  }
  return errors;
}

/** The claims of a pod, by which its containers call them. */
export const claimNamesOf = ({ resourceClaims = [] }: Pick<PodSpec, "resourceClaims">): readonly string[] =>
  resourceClaims.map(({ name }) => name).filter((name) => name !== "" && name !== undefined);
