/** Groups of pods that are scheduled together. Upstream: pkg/apis/scheduling/validation, declarative rules of scheduling/v1alpha2 */
import { checkText } from "../../../machinery/validation/checks.ts";
import { validateConditions } from "../../../machinery/validation/conditions.ts";
import {
  duplicate,
  type FieldError,
  fieldForbidden,
  invalid,
  required,
  tooMany,
} from "../../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain, isPathSegmentName } from "../../../machinery/validation/names.ts";
import type { PodGroup, PodGroupSchedulingPolicy, Workload } from "../../generated/scheduling.v1alpha2.ts";
import { semanticEqual } from "../../semantic-equal.ts";

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
      errors.push(
        duplicate(`${path}[${i}]`, {
          name: template.name,
          schedulingPolicy: template.schedulingPolicy,
          schedulingConstraints: template.schedulingConstraints ?? null,
        }),
      );
  for (const [i, { name = "", schedulingPolicy }] of templates.entries()) {
    const at = `${path}[${i}]`;
    if (name === "") errors.push(required(`${at}.name`));
    else errors.push(...checkShortText(name, `${at}.name`, 63, isDns1123Label));
    errors.push(...validatePolicy(schedulingPolicy, `${at}.schedulingPolicy`));
  }
  return errors;
}

export function validateWorkloadUpdate(object: Workload, old: Workload): FieldError[] {
  return (["controllerRef", "podGroupTemplates"] as const)
    .filter((field) => !semanticEqual(object.spec?.[field], old.spec?.[field]))
    .map((field) => invalid(`spec.${field}`, null, "field is immutable"));
}

export function validatePodGroup({ spec }: PodGroup): FieldError[] {
  const reference = spec?.podGroupTemplateRef;
  return [
    ...(reference !== undefined && reference.workload === undefined
      ? [invalid("spec.podGroupTemplateRef", "", "must specify one of: `workload`")]
      : []),
    ...validatePolicy(spec?.schedulingPolicy, "spec.schedulingPolicy"),
  ];
}

export function validatePodGroupUpdate(object: PodGroup, old: PodGroup): FieldError[] {
  const errors = (["schedulingPolicy", "podGroupTemplateRef"] as const)
    .filter((field) => !semanticEqual(object.spec?.[field], old.spec?.[field]))
    .map((field) => invalid(`spec.${field}`, null, "field is immutable"));
  if (object.spec?.disruptionMode !== old.spec?.disruptionMode) errors.push(fieldForbidden("spec.disruptionMode"));
  return errors;
}

export function validatePodGroupStatus({ status }: PodGroup): FieldError[] {
  return validateConditions(status?.conditions, "status.conditions");
}
