/** Upstream: pkg/apis/core/validation/validation.go (ValidateResourceQuota) */
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import type { ResourceQuota } from "../../../generated/core.v1.ts";
import { internalValue } from "../../../internal-value.ts";
import { validateQuantityValue, validateResourceName } from "../pod/validation/resources.ts";

const POD_SCOPES = [
  "Terminating",
  "NotTerminating",
  "BestEffort",
  "NotBestEffort",
  "PriorityClass",
  "CrossNamespacePodAffinity",
];
const SCOPES: readonly string[] = [...POD_SCOPES, "VolumeAttributesClass"];
const COMPUTE: readonly string[] = [
  "pods",
  "cpu",
  "memory",
  "requests.cpu",
  "requests.memory",
  "limits.cpu",
  "limits.memory",
];
const CONFLICTS: readonly (readonly [string, string])[] = [
  ["BestEffort", "NotBestEffort"],
  ["Terminating", "NotTerminating"],
];

export function validateResourceQuota({ spec }: ResourceQuota): FieldError[] {
  return [...validateList(spec?.hard, "spec.hard"), ...validateScopes(spec), ...validateSelector(spec)];
}

export function validateResourceQuotaUpdate(quota: ResourceQuota, old: ResourceQuota): FieldError[] {
  const [now, before] = [new Set(quota.spec?.scopes), new Set(old.spec?.scopes)];
  const errors = validateResourceQuota(quota);
  if (now.size !== before.size || [...now].some((scope) => !before.has(scope)))
    errors.push(invalid("spec.scopes", quota.spec?.scopes ?? null, "field is immutable"));
  return errors;
}

export function validateResourceQuotaStatus({ metadata, status }: ResourceQuota): FieldError[] {
  return [
    ...(metadata.resourceVersion ? [] : [required("resourceVersion")]),
    ...validateList(status?.hard, "status.hard"),
    ...validateList(status?.used, "status.used"),
  ];
}

function validateList(list: Readonly<Record<string, string>> | undefined, path: string): FieldError[] {
  return Object.entries(list ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, text]) => [
      ...validateQuotaResourceName(name, `${path}[${name}]`),
      ...validateQuantityValue(name, text, `${path}[${name}]`),
    ]);
}

/** Plain `storage` is a resource, and not one that a namespace can use up. */
function validateQuotaResourceName(name: string, path: string): FieldError[] {
  const errors = validateResourceName(name, path);
  if (!name.includes("/") && (errors.length > 0 || name === "storage"))
    errors.push(invalid(path, name, "must be a standard resource for quota"));
  return errors;
}

function validateScopes(spec: ResourceQuota["spec"] | undefined): FieldError[] {
  const scopes = spec?.scopes ?? [];
  const errors: FieldError[] = [];
  for (const scope of scopes) {
    if (!SCOPES.includes(scope)) errors.push(invalid("spec.scopes", scopes, "unsupported scope"));
    for (const _ of misfits(spec, scope))
      errors.push(invalid("spec.scopes", scopes, "unsupported scope applied to resource"));
  }
  return [...errors, ...validateConflicts(scopes, scopes, "spec.scopes")];
}

function validateConflicts(scopes: readonly string[], shown: unknown, path: string): FieldError[] {
  return CONFLICTS.filter(([a, b]) => scopes.includes(a) && scopes.includes(b)).map(() =>
    invalid(path, shown, "conflicting scopes"),
  );
}

/** The limited resources that this scope has nothing to do with. */
function misfits(spec: ResourceQuota["spec"] | undefined, scope: string): readonly string[] {
  return Object.keys(spec?.hard ?? {}).filter((name) => isStandardForQuota(name) && !fitsScope(scope, name));
}

const isStandardForQuota = (name: string) => !name.includes("/") && validateQuotaResourceName(name, "").length === 0;

function fitsScope(scope: string, resource: string): boolean {
  if (scope === "BestEffort") return resource === "pods";
  if (scope === "VolumeAttributesClass")
    return resource === "persistentvolumeclaims" || resource === "requests.storage";
  return !POD_SCOPES.includes(scope) || COMPUTE.includes(resource);
}

function validateSelector(spec: ResourceQuota["spec"] | undefined): FieldError[] {
  const path = "spec.scopeSelector.matchExpressions";
  const errors: FieldError[] = [];
  const requirements = spec?.scopeSelector?.matchExpressions ?? [];
  for (const { scopeName, operator, values = [] } of requirements) {
    if (!SCOPES.includes(scopeName)) errors.push(invalid(`${path}.scopeName`, scopeName ?? "", "unsupported scope"));
    for (const _ of misfits(spec, scopeName)) {
      const shown = internalValue(spec!.scopeSelector, "io.k8s.api.core.v1.ScopeSelector");
      errors.push(invalid(path, shown, "unsupported scope applied to resource"));
    }
    if (POD_SCOPES.includes(scopeName) && scopeName !== "PriorityClass" && operator !== "Exists")
      errors.push(
        invalid(
          `${path}.operator`,
          operator ?? "",
          "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        ),
      );
    if (operator === "In" || operator === "NotIn") {
      if (values.length === 0)
        errors.push(
          required(
            `${path}.values`,
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
          ),
        );
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values.length > 0)
        errors.push(
          invalid(
            `${path}.values`,
            values,
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
          ),
        );
    } else errors.push(invalid(`${path}.operator`, operator ?? "", "not a valid selector operator"));
  }
  const names = requirements.map(({ scopeName }) => scopeName);
  return [...errors, ...validateConflicts(names, spec?.scopes ?? null, path)];
}
