/** Upstream: pkg/apis/core/validation/validation.go (ValidateResourceQuota) */
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { ResourceQuota } from "../../../generated/core.v1.ts";
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
  const sorted = ({ spec }: ResourceQuota) => [...(spec?.scopes ?? [])].sort();
  const errors = immutableField(sorted(quota), sorted(old), "spec.scopes");
  return [
    ...validateResourceQuota(quota),
    ...errors.map((error) => ({ ...error, ...invalid("spec.scopes", quota.spec?.scopes ?? [], "field is immutable") })),
  ];
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
    for (const name of Object.keys(spec?.hard ?? {}))
      if (isStandard(name) && !fitsScope(scope, name))
        errors.push(invalid("spec.scopes", scopes, "unsupported scope applied to resource"));
  }
  for (const [a, b] of CONFLICTS)
    if (scopes.includes(a) && scopes.includes(b)) errors.push(invalid("spec.scopes", scopes, "conflicting scopes"));
  return errors;
}

const isStandard = (name: string) => !name.includes("/") && !name.startsWith("count/");

function fitsScope(scope: string, resource: string): boolean {
  if (scope === "BestEffort") return resource === "pods";
  if (scope === "VolumeAttributesClass")
    return resource === "persistentvolumeclaims" || resource === "requests.storage";
  return !POD_SCOPES.includes(scope) || COMPUTE.includes(resource);
}

function validateSelector(spec: ResourceQuota["spec"] | undefined): FieldError[] {
  const path = "spec.scopeSelector.matchExpressions";
  const errors: FieldError[] = [];
  for (const { scopeName, operator, values = [] } of spec?.scopeSelector?.matchExpressions ?? []) {
    if (!SCOPES.includes(scopeName)) errors.push(invalid(`${path}.scopeName`, scopeName, "unsupported scope"));
    if (scopeName !== "PriorityClass" && scopeName !== "VolumeAttributesClass" && operator !== "Exists")
      errors.push(
        invalid(
          `${path}.operator`,
          operator,
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
    } else errors.push(invalid(`${path}.operator`, operator, "not a valid selector operator"));
  }
  return errors;
}
