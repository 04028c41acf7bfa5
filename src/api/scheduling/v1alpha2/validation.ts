/** Groups of pods that are scheduled together. Upstream: pkg/apis/scheduling/validation, declarative rules of scheduling/v1alpha2 */
import type { HookContext } from "../../../machinery/resource.ts";
import { checkRequiredText, checkText } from "../../../machinery/validation/checks.ts";
import { validateConditions } from "../../../machinery/validation/conditions.ts";
import {
  duplicate,
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
  tooMany,
} from "../../../machinery/validation/field-error.ts";
import {
  isDns1123Label,
  isDns1123Subdomain,
  isPathSegmentName,
  isQualifiedName,
} from "../../../machinery/validation/names.ts";
import type {
  PodGroup,
  PodGroupResourceClaim,
  PodGroupSchedulingPolicy,
  PodGroupTemplate,
  Workload,
} from "../../generated/scheduling.v1alpha2.ts";
import { semanticEqual } from "../../semantic-equal.ts";
import { GATES } from "./features.ts";

const MAX_TEMPLATES = 8;

/** The length is counted first, and in bytes. */
function checkShortText(
  value: string,
  path: string,
  max: number,
  rule: (value: string) => readonly string[],
): FieldError[] {
  if (Buffer.byteLength(value) > max) return [invalid(path, value, `must be no more than ${max} bytes`)];
  return checkText(value, path, rule);
}

function validatePolicy(policy: PodGroupSchedulingPolicy | undefined, path: string): FieldError[] {
  const { basic, gang } = policy ?? {};
  if (basic === undefined && gang === undefined) return [invalid(path, "", "must specify one of: `basic`, `gang`")];
  const errors: FieldError[] = [];
  if (basic !== undefined && gang !== undefined)
    errors.push(invalid(path, "{basic, gang}", "must specify exactly one of: `basic`, `gang`"));
  const count = gang?.minCount ?? 0;
  if (gang !== undefined && count === 0) errors.push(required(`${path}.gang.minCount`));
  else if (count < 0) errors.push(invalid(`${path}.gang.minCount`, count, "must be greater than or equal to 1"));
  return errors;
}

const MAX_CLAIMS = 4;
const MAX_PRIORITY = 1_000_000_000;
const LABEL_BYTES = 63;
const SUBDOMAIN_BYTES = 253;

const checkLabel = (value: string, path: string) => checkShortText(value, path, LABEL_BYTES, isDns1123Label);
const checkSubdomain = (value: string, path: string) =>
  checkShortText(value, path, SUBDOMAIN_BYTES, isDns1123Subdomain);

/** What groups and their templates may say besides the policy; the fields that a feature gate has to let in are gone where it doesn't. */
function validateRest(group: PodGroupTemplate, path: string): FieldError[] {
  const { schedulingConstraints, resourceClaims = [], disruptionMode, priorityClassName, priority } = group;
  const errors: FieldError[] = [];
  const topology = schedulingConstraints?.topology ?? [];
  const at = `${path}.schedulingConstraints.topology`;
  if (topology.length > 1) errors.push(tooMany(at, topology.length, 1));
  else
    for (const [i, { key }] of topology.entries())
      errors.push(...checkRequiredText(key, `${at}[${i}].key`, isQualifiedName));
  errors.push(...validateClaims(resourceClaims, `${path}.resourceClaims`));
  if (disruptionMode !== undefined && disruptionMode !== "Pod" && disruptionMode !== "PodGroup")
    errors.push(notSupported(`${path}.disruptionMode`, disruptionMode, ["Pod", "PodGroup"]));
  if (priorityClassName) errors.push(...checkSubdomain(priorityClassName, `${path}.priorityClassName`));
  if (priority !== undefined && priority > MAX_PRIORITY)
    errors.push(invalid(`${path}.priority`, priority, `must be less than or equal to ${MAX_PRIORITY}`));
  return errors;
}

function validateClaims(claims: readonly PodGroupResourceClaim[], path: string): FieldError[] {
  if (claims.length > MAX_CLAIMS) {
    const error = tooMany(path, claims.length, MAX_CLAIMS);
    return [error];
  }
  const errors: FieldError[] = [];
  for (const [i, claim] of claims.entries())
    if (claims.slice(0, i).some(({ name }) => name === claim.name)) errors.push(duplicate(`${path}[${i}]`, claim));
  for (const [i, { name, resourceClaimName, resourceClaimTemplateName }] of claims.entries()) {
    const at = `${path}[${i}]`;
    const one = "`resourceClaimName`, `resourceClaimTemplateName`";
    if (resourceClaimName === undefined && resourceClaimTemplateName === undefined)
      errors.push(invalid(at, "", `must specify one of: ${one}`));
    else if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined)
      errors.push(invalid(at, "{resourceClaimName, resourceClaimTemplateName}", `must specify exactly one of: ${one}`));
    errors.push(...(name ? checkLabel(name, `${at}.name`) : [required(`${at}.name`)]));
    if (resourceClaimName !== undefined) errors.push(...checkSubdomain(resourceClaimName, `${at}.resourceClaimName`));
    if (resourceClaimTemplateName !== undefined)
      errors.push(...checkSubdomain(resourceClaimTemplateName, `${at}.resourceClaimTemplateName`));
  }
  return errors;
}

/** As an error shows it: what comes first is always there. */
const inOrder = ({ name, schedulingPolicy, schedulingConstraints, ...rest }: PodGroupTemplate): object => ({
  name,
  schedulingPolicy,
  schedulingConstraints: schedulingConstraints ?? null,
  ...rest,
});

export function validateWorkload({ spec }: Workload): FieldError[] {
  const errors: FieldError[] = [];
  const { controllerRef, podGroupTemplates: templates = [] } = spec ?? {};
  if (controllerRef !== undefined) {
    const { apiGroup = "", kind = "", name = "" } = controllerRef;
    const path = "spec.controllerRef";
    if (apiGroup !== "") errors.push(...checkShortText(apiGroup, `${path}.apiGroup`, 253, isDns1123Subdomain));
    if (kind === "") errors.push(required(`${path}.kind`));
    else errors.push(...checkText(kind, `${path}.kind`, isPathSegmentName));
    if (name === "") errors.push(required(`${path}.name`));
    else errors.push(...checkText(name, `${path}.name`, isPathSegmentName));
  }
  const path = "spec.podGroupTemplates";
  if (templates.length === 0) return [...errors, required(path)];
  if (templates.length > MAX_TEMPLATES) return [...errors, tooMany(path, templates.length, MAX_TEMPLATES)];
  for (const [i, template] of templates.entries())
    if (templates.slice(0, i).some(({ name }) => name === template.name))
      errors.push(duplicate(`${path}[${i}]`, inOrder(template)));
  for (const [i, template] of templates.entries()) {
    const { name = "", schedulingPolicy } = template;
    const at = `${path}[${i}]`;
    if (name === "") errors.push(required(`${at}.name`));
    else errors.push(...checkShortText(name, `${at}.name`, 63, isDns1123Label));
    errors.push(...validatePolicy(schedulingPolicy, `${at}.schedulingPolicy`), ...validateRest(template, at));
  }
  return errors;
}

export function validateWorkloadUpdate(object: Workload, old: Workload): FieldError[] {
  const count = object.spec?.podGroupTemplates?.length ?? 0;
  return (["controllerRef", "podGroupTemplates"] as const)
    .filter((field) => !semanticEqual(object.spec?.[field], old.spec?.[field]))
    .flatMap((field) => [
      invalid(`spec.${field}`, null, "field is immutable"),
      ...(field === "podGroupTemplates" && count > MAX_TEMPLATES
        ? [tooMany(`spec.${field}`, count, MAX_TEMPLATES)]
        : []),
      ...(field === "podGroupTemplates" && count === 0 ? [required(`spec.${field}`)] : []),
    ]);
}

export function validatePodGroup({ spec }: PodGroup): FieldError[] {
  const reference = spec?.podGroupTemplateRef;
  const errors: FieldError[] = [];
  if (reference !== undefined) {
    const path = "spec.podGroupTemplateRef";
    const { workloadName, podGroupTemplateName } = reference.workload ?? {};
    if (reference.workload === undefined) errors.push(invalid(path, "", "must specify one of: `workload`"));
    else
      errors.push(
        ...(workloadName
          ? checkSubdomain(workloadName, `${path}.workload.workloadName`)
          : [required(`${path}.workload.workloadName`)]),
        ...(podGroupTemplateName
          ? checkLabel(podGroupTemplateName, `${path}.workload.podGroupTemplateName`)
          : [required(`${path}.workload.podGroupTemplateName`)]),
      );
  }
  return [
    ...errors,
    ...validatePolicy(spec?.schedulingPolicy, "spec.schedulingPolicy"),
    ...(spec === undefined ? [] : validateRest(spec as unknown as PodGroupTemplate, "spec")),
  ];
}

const FIXED = [
  "podGroupTemplateRef",
  "schedulingPolicy",
  "schedulingConstraints",
  "resourceClaims",
  "disruptionMode",
  "priorityClassName",
  "priority",
] as const;

export function validatePodGroupUpdate(
  object: PodGroup,
  old: PodGroup,
  { featureGates }: Pick<HookContext, "featureGates">,
): FieldError[] {
  return FIXED.filter((field) => !semanticEqual(object.spec?.[field], old.spec?.[field])).flatMap((field) => {
    const gate = GATES[field as keyof typeof GATES];
    if (gate === undefined || field === "resourceClaims" || featureGates.get(gate) === true)
      return [invalid(`spec.${field}`, null, "field is immutable")];
    // What was set while the gate was on may go, and not change.
    return object.spec?.[field] !== undefined && object.spec[field] !== "" ? [fieldForbidden(`spec.${field}`)] : [];
  });
}

export function validatePodGroupStatus({ spec, status }: PodGroup, old: PodGroup): FieldError[] {
  const errors = validateConditions(status?.conditions, "status.conditions");
  const claims = status?.resourceClaimStatuses ?? [];
  const path = "status.resourceClaimStatuses";
  for (const [i, { name = "" }] of claims.entries())
    if (spec?.resourceClaims?.some((claim) => claim.name === name) !== true)
      errors.push(invalid(`${path}[${i}].name`, name, "must match the name of an entry in `spec.resourceClaims`"));
  if (semanticEqual(claims, old.status?.resourceClaimStatuses)) return errors;
  if (claims.length > MAX_CLAIMS) return [...errors, tooMany(path, claims.length, MAX_CLAIMS)];
  for (const [i, claim] of claims.entries())
    if (claims.slice(0, i).some(({ name }) => name === claim.name)) errors.push(duplicate(`${path}[${i}]`, claim));
  for (const [i, { resourceClaimName }] of claims.entries())
    if (resourceClaimName !== undefined)
      errors.push(...checkSubdomain(resourceClaimName, `${path}[${i}].resourceClaimName`));
  return errors;
}
