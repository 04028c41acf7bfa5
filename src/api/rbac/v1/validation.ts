/** Upstream: pkg/apis/rbac/validation/validation.go */
import { checkRequiredText, validateLabelSelector } from "../../../machinery/validation/checks.ts";
import { type FieldError, invalid, notSupported, required } from "../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain, isPathSegmentName } from "../../../machinery/validation/names.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from "../../generated/rbac.v1.ts";
import { internalValue } from "../../internal-value.ts";
import { semanticEqual } from "../../semantic-equal.ts";
import { RBAC_GROUP } from "./binding.ts";

export function validateRole({ rules }: Role): FieldError[] {
  return (rules ?? []).flatMap((rule, i) => validateRule(rule, true, `rules[${i}]`));
}

export function validateClusterRole({ rules, aggregationRule }: ClusterRole): FieldError[] {
  const errors = (rules ?? []).flatMap((rule, i) => validateRule(rule, false, `rules[${i}]`));
  if (aggregationRule === undefined) return errors;
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  const path = "aggregationRule.clusterRoleSelectors";
  if (selectors.length === 0)
    errors.push(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"));
  for (const [i, selector] of selectors.entries()) {
    const broken = validateLabelSelector(selector, `${path}[${i}]`);
    errors.push(...broken);
    if (broken.length > 0) errors.push(invalid(`${path}[${i}]`, null, "invalid label selector."));
  }
  return errors;
}

function validateRule(rule: PolicyRule, namespaced: boolean, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  if (verbs.length === 0) errors.push(required(`${path}.verbs`, "verbs must contain at least one value"));
  if (nonResourceURLs.length > 0) {
    if (namespaced)
      errors.push(
        invalid(`${path}.nonResourceURLs`, nonResourceURLs, "namespaced rules cannot apply to non-resource URLs"),
      );
    if (apiGroups.length > 0 || resources.length > 0 || resourceNames.length > 0)
      errors.push(
        invalid(
          `${path}.nonResourceURLs`,
          nonResourceURLs,
          "rules cannot apply to both regular resources and non-resource URLs",
        ),
      );
    return errors;
  }
  if (apiGroups.length === 0)
    errors.push(required(`${path}.apiGroups`, "resource rules must supply at least one api group"));
  if (resources.length === 0)
    errors.push(required(`${path}.resources`, "resource rules must supply at least one resource"));
  return errors;
}

type Binding = RoleBinding | ClusterRoleBinding;

export function validateBinding(binding: Binding): FieldError[] {
  const { roleRef, subjects } = binding;
  const namespaced = binding.kind === "RoleBinding";
  const errors: FieldError[] = [];
  if (roleRef?.apiGroup !== RBAC_GROUP)
    errors.push(notSupported("roleRef.apiGroup", roleRef?.apiGroup ?? "", [RBAC_GROUP]));
  const kinds = namespaced ? ["Role", "ClusterRole"] : ["ClusterRole"];
  if (!kinds.includes(roleRef?.kind ?? "")) errors.push(notSupported("roleRef.kind", roleRef?.kind ?? "", kinds));
  errors.push(...checkRequiredText(roleRef?.name, "roleRef.name", isPathSegmentName));
  for (const [i, subject] of (subjects ?? []).entries())
    errors.push(...validateSubject(subject, namespaced, `subjects[${i}]`));
  return errors;
}

function validateSubject(
  { kind, name, namespace, apiGroup = "" }: Subject,
  namespaced: boolean,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!name) errors.push(required(`${path}.name`));
  switch (kind) {
    case "ServiceAccount":
      if (name) errors.push(...isDns1123Subdomain(name).map((message) => invalid(`${path}.name`, name, message)));
      if (apiGroup !== "") errors.push(notSupported(`${path}.apiGroup`, apiGroup, [""]));
      if (!namespaced && !namespace) errors.push(required(`${path}.namespace`));
      return errors;
    case "User":
    case "Group":
      if (apiGroup !== RBAC_GROUP) errors.push(notSupported(`${path}.apiGroup`, apiGroup, [RBAC_GROUP]));
      return errors;
    default:
      return [...errors, notSupported(`${path}.kind`, kind ?? "", ["ServiceAccount", "User", "Group"])];
  }
}

/** Who is bound may change; to what, never: that would be another binding. */
export function validateBindingUpdate(binding: Binding, old: Binding): FieldError[] {
  return [
    ...validateBinding(binding),
    ...(semanticEqual(binding.roleRef, old.roleRef)
      ? []
      : [invalid("roleRef", internalValue(binding.roleRef, "io.k8s.api.rbac.v1.RoleRef"), "cannot change roleRef")]),
  ];
}
