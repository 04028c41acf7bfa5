/**
 * Claims for devices and their templates, in the shape of v1. Selectors are CEL: the API server compiles them.
 * Upstream: pkg/apis/resource/validation/validation.go
 */
import type { Condition, ObjectMeta } from "../../machinery/meta/types.ts";
import type { HookContext } from "../../machinery/resource.ts";
import { validateConditions } from "../../machinery/validation/conditions.ts";
import { checkRequiredText, checkText, checkWord } from "../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
  internalError,
} from "../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain, isLabelValue, isQualifiedName } from "../../machinery/validation/names.ts";
import { validateTemplateMeta } from "../core/v1/pod/validation/template-meta.ts";
import { isExtended } from "../core/v1/pod/validation/resources.ts";
import { internalValue } from "../internal-value.ts";
import type {
  DeviceRequest,
  ResourceClaim,
  ResourceClaimSpec,
  ResourceClaimTemplate,
} from "../generated/resource.v1.ts";
import { selectorProblem } from "../../machinery/cel/devices.ts";
import { semanticEqual } from "../semantic-equal.ts";

export const MAX_REQUESTS = 32;
const MAX_ALTERNATIVES = 8;

export function validateClaim({ metadata, spec }: ResourceClaim, context: HookContext): FieldError[] {
  return [...validateAdminAccess(metadata, spec, context), ...validateClaimSpec(spec, "spec", context)];
}

export function validateNewTemplate(template: ResourceClaimTemplate, context: HookContext): FieldError[] {
  return [
    ...validateAdminAccess(template.metadata, template.spec?.spec, context),
    ...validateTemplate(template, context),
  ];
}

const ADMIN_LABEL = "resource.kubernetes.io/admin-access";

/** Only namespaces of administrators have claims that look into devices of others; the first that asks is told. */
function validateAdminAccess(
  { namespace = "" }: ObjectMeta,
  spec: ResourceClaim["spec"] | undefined,
  context: HookContext,
): FieldError[] {
  const asking = (spec?.devices?.requests ?? []).findIndex(({ exactly }) => exactly?.adminAccess === true);
  return asking < 0 ? [] : checkAdminNamespace(namespace, `spec.devices.requests[${asking}].adminAccess`, context);
}

export function checkAdminNamespace(namespace: string, path: string, { namespaceLabels }: HookContext): FieldError[] {
  const labels = namespaceLabels?.(namespace);
  if (labels === undefined)
    return [
      internalError(
        path,
        `could not retrieve namespace to verify admin access: namespaces ${JSON.stringify(namespace)} not found`,
      ),
    ];
  if (labels[ADMIN_LABEL] === "true") return [];
  return [
    fieldForbidden(
      path,
      `admin access to devices requires the \`${ADMIN_LABEL}: true\` label on the containing namespace`,
    ),
  ];
}

export function validateClaimUpdate(claim: ResourceClaim, old: ResourceClaim): FieldError[] {
  return semanticEqual(claim.spec, old.spec)
    ? []
    : [invalid("spec", internalValue(claim.spec, "io.k8s.api.resource.v1.ResourceClaimSpec"), "field is immutable")];
}

function validateTemplate({ spec }: ResourceClaimTemplate, context: HookContext): FieldError[] {
  return [
    ...validateTemplateMeta(spec?.metadata, "spec.metadata"),
    ...validateClaimSpec(spec?.spec, "spec.spec", context),
  ];
}

export function validateTemplateUpdate(
  template: ResourceClaimTemplate,
  old: ResourceClaimTemplate,
  context: HookContext,
): FieldError[] {
  const errors = validateTemplate(template, context);
  return semanticEqual(template.spec, old.spec)
    ? errors
    : [
        ...errors,
        invalid(
          "spec",
          internalValue(template.spec, "io.k8s.api.resource.v1.ResourceClaimTemplateSpec"),
          "field is immutable",
        ),
      ];
}

/** The rules of each item, then which of them are there twice. */
export function validateSet<T>(
  items: readonly T[],
  max: number,
  path: string,
  keyOf: (item: T) => string,
  rule: (item: T, path: string) => FieldError[],
): FieldError[] {
  if (items.length > max) return [tooMany(path, items.length, max)];
  const errors = items.flatMap((item, i) => rule(item, `${path}[${i}]`));
  const seen = new Set<string>();
  for (const [i, item] of items.entries()) {
    const key = keyOf(item);
    if (seen.has(key)) errors.push(duplicate(`${path}[${i}]`, key));
    seen.add(key);
  }
  return errors;
}

function validateClaimSpec(
  spec: ResourceClaimSpec | undefined,
  path: string,
  { featureGates }: HookContext,
): FieldError[] {
  const { requests = [], constraints = [], config = [] } = spec?.devices ?? {};
  const at = `${path}.devices`;
  const names = namesOf(requests);
  const checkReferences = (list: readonly string[] | undefined, where: string) =>
    validateSet(
      list ?? [],
      MAX_REQUESTS,
      where,
      (name) => name,
      (name, one) => validateReference(name, one, names),
    );
  const errors = validateSet(requests, MAX_REQUESTS, `${at}.requests`, ({ name }) => name, validateRequest);
  if (constraints.length > MAX_REQUESTS) errors.push(tooMany(`${at}.constraints`, constraints.length, MAX_REQUESTS));
  else
    for (const [i, constraint] of constraints.entries()) {
      const one = `${at}.constraints[${i}]`;
      errors.push(...checkReferences(constraint.requests, `${one}.requests`));
      const { matchAttribute, distinctAttribute } = constraint;
      if (matchAttribute !== undefined) errors.push(...validateFullName(matchAttribute, `${one}.matchAttribute`));
      else if (distinctAttribute !== undefined)
        errors.push(...validateFullName(distinctAttribute, `${one}.distinctAttribute`));
      else if (featureGates.get("DRAConsumableCapacity") === false) errors.push(required(`${one}.matchAttribute`));
      else
        errors.push(
          required(
            one,
            'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
          ),
        );
    }
  if (config.length > MAX_REQUESTS) return [...errors, tooMany(`${at}.config`, config.length, MAX_REQUESTS)];
  for (const [i, one] of config.entries())
    errors.push(
      ...checkReferences(one.requests, `${at}.config[${i}].requests`),
      ...validateConfiguration(one, `${at}.config[${i}]`),
    );
  return errors;
}

/** How requests may be spoken of: by name, and those with alternatives by `name/alternative` too. */
export function namesOf(requests: readonly DeviceRequest[]): ReadonlySet<string> {
  return new Set(
    requests.flatMap(({ name, firstAvailable = [] }) => [name, ...firstAvailable.map((sub) => `${name}/${sub.name}`)]),
  );
}

export function validateReference(name: string, path: string, names: ReadonlySet<string>): FieldError[] {
  const wrong = invalid(
    path,
    name,
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
  );
  const parts = name.split("/");
  if (parts.length > 2) return [wrong];
  const errors = parts.flatMap((part) => checkText(part, path, isDns1123Label));
  return names.has(name) ? errors : [...errors, wrong];
}

interface Configuration {
  readonly opaque?: { readonly driver?: string; readonly parameters?: unknown };
}

export function validateConfiguration({ opaque }: Configuration, path: string): FieldError[] {
  if (opaque === undefined) return [required(`${path}.opaque`)];
  return [
    ...validateDriverName(opaque.driver ?? "", `${path}.opaque.driver`),
    ...validateRaw(opaque.parameters, `${path}.opaque.parameters`),
  ];
}

/** What only a driver understands: an object, and not a large one. */
export function validateRaw(value: unknown, path: string): FieldError[] {
  if (value === undefined || value === null) return [required(path)];
  if (Buffer.byteLength(JSON.stringify(value)) > MAX_RAW) return [tooLong(path, MAX_RAW)];
  return typeof value !== "object" || Array.isArray(value)
    ? [invalid(path, "<value omitted>", "must be a valid JSON object")]
    : [];
}

const MAX_RAW = 10 * 1024;
const MAX_SELECTORS = 32;
const MAX_EXPRESSION = 10 * 1024;
const MAX_NAME = 32;
const C_IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
const C_WORDS =
  "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";

function validateIdentifier(name: string, path: string): FieldError[] {
  return [
    ...(Buffer.byteLength(name) > MAX_NAME ? [tooLong(path, MAX_NAME)] : []),
    ...(C_IDENTIFIER.test(name) ? [] : [invalid(path, name, C_WORDS)]),
  ];
}

/** `memory`, or `example.com/memory` for somebody's own. */
export function validateDeviceQualifiedName(name: string, path: string): FieldError[] {
  const parts = name.split("/");
  if (parts.length === 1) return validateIdentifier(name, path);
  if (parts.length > 2) return [];
  const [domain, own] = parts as [string, string];
  return [
    ...(domain === "" ? [invalid(path, "", "the domain must not be empty")] : validateDriverName(domain, path)),
    ...(own === "" ? [invalid(path, "", "the name must not be empty")] : validateIdentifier(own, path)),
  ];
}

function validateFullName(name: string, path: string): FieldError[] {
  const errors = validateDeviceQualifiedName(name, path);
  if (!name.includes("/"))
    errors.push(invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash"));
  return errors;
}

interface Selector {
  readonly cel?: { readonly expression?: string };
}

/** `isStored`: they were there before as they are. */
function validateSelectors(
  selectors: readonly Selector[] | undefined,
  path: string,
  { isStored = false }: { readonly isStored?: boolean } = {},
): FieldError[] {
  const list = selectors ?? [];
  if (list.length > MAX_SELECTORS) return [tooMany(path, list.length, MAX_SELECTORS)];
  return list.flatMap(({ cel }, i) =>
    cel === undefined
      ? [required(`${path}[${i}].cel`)]
      : validateExpression(cel.expression ?? "", `${path}[${i}].cel.expression`, isStored),
  );
}

function validateExpression(expression: string, path: string, isStored: boolean): FieldError[] {
  if (Buffer.byteLength(expression) > MAX_EXPRESSION) return [tooLong(path, MAX_EXPRESSION)];
  const problem = selectorProblem(expression, isStored ? "stored" : "new");
  switch (problem?.kind) {
    case undefined:
      return [];
    case "invalid":
      return [invalid(path, expression, problem!.message)];
    case "internal":
      return [internalError(path, problem!.message)];
    default:
      return [fieldForbidden(path, problem!.message)];
  }
}

interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

function validateToleration({ key, operator, value = "", effect }: Toleration, path: string): FieldError[] {
  const errors = key ? checkText(key, `${path}.key`, isQualifiedName) : [];
  if (operator === "Exists") {
    if (value !== "") errors.push(invalid(`${path}.value`, value, "must be empty for operator `Exists`"));
  } else if (operator === "Equal") errors.push(...checkText(value, `${path}.value`, isLabelValue));
  else errors.push(...checkWord(operator, `${path}.operator`, ["Equal", "Exists"]));
  return effect ? [...errors, ...checkWord(effect, `${path}.effect`, EFFECTS)] : errors;
}

function validateRequest(request: DeviceRequest, path: string): FieldError[] {
  const { name, exactly, firstAvailable = [] } = request;
  const errors = checkText(name ?? "", `${path}.name`, isDns1123Label);
  const words = "exactly one of `exactly` or `firstAvailable` is required";
  if (exactly === undefined && firstAvailable.length === 0) return [...errors, required(path, words)];
  if (exactly !== undefined && firstAvailable.length > 0)
    return [...errors, invalid(path, null, `${words}, but multiple fields are set`)];
  if (exactly !== undefined) return [...errors, ...validateWish(exactly, `${path}.exactly`)];
  return [
    ...errors,
    ...validateSet(
      firstAvailable,
      MAX_ALTERNATIVES,
      `${path}.firstAvailable`,
      (alternative) => alternative.name,
      (alternative, at) => [
        ...checkText(alternative.name ?? "", `${at}.name`, isDns1123Label),
        ...validateWish(alternative, at),
      ],
    ),
  ];
}

interface Wish {
  readonly deviceClassName: string;
  readonly allocationMode?: string;
  readonly count?: number;
  readonly selectors?: readonly Selector[];
  readonly tolerations?: readonly Toleration[];
}

function validateWish(wish: Wish, path: string): FieldError[] {
  const { deviceClassName, allocationMode, count = 0, selectors, tolerations = [] } = wish;
  const errors = [
    ...checkRequiredText(deviceClassName, `${path}.deviceClassName`, isDns1123Subdomain),
    ...validateSelectors(selectors, `${path}.selectors`),
  ];
  if (allocationMode === "All") {
    if (count !== 0) errors.push(invalid(`${path}.count`, count, "must not be specified when allocationMode is 'All'"));
  } else if (allocationMode === "ExactCount") {
    if (count <= 0) errors.push(invalid(`${path}.count`, count, "must be greater than zero"));
  } else errors.push(notSupported(`${path}.allocationMode`, allocationMode ?? "", ["All", "ExactCount"]));
  for (const [i, toleration] of tolerations.entries())
    errors.push(...validateToleration(toleration, `${path}.tolerations[${i}]`));
  return errors;
}

interface Class {
  readonly spec?: {
    readonly selectors?: readonly Selector[];
    readonly config?: readonly Configuration[];
    readonly extendedResourceName?: string;
  };
}

export function validateDeviceClass({ spec }: Class, old?: Class): FieldError[] {
  const config = spec?.config ?? [];
  const errors = validateSelectors(spec?.selectors, "spec.selectors", {
    isStored: old !== undefined && semanticEqual(spec?.selectors, old.spec?.selectors),
  });
  const name = spec?.extendedResourceName;
  const badName = name !== undefined && !isExtended(name);
  const done = () =>
    badName
      ? [...errors, invalid("spec.extendedResourceName", name, "must be a valid extended resource name")]
      : errors;
  if (config.length > MAX_REQUESTS) errors.push(tooMany("spec.config", config.length, MAX_REQUESTS));
  else for (const [i, one] of config.entries()) errors.push(...validateConfiguration(one, `spec.config[${i}]`));
  return done();
}

const EFFECTS: readonly string[] = ["NoExecute", "NoSchedule", "None"];

/** An effect that was let in before stays. */
export function validateDeviceTaint(
  { key = "", value = "", effect = "" }: Taint,
  before: Taint | undefined,
  path: string,
): FieldError[] {
  const errors = checkText(key, `${path}.key`, isQualifiedName);
  if (value !== "") errors.push(...checkText(value, `${path}.value`, isLabelValue));
  if (before !== undefined && before.effect === effect) return errors;
  return [...errors, ...checkWord(effect, `${path}.effect`, EFFECTS)];
}

interface Taint {
  readonly key?: string;
  readonly value?: string;
  readonly effect?: string;
}

export function validateDriverName(name: string, path: string): FieldError[] {
  if (name === "") return [required(path)];
  return [
    ...(Buffer.byteLength(name) > MAX_DRIVER ? [tooLong(path, MAX_DRIVER)] : []),
    ...checkText(name, path, (text) => isDns1123Subdomain(text.toLowerCase())),
  ];
}

/** Parts between slashes, each a domain. */
export function validatePoolName(name: string, path: string): FieldError[] {
  if (name === "") return [required(path)];
  return [
    ...(Buffer.byteLength(name) > MAX_POOL ? [tooLong(path, MAX_POOL)] : []),
    ...name.split("/").flatMap((part) => checkText(part, path, isDns1123Subdomain)),
  ];
}

const MAX_DRIVER = 63;
const MAX_POOL = 253;
const MAX_CONDITIONS = 8;

interface TaintRule {
  readonly spec?: {
    readonly deviceSelector?: { readonly driver?: string; readonly pool?: string; readonly device?: string };
    readonly taint?: Taint;
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export function validateTaintRule({ spec }: TaintRule, old?: TaintRule): FieldError[] {
  const { driver, pool, device } = spec?.deviceSelector ?? {};
  const path = "spec.deviceSelector";
  return [
    ...(driver === undefined ? [] : validateDriverName(driver, `${path}.driver`)),
    ...(pool === undefined ? [] : validatePoolName(pool, `${path}.pool`)),
    ...(device === undefined ? [] : checkText(device, `${path}.device`, isDns1123Label)),
    ...validateDeviceTaint(spec?.taint ?? {}, old?.spec?.taint, "spec.taint"),
  ];
}

export function validateTaintRuleUpdate(rule: TaintRule, old: TaintRule): FieldError[] {
  return validateTaintRule(rule, old);
}

export function validateTaintRuleStatus({ status }: TaintRule): FieldError[] {
  const conditions = status?.conditions ?? [];
  return [
    ...validateConditions(conditions, "status.conditions"),
    ...(conditions.length > MAX_CONDITIONS ? [tooMany("status.conditions", conditions.length, MAX_CONDITIONS)] : []),
  ];
}
