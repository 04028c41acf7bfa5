/** Upstream: pkg/apis/flowcontrol/validation/validation.go */
import { checkRequiredText } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import { internalValue } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { MANDATORY_FLOW_SCHEMAS } from "../mandatory.ts";
import type {
  FlowSchema,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
  Subject,
} from "../../../generated/flowcontrol.v1.ts";

const MAX_PRECEDENCE = 10_000;
const VERBS: readonly string[] = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "proxy",
  "update",
  "watch",
];

export function validateFlowSchema({ metadata, spec, status }: FlowSchema): FieldError[] {
  const errors: FieldError[] = [];
  const precedence = spec?.matchingPrecedence ?? 0;
  const path = "spec.matchingPrecedence";
  if (precedence <= 0) errors.push(invalid(path, precedence, "must be a positive value"));
  if (precedence > MAX_PRECEDENCE) errors.push(invalid(path, precedence, `must not be greater than ${MAX_PRECEDENCE}`));
  if (precedence === 1 && metadata.name !== "exempt")
    errors.push(invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"));
  const method = spec?.distinguisherMethod?.type;
  if (spec?.distinguisherMethod !== undefined && method !== "ByNamespace" && method !== "ByUser")
    errors.push(notSupported("spec.distinguisherMethod.type", { Type: method ?? "" }, ["ByNamespace", "ByUser"]));
  errors.push(
    ...checkRequiredText(
      spec?.priorityLevelConfiguration?.name,
      "spec.priorityLevelConfiguration.name",
      isDns1123Subdomain,
      "must reference a priority level",
    ),
  );
  errors.push(...(spec?.rules ?? []).flatMap((rule, i) => validateRule(rule, `spec.rules[${i}]`)));
  const fixed = Object.hasOwn(MANDATORY_FLOW_SCHEMAS, metadata.name)
    ? MANDATORY_FLOW_SCHEMAS[metadata.name]
    : undefined;
  if (fixed !== undefined && !semanticEqual(spec, fixed))
    errors.push(
      invalid(
        "spec",
        internalValue(spec, "io.k8s.api.flowcontrol.v1.FlowSchemaSpec"),
        `spec of '${metadata.name}' must equal the fixed value`,
      ),
    );
  return [...errors, ...validateConditionTypes(status?.conditions)];
}

/** These conditions need a type, and no two have the same one. */
export function validateConditionTypes(conditions: readonly { readonly type?: string }[] = []): FieldError[] {
  const seen = new Set<string>();
  return conditions.flatMap(({ type = "" }, i) => {
    const path = `status.conditions[${i}].type`;
    const errors = seen.has(type) ? [duplicate(path, type)] : [];
    seen.add(type);
    return type === "" ? [...errors, required(path)] : errors;
  });
}

function validateRule(rule: PolicyRulesWithSubjects, path: string): FieldError[] {
  const { subjects = [], resourceRules = [], nonResourceRules = [] } = rule;
  const errors: FieldError[] = [];
  if (subjects.length === 0) errors.push(required(`${path}.subjects`, "subjects must contain at least one value"));
  for (const [i, subject] of subjects.entries()) errors.push(...validateSubject(subject, `${path}.subjects[${i}]`));
  if (resourceRules.length === 0 && nonResourceRules.length === 0)
    errors.push(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"));
  for (const [i, resources] of resourceRules.entries())
    errors.push(...validateResources(resources, `${path}.resourceRules[${i}]`));
  for (const [i, urls] of nonResourceRules.entries())
    errors.push(...validateUrls(urls, `${path}.nonResourceRules[${i}]`));
  return errors;
}

const SUBJECTS = { Group: "group", ServiceAccount: "serviceAccount", User: "user" } as const;
/** What is looked at beside a subject's own part: for each kind in another order. */
const OTHERS: Readonly<Record<string, readonly (keyof typeof SUBJECTS)[]>> = {
  User: ["User", "ServiceAccount", "Group"],
  Group: ["Group", "ServiceAccount", "User"],
  ServiceAccount: ["ServiceAccount", "User", "Group"],
};

function validateSubject(subject: Subject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!(subject.kind in SUBJECTS)) errors.push(notSupported(`${path}.kind`, subject.kind ?? "", Object.keys(SUBJECTS)));
  for (const kind of OTHERS[subject.kind] ?? []) {
    const field = SUBJECTS[kind];
    if (subject.kind === kind && subject[field] === undefined)
      errors.push(required(`${path}.${field}`, `${field} is required when subject kind is '${kind}'`));
    if (subject.kind !== kind && subject[field] !== undefined)
      errors.push(fieldForbidden(`${path}.${field}`, `${field} is forbidden when subject kind is not '${kind}'`));
  }
  if (subject.kind === "ServiceAccount" && subject.serviceAccount !== undefined) {
    const { name, namespace } = subject.serviceAccount;
    errors.push(
      ...checkRequiredText(name, `${path}.serviceAccount.name`, (text) =>
        text === "*" ? [] : isDns1123Subdomain(text),
      ),
      ...checkRequiredText(
        namespace,
        `${path}.serviceAccount.namespace`,
        isDns1123Label,
        "must specify namespace for service account",
      ),
    );
  }
  if (subject.kind === "User" && subject.user !== undefined && !subject.user.name)
    errors.push(required(`${path}.user.name`));
  if (subject.kind === "Group" && subject.group !== undefined && !subject.group.name)
    errors.push(required(`${path}.group.name`));
  return errors;
}

/** A list that is there, and holds the star alone or not at all. */
function validateList(list: readonly string[], path: string, missing: string, plural: string): FieldError[] {
  if (list.length === 0) return [required(path, missing)];
  return list.includes("*") && list.length > 1
    ? [invalid(path, list, `if '*' is present, must not specify other ${plural}`)]
    : [];
}

function validateVerbs(verbs: readonly string[], path: string): FieldError[] {
  return [
    ...validateList(verbs, path, "verbs must contain at least one value", "verbs"),
    ...(verbs.some((verb) => verb !== "*" && !VERBS.includes(verb)) ? [notSupported(path, verbs, VERBS)] : []),
  ];
}

function validateResources(rule: ResourcePolicyRule, path: string): FieldError[] {
  const { verbs = [], apiGroups = [], resources = [], namespaces = [], clusterScope } = rule;
  const errors = [
    ...validateVerbs(verbs, `${path}.verbs`),
    ...validateList(apiGroups, `${path}.apiGroups`, "resource rules must supply at least one api group", "api groups"),
    ...validateList(resources, `${path}.resources`, "resource rules must supply at least one resource", "resources"),
  ];
  const at = `${path}.namespaces`;
  if (namespaces.length === 0 && clusterScope !== true)
    errors.push(required(at, "resource rules that are not cluster scoped must supply at least one namespace"));
  else if (namespaces.includes("*")) {
    if (namespaces.length > 1)
      errors.push(invalid(at, namespaces, "if '*' is present, must not specify other namespaces"));
  } else
    for (const [i, namespace] of namespaces.entries())
      for (const message of isDns1123Label(namespace))
        errors.push(
          invalid(`${at}[${i}]`, namespace, `each member of this list must be '*' or a DNS-1123 label; ${message}`),
        );
  return errors;
}

function validateUrls({ verbs = [], nonResourceURLs = [] }: NonResourcePolicyRule, path: string): FieldError[] {
  const at = `${path}.nonResourceURLs`;
  const errors = [
    ...validateVerbs(verbs, `${path}.verbs`),
    ...validateList(nonResourceURLs, at, "nonResourceURLs must contain at least one value", "non-resource URLs"),
  ];
  if (nonResourceURLs.includes("*")) return errors;
  for (const [i, url] of nonResourceURLs.entries()) {
    const problem = urlProblem(url);
    if (problem !== undefined) errors.push(invalid(`${at}[${i}]`, url, problem));
  }
  return errors;
}

function urlProblem(url: string): string | undefined {
  if (url === "") return "must not be empty";
  if (url === "/") return undefined;
  if (!url.startsWith("/")) return "must start with slash";
  if (url.includes(" ")) return "must not contain white-space";
  if (url.includes("//")) return "must not contain double slash";
  if (url.replace(/\/\*$/, "").includes("*")) return "wildcard can only do suffix matching";
  return undefined;
}
