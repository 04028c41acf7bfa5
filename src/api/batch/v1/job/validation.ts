/** Upstream: pkg/apis/batch/validation/validation.go */
import { isTrue } from "../../../../machinery/meta/conditions.ts";
import { checkNonNegative, checkText, validateLabelSelector } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  invalid,
  notSupported,
  required,
  tooMany,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isQualifiedName } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import { matchesLabels } from "../../../apps/v1/validation.ts";
import { validatePodTemplate } from "../../../core/v1/pod/validation/spec.ts";
import type { Job, JobSpec, PodFailurePolicyRule } from "../../../generated/batch.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

const MANY = 100_000;
const MANY_PER_INDEX = 10_000;
const MAX_RULES = 20;
const MAX_EXIT_CODES = 255;

export function validateJob(job: Job): FieldError[] {
  const { spec } = job;
  const errors = [...validateGeneratedSelector(job), ...validateAny(job)];
  if (spec.completionMode === "Indexed" && spec.completions !== undefined && spec.completions > 0) {
    const last = `${job.metadata.name}-${spec.completions - 1}`;
    if (isDns1123Label(last).length > 0)
      errors.push(
        invalid("metadata.name", job.metadata.name, `will not able to create pod with invalid DNS label: ${last}`),
      );
  }
  return errors;
}

function validateAny({ spec }: Job): FieldError[] {
  const errors = validateJobSpec(spec, "spec");
  if (spec.selector === undefined) errors.push(required("spec.selector"));
  else errors.push(...validateLabelSelector(spec.selector, "spec.selector"));
  const labels = spec.template?.metadata?.labels ?? {};
  if (spec.selector !== undefined && !matchesLabels(spec.selector, labels))
    errors.push(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
  return errors;
}

/** The labels and the selector that the server made: nobody else's will do. */
function validateGeneratedSelector({ metadata, spec }: Job): FieldError[] {
  if (spec.manualSelector === true) return [];
  if (spec.selector === undefined) return [];
  const labels = spec.template?.metadata?.labels ?? {};
  const wanted: Readonly<Record<string, string>> = {
    "controller-uid": metadata.uid,
    "batch.kubernetes.io/controller-uid": metadata.uid,
    "job-name": metadata.name,
    "batch.kubernetes.io/job-name": metadata.name,
  };
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(wanted)) {
    const at = `spec.template.metadata.labels[${key}]`;
    if (labels[key] === undefined) errors.push(required(at, `must be '${value}'`));
    else if (labels[key] !== value) errors.push(invalid(at, labels, `must be '${value}'`));
  }
  const expected = { matchLabels: { "batch.kubernetes.io/controller-uid": metadata.uid } };
  if (!matchesLabels(spec.selector, { ...expected.matchLabels, "controller-uid": metadata.uid }))
    errors.push(invalid("spec.selector", spec.selector, "`selector` not auto-generated"));
  return errors;
}

export function validateJobSpec(spec: JobSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of [
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
  ] as const)
    errors.push(...checkNonNegative(spec[field], `${path}.${field}`));
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    errors.push(required(`${path}.backoffLimitPerIndex`, "when maxFailedIndexes is specified"));
  const mode = spec.completionMode;
  if (mode !== undefined && mode !== "NonIndexed" && mode !== "Indexed")
    errors.push(notSupported(`${path}.completionMode`, mode, ["NonIndexed", "Indexed"]));
  errors.push(...(mode === "Indexed" ? validateIndexed(spec, path) : validateNotIndexed(spec, path)));
  const rules = spec.podFailurePolicy?.rules ?? [];
  if (rules.length > MAX_RULES) errors.push(tooMany(`${path}.podFailurePolicy.rules`, rules.length, MAX_RULES));
  const names = [...(spec.template?.spec?.initContainers ?? []), ...(spec.template?.spec?.containers ?? [])].map(
    ({ name }) => name,
  );
  for (const [i, rule] of rules.entries())
    errors.push(...validateFailureRule(rule, `${path}.podFailurePolicy.rules[${i}]`, spec, names));
  const policy = spec.podReplacementPolicy;
  if (policy !== undefined) {
    const allowed = spec.podFailurePolicy === undefined ? ["Failed", "TerminatingOrFailed"] : ["Failed"];
    if (!allowed.includes(policy)) errors.push(notSupported(`${path}.podReplacementPolicy`, policy, allowed));
  }
  errors.push(...validatePodTemplate(spec.template, `${path}.template`));
  const restart = spec.template?.spec?.restartPolicy ?? "";
  const at = `${path}.template.spec.restartPolicy`;
  if (restart === "" || restart === "Always") errors.push(required(at, 'valid values: "OnFailure", "Never"'));
  else if (restart !== "OnFailure" && restart !== "Never")
    errors.push(notSupported(at, restart, ["OnFailure", "Never"]));
  else if (spec.podFailurePolicy !== undefined && restart !== "Never")
    errors.push(invalid(at, restart, 'only "Never" is supported when podFailurePolicy is specified'));
  return errors;
}

function validateIndexed(spec: JobSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { completions, parallelism = 0, backoffLimitPerIndex, maxFailedIndexes } = spec;
  if (completions === undefined) errors.push(required(`${path}.completions`, "when completion mode is Indexed"));
  if (parallelism > MANY)
    errors.push(
      invalid(
        `${path}.parallelism`,
        parallelism,
        `must be less than or equal to ${MANY} when completion mode is Indexed`,
      ),
    );
  if (completions !== undefined && maxFailedIndexes !== undefined && maxFailedIndexes > completions)
    errors.push(invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, "must be less than or equal to completions"));
  if (maxFailedIndexes !== undefined && maxFailedIndexes > MANY)
    errors.push(invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, `must be less than or equal to ${MANY}`));
  if (completions !== undefined && completions > MANY && backoffLimitPerIndex !== undefined) {
    const words = `must be less than or equal to ${MANY_PER_INDEX} when completions are above ${MANY} and used with backoff limit per index`;
    if (maxFailedIndexes === undefined)
      errors.push(required(`${path}.maxFailedIndexes`, `must be specified when completions is above ${MANY}`));
    if (parallelism > MANY_PER_INDEX) errors.push(invalid(`${path}.parallelism`, parallelism, words));
    if (maxFailedIndexes !== undefined && maxFailedIndexes > MANY_PER_INDEX)
      errors.push(invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, words));
  }
  if (spec.successPolicy === undefined) return errors;
  const rules = spec.successPolicy.rules ?? [];
  const at = `${path}.successPolicy.rules`;
  if (rules.length === 0)
    errors.push(required(at, "at least one rules must be specified when the successPolicy is specified"));
  if (rules.length > MAX_RULES) errors.push(tooMany(at, rules.length, MAX_RULES));
  for (const [i, { succeededCount, succeededIndexes }] of rules.entries()) {
    if (succeededCount === undefined && succeededIndexes === undefined)
      errors.push(required(`${at}[${i}]`, "at least one of succeededCount or succeededIndexes must be specified"));
    errors.push(...checkNonNegative(succeededCount, `${at}[${i}].succeededCount`));
    if (succeededCount !== undefined && completions !== undefined && succeededCount > completions)
      errors.push(
        invalid(
          `${at}[${i}].succeededCount`,
          succeededCount,
          `must be less than or equal to ${completions} (the number of specified completions)`,
        ),
      );
  }
  return errors;
}

function validateNotIndexed(spec: JobSpec, path: string): FieldError[] {
  const words = "requires indexed completion mode";
  return (["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] as const)
    .filter((field) => spec[field] !== undefined)
    .map((field) => invalid(`${path}.${field}`, spec[field], words));
}

const ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"];

function validateFailureRule(
  rule: PodFailurePolicyRule,
  path: string,
  spec: JobSpec,
  containerNames: readonly string[],
): FieldError[] {
  const errors: FieldError[] = [];
  const { action, onExitCodes, onPodConditions = [] } = rule;
  if (!action)
    errors.push(required(`${path}.action`, `valid values: [${ACTIONS.map((text) => JSON.stringify(text)).join(" ")}]`));
  else if (action === "FailIndex") {
    if (spec.backoffLimitPerIndex === undefined)
      errors.push(invalid(`${path}.action`, action, "requires the backoffLimitPerIndex to be set"));
  } else if (!ACTIONS.includes(action)) errors.push(notSupported(`${path}.action`, action, ACTIONS));
  if (onExitCodes !== undefined) {
    const at = `${path}.onExitCodes`;
    const { operator, values = [], containerName } = onExitCodes;
    if (!operator) errors.push(required(`${at}.operator`, 'valid values: ["In" "NotIn"]'));
    else if (operator !== "In" && operator !== "NotIn")
      errors.push(notSupported(`${at}.operator`, operator, ["In", "NotIn"]));
    if (containerName !== undefined && !containerNames.includes(containerName))
      errors.push(
        invalid(
          `${at}.containerName`,
          containerName,
          "must be one of the container or initContainer names in the pod template",
        ),
      );
    if (values.length === 0) errors.push(invalid(`${at}.values`, values, "at least one value is required"));
    else if (values.length > MAX_EXIT_CODES) errors.push(tooMany(`${at}.values`, values.length, MAX_EXIT_CODES));
    for (const [i, value] of values.entries()) {
      if (operator === "In" && value === 0)
        errors.push(invalid(`${at}.values[${i}]`, value, "must not be 0 for the In operator"));
      if (values.indexOf(value) < i) errors.push(duplicate(`${at}.values[${i}]`, value));
    }
    if (values.some((value, i) => i > 0 && value < values[i - 1]!))
      errors.push(invalid(`${at}.values`, values, "must be ordered"));
  }
  if (onPodConditions.length > MAX_RULES)
    errors.push(tooMany(`${path}.onPodConditions`, onPodConditions.length, MAX_RULES));
  for (const [i, { type, status }] of onPodConditions.entries()) {
    const at = `${path}.onPodConditions[${i}]`;
    errors.push(...checkText(type, `${at}.type`, isQualifiedName));
    if (!status) errors.push(required(`${at}.status`, 'valid values: ["False" "True" "Unknown"]'));
    else if (!["False", "True", "Unknown"].includes(status))
      errors.push(notSupported(`${at}.status`, status, ["False", "True", "Unknown"]));
  }
  if (onExitCodes !== undefined && onPodConditions.length > 0)
    errors.push(invalid(path, rule, "specifying both OnExitCodes and OnPodConditions is not supported"));
  if (onExitCodes === undefined && onPodConditions.length === 0)
    errors.push(invalid(path, rule, "specifying one of OnExitCodes and OnPodConditions is required"));
  return errors;
}

const FIXED = ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] as const;

export function validateJobUpdate(job: Job, old: Job): FieldError[] {
  const errors = validateAny(job);
  const [spec, before] = [job.spec, old.spec];
  const fixed = (field: string, now: unknown, then: unknown) =>
    semanticEqual(now, then) ? [] : immutableField(now, then, `spec.${field}`);
  if (spec.completions !== before.completions) {
    if (spec.completionMode !== "Indexed") errors.push(...fixed("completions", spec.completions, before.completions));
    else if (spec.completions !== spec.parallelism)
      errors.push(
        invalid("spec.completions", spec.completions ?? null, "can only be modified in tandem with spec.parallelism"),
      );
  }
  errors.push(...fixed("selector", spec.selector, before.selector), ...validateTemplateUpdate(job, old));
  for (const field of FIXED) errors.push(...fixed(field, spec[field], before[field]));
  return errors;
}

/** While a job is suspended and has not started, a queue controller may say where its pods go. */
function validateTemplateUpdate({ spec }: Job, old: Job): FieldError[] {
  const before = old.spec;
  const waiting = before.suspend === true && old.status?.startTime === undefined;
  let template = spec.template;
  if (waiting && template?.spec !== undefined && before.template?.spec !== undefined) {
    const from = before.template;
    template = {
      ...template,
      metadata: { ...template.metadata, annotations: from.metadata?.annotations, labels: from.metadata?.labels },
      spec: {
        ...template.spec,
        ...Object.fromEntries(
          (["nodeSelector", "tolerations", "affinity", "schedulingGates"] as const).map((field) => [
            field,
            from.spec![field],
          ]),
        ),
        containers: template.spec.containers.map((container, i) => ({
          ...container,
          resources: from.spec!.containers[i]?.resources ?? {},
        })),
      },
    } as typeof template;
  }
  return semanticEqual(template, before.template)
    ? []
    : [invalid("spec.template", spec.template, "field is immutable")];
}

export function validateJobStatus({ status }: Job, old: Job): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["active", "succeeded", "failed", "ready", "terminating"] as const)
    errors.push(...checkNonNegative(status?.[field], `status.${field}`));
  for (const field of ["failed", "succeeded"] as const)
    if ((status?.[field] ?? 0) < (old.status?.[field] ?? 0))
      errors.push(invalid(`status.${field}`, status?.[field] ?? 0, `cannot decrease the ${field} counter`));
  if ((status?.ready ?? 0) > (status?.active ?? 0) && status?.ready !== undefined)
    errors.push(invalid("status.ready", status.ready, "cannot set more ready pods than active"));
  const is = (type: string) => isTrue(status, type);
  const conditions = status?.conditions ?? [];
  const clash = (words: string) => errors.push(invalid("status.conditions", conditions, words));
  if (is("Complete") && is("Failed")) clash("cannot set Complete=True and Failed=true conditions");
  if (is("Complete") && is("FailureTarget")) clash("cannot set Complete=True and FailureTarget=true conditions");
  const was = (type: string) => isTrue(old.status, type);
  if (is("Failed") && !was("Failed") && !is("FailureTarget"))
    clash("cannot set Failed=True condition without the FailureTarget=true condition");
  if (is("Complete") && !was("Complete") && !is("SuccessCriteriaMet"))
    clash("cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
  if (is("SuccessCriteriaMet") && is("Failed")) clash("cannot set SuccessCriteriaMet=True and Failed=true conditions");
  if (is("SuccessCriteriaMet") && is("FailureTarget"))
    clash("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
  for (const type of ["Complete", "Failed", "FailureTarget"])
    if (was(type) && !is(type)) clash(`cannot disable the terminal ${type}=True condition`);
  if (was("SuccessCriteriaMet") && !is("SuccessCriteriaMet"))
    clash("cannot disable the SuccessCriteriaMet=True condition");
  const finished = is("Complete") || is("Failed");
  if (finished && status?.startTime === undefined)
    errors.push(required("status.startTime", "startTime is required for finished job"));
  if (finished && (status?.terminating ?? 0) > 0)
    errors.push(invalid("status.terminating", status!.terminating, "terminating>0 is invalid for finished job"));
  if (is("Complete") && status?.completionTime === undefined)
    errors.push(required("status.completionTime", "completionTime is required for Complete jobs"));
  if (!is("Complete") && status?.completionTime !== undefined)
    errors.push(
      invalid(
        "status.completionTime",
        status.completionTime,
        "cannot set completionTime when there is no Complete=True condition",
      ),
    );
  if ((is("Complete") || is("Failed")) && (status?.active ?? 0) > 0)
    errors.push(invalid("status.active", status!.active, "active>0 is invalid for finished job"));
  return errors;
}
