/** Upstream: pkg/apis/batch/validation/validation.go */
import { isTrue } from "../../../../machinery/meta/conditions.ts";
import {
  checkDomainPrefixedPath,
  checkNonNegative,
  checkText,
  validateLabelSelector,
} from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isQualifiedName } from "../../../../machinery/validation/names.ts";
import { matchesLabels, mismatch } from "../../../apps/v1/validation.ts";
import { type TemplateOrigin, validatePodTemplate } from "../../../core/v1/pod/validation/spec.ts";
import type { Job, JobSpec, PodFailurePolicyRule } from "../../../generated/batch.v1.ts";
import type { Affinity, Container, PodTemplateSpec } from "../../../generated/core.v1.ts";
import { isGivenEmpty } from "../../../../machinery/codec/empties.ts";
import { internalValue, selectorValue, sorted } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

const MANY = 100_000;
const MANY_PER_INDEX = 10_000;
const MAX_RULES = 20;
const MAX_EXIT_CODES = 255;
const MAX_MANAGER = 63;
const MAX_INDEXES_BYTES = 64 * 1024;
const NEEDS_INDEXES = "requires indexed completion mode";

export function validateJob(job: Job, origin: TemplateOrigin = {}, old?: Job): FieldError[] {
  const { spec } = job;
  const errors = [...validateGeneratedSelector(job, old), ...validateAny(job, origin)];
  if (spec.completionMode === "Indexed" && spec.completions !== undefined && spec.completions > 0) {
    const last = `${job.metadata.name}-${spec.completions - 1}`;
    if (isDns1123Label(last).length > 0)
      errors.push(
        invalid("metadata.name", job.metadata.name, `will not able to create pod with invalid DNS label: ${last}`),
      );
  }
  return errors;
}

function validateAny({ spec }: Job, origin: TemplateOrigin): FieldError[] {
  const errors = validateJobSpec(spec, "spec", origin);
  const { selector, template } = spec;
  const broken = validateLabelSelector(selector, "spec.selector");
  if (selector === undefined) errors.push(required("spec.selector"));
  errors.push(...broken);
  if (broken.length === 0 && !matchesLabels(selector, template?.metadata?.labels ?? {}))
    errors.push(mismatch(template));
  return errors;
}

/** The labels and the selector that the server made: nobody else's will do. */
function validateGeneratedSelector({ metadata, spec }: Job, old: Job | undefined): FieldError[] {
  if (spec.manualSelector === true || spec.selector === undefined) return [];
  const labels = spec.template?.metadata?.labels ?? {};
  const before = old?.spec.template?.metadata?.labels;
  // A job from before the longer labels lives without them.
  const prefixed = old === undefined || (before?.[UID_LABEL] !== undefined && before[NAME_LABEL] !== undefined);
  const wanted: Record<string, string> = { "controller-uid": metadata.uid, "job-name": metadata.name };
  if (prefixed) Object.assign(wanted, { [UID_LABEL]: metadata.uid, [NAME_LABEL]: metadata.name });
  const errors: FieldError[] = [];
  if (!metadata.uid) errors.push(required("metadata.uid"));
  for (const [key, value] of Object.entries(wanted)) {
    const at = `spec.template.metadata.labels[${key}]`;
    if (labels[key] === undefined) errors.push(required(at, `must be '${value}'`));
    else if (labels[key] !== value) errors.push(invalid(at, sorted(labels), `must be '${value}'`));
  }
  if (!matchesLabels(spec.selector, wanted))
    errors.push(invalid("spec.selector", selectorValue(spec.selector), "`selector` not auto-generated"));
  return errors;
}

const UID_LABEL = "batch.kubernetes.io/controller-uid";
const NAME_LABEL = "batch.kubernetes.io/job-name";

export function validateJobSpec(spec: JobSpec, path: string, origin: TemplateOrigin): FieldError[] {
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
  if (spec.managedBy !== undefined) {
    errors.push(...checkDomainPrefixedPath(spec.managedBy, `${path}.managedBy`));
    if (Buffer.byteLength(spec.managedBy) > MAX_MANAGER) errors.push(tooLong(`${path}.managedBy`, MAX_MANAGER));
  }
  const mode = spec.completionMode;
  if (mode !== undefined && mode !== "NonIndexed" && mode !== "Indexed")
    errors.push(notSupported(`${path}.completionMode`, mode, ["NonIndexed", "Indexed"]));
  if (mode === "Indexed") errors.push(...validateIndexed(spec, path));
  else if (mode === undefined || mode === "NonIndexed")
    for (const field of ["backoffLimitPerIndex", "maxFailedIndexes"] as const)
      if (spec[field] !== undefined) errors.push(invalid(`${path}.${field}`, spec[field], NEEDS_INDEXES));
  const rules = spec.podFailurePolicy?.rules ?? [];
  if (rules.length > MAX_RULES) errors.push(tooMany(`${path}.podFailurePolicy.rules`, rules.length, MAX_RULES));
  const names = [...(spec.template?.spec?.initContainers ?? []), ...(spec.template?.spec?.containers ?? [])].map(
    ({ name }) => name,
  );
  for (const [i, rule] of rules.entries())
    errors.push(...validateFailureRule(rule, `${path}.podFailurePolicy.rules[${i}]`, spec, names));
  if (spec.successPolicy !== undefined)
    errors.push(
      ...(mode === "Indexed"
        ? validateSuccessPolicy(spec, `${path}.successPolicy.rules`)
        : [
            invalid(
              `${path}.successPolicy`,
              internalValue(spec.successPolicy, "io.k8s.api.batch.v1.SuccessPolicy"),
              NEEDS_INDEXES,
            ),
          ]),
    );
  const policy = spec.podReplacementPolicy;
  if (policy !== undefined) {
    const allowed = spec.podFailurePolicy === undefined ? ["Failed", "TerminatingOrFailed"] : ["Failed"];
    if (!allowed.includes(policy)) errors.push(notSupported(`${path}.podReplacementPolicy`, policy, allowed));
  }
  errors.push(...validatePodTemplate(spec.template, `${path}.template`, origin));
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
  return errors;
}

function validateSuccessPolicy({ successPolicy, completions = 0 }: JobSpec, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const rules = successPolicy?.rules ?? [];
  if (rules.length === 0)
    errors.push(required(at, "at least one rules must be specified when the successPolicy is specified"));
  if (rules.length > MAX_RULES) errors.push(tooMany(at, rules.length, MAX_RULES));
  for (const [i, { succeededCount, succeededIndexes }] of rules.entries()) {
    if (succeededCount === undefined && succeededIndexes === undefined)
      errors.push(required(`${at}[${i}]`, "at least one of succeededCount or succeededIndexes must be specified"));
    let total = 0;
    if (succeededIndexes !== undefined) {
      const path = `${at}[${i}].succeededIndexes`;
      if (succeededIndexes.length > MAX_INDEXES_BYTES) errors.push(tooLong(path, MAX_INDEXES_BYTES));
      const parsed = parseIndexes(succeededIndexes, completions);
      if (typeof parsed === "string")
        errors.push(invalid(path, succeededIndexes, `error parsing succeededIndexes: ${parsed}`));
      else total = parsed.reduce((sum, [first, last]) => sum + last - first + 1, 0);
    }
    if (succeededCount === undefined) continue;
    const path = `${at}[${i}].succeededCount`;
    errors.push(...checkNonNegative(succeededCount, path));
    if (succeededCount > completions)
      errors.push(
        invalid(
          path,
          succeededCount,
          `must be less than or equal to ${completions} (the number of specified completions)`,
        ),
      );
    if (succeededIndexes !== undefined && succeededCount > total)
      errors.push(
        invalid(
          path,
          succeededCount,
          `must be less than or equal to ${total} (the number of indexes in the specified succeededIndexes field)`,
        ),
      );
  }
  return errors;
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
    if (values.length === 0)
      errors.push(invalid(`${at}.values`, isGivenEmpty(values) ? [] : null, "at least one value is required"));
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
    errors.push(invalid(path, undefined, "specifying both OnExitCodes and OnPodConditions is not supported"));
  if (onExitCodes === undefined && onPodConditions.length === 0)
    errors.push(invalid(path, undefined, "specifying one of OnExitCodes and OnPodConditions is required"));
  return errors;
}

const FIXED = ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] as const;

export function validateJobUpdate(job: Job, old: Job, context: TemplateOrigin = {}): FieldError[] {
  const origin = { ...context, oldTemplate: old.spec.template };
  // Upstream looks at the specification once as if it were new and once as a change.
  const errors = [...validateJob(job, origin, old), ...validateAny(job, origin)];
  const [spec, before] = [job.spec, old.spec];
  const fixed = (field: (typeof FIXED)[number] | "completions" | "selector", shown: unknown = spec[field]) =>
    semanticEqual(spec[field], before[field]) ? [] : [invalid(`spec.${field}`, shown ?? null, "field is immutable")];
  if (spec.completions !== before.completions) {
    if (spec.completionMode !== "Indexed") errors.push(...fixed("completions"));
    else if (spec.completions !== spec.parallelism)
      errors.push(
        invalid("spec.completions", spec.completions ?? null, "can only be modified in tandem with spec.parallelism"),
      );
  }
  errors.push(...fixed("selector", selectorValue(spec.selector)), ...validateTemplateUpdate(job, old));
  for (const field of FIXED) {
    const type = { podFailurePolicy: "PodFailurePolicy", successPolicy: "SuccessPolicy" }[field as string];
    errors.push(
      ...fixed(
        field,
        type !== undefined && spec[field] !== undefined
          ? internalValue(spec[field], `io.k8s.api.batch.v1.${type}`)
          : spec[field],
      ),
    );
  }
  return errors;
}

const ofPods = ({ nodeAffinity: _, ...rest }: Affinity = {}): object => rest;

const withMetadata = (template: PodTemplateSpec | undefined): object => ({
  ...template,
  metadata: template?.metadata ?? {},
});

/** While a job is suspended and has not started, a queue controller may say where its pods go. */
function validateTemplateUpdate({ spec }: Job, old: Job): FieldError[] {
  const before = old.spec;
  const paused = old.status?.startTime === undefined || isTrue(old.status, "Suspended");
  const waiting = before.suspend === true && paused && (old.status?.active ?? 0) === 0;
  let template = spec.template;
  if (waiting && template?.spec !== undefined && before.template?.spec !== undefined) {
    const from = before.template;
    template = {
      ...template,
      metadata: { ...template.metadata, annotations: from.metadata?.annotations, labels: from.metadata?.labels },
      spec: {
        ...template.spec,
        ...Object.fromEntries(
          (["nodeSelector", "tolerations", "schedulingGates"] as const).map((field) => [field, from.spec![field]]),
        ),
        // To which nodes, not to which pods.
        ...(semanticEqual(ofPods(template.spec.affinity), ofPods(from.spec!.affinity)) && {
          affinity: from.spec!.affinity,
        }),
        containers: withResourcesOf(template.spec.containers, from.spec!.containers),
        ...(template.spec.initContainers !== undefined && {
          initContainers: withResourcesOf(template.spec.initContainers, from.spec!.initContainers ?? []),
        }),
      },
    } as typeof template;
  }
  const same = waiting
    ? semanticEqual(template?.spec, before.template?.spec)
    : semanticEqual(withMetadata(template), withMetadata(before.template));
  return same
    ? []
    : waiting
      ? [
          invalid(
            "spec.template.spec",
            internalValue(spec.template?.spec, "io.k8s.api.core.v1.PodSpec"),
            "field is immutable",
          ),
        ]
      : [
          invalid(
            "spec.template",
            internalValue(spec.template, "io.k8s.api.core.v1.PodTemplateSpec"),
            "field is immutable",
          ),
        ];
}

/** What a container needs may change while it isn't there. */
function withResourcesOf(containers: readonly Container[], before: readonly Container[]): readonly Container[] {
  if (containers.length !== before.length) return containers;
  return containers.map((container, i) =>
    container.name === before[i]!.name ? ({ ...container, resources: before[i]!.resources } as Container) : container,
  );
}

/** A list as `1,3-5` of numbers below `completions`: its intervals, or what is wrong with it. */
function parseIndexes(text: string, completions: number): readonly (readonly [number, number])[] | string {
  if (text === "") return [];
  const intervals: (readonly [number, number])[] = [];
  for (const part of text.split(",")) {
    const limits = part.split("-");
    if (limits.length > 2)
      return `the fragment ${JSON.stringify(part)} violates the requirement that an index interval can have at most two parts separated by '-'`;
    for (const limit of limits) {
      if (!/^[+]?[0-9]+$/.test(limit)) return `cannot convert string to integer for index: ${JSON.stringify(limit)}`;
      if (Number(limit) >= completions) return `too large index: ${JSON.stringify(limit)}`;
    }
    const [first, last] = [Number(limits[0]), Number(limits.at(-1))];
    if (limits.length === 2 && first >= last) return `non-increasing order, previous: ${first}, current: ${last}`;
    const before = intervals.at(-1)?.[1];
    if (before !== undefined && before >= first) return `non-increasing order, previous: ${before}, current: ${first}`;
    intervals.push([first, last]);
  }
  return intervals;
}

type Status = NonNullable<Job["status"]>;

const finished = (status: Status): boolean => isTrue(status, "Complete") || isTrue(status, "Failed");

/** Most rules are asked only of what this write changes: a status that a change of the specification has made wrong can still be mended. */
export function validateJobStatus(job: Job, old: Job): FieldError[] {
  const [status, before]: [Status, Status] = [job.status ?? {}, old.status ?? {}];
  return [...validateStatusAlone(job, status, before), ...validateStatusChange(job, status, before)];
}

function validateStatusAlone({ spec }: Job, status: Status, before: Status): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["active", "succeeded", "failed", "ready", "terminating"] as const)
    errors.push(...checkNonNegative(status[field], `status.${field}`));
  const seen = new Set<string>();
  for (const field of ["succeeded", "failed"] as const)
    for (const [i, uid] of (status.uncountedTerminatedPods?.[field] ?? []).entries()) {
      const at = `status.uncountedTerminatedPods.${field}[${i}]`;
      if (uid === "") errors.push(invalid(at, uid, "must not be empty"));
      else if (seen.has(uid)) errors.push(duplicate(at, uid));
      seen.add(uid);
    }
  const is = (type: string) => isTrue(status, type);
  const turned = (...types: string[]) => types.some((type) => is(type) !== isTrue(before, type));
  const changed = (...fields: (keyof Status)[]) => fields.some((field) => !semanticEqual(status[field], before[field]));
  const clash = (words: string) => errors.push(invalid("status.conditions", undefined, words));
  const { startTime, completionTime, completedIndexes = "", failedIndexes } = status;
  const done = finished(status);
  const finishing = done !== finished(before);
  if (turned("Complete", "Failed") && is("Complete") && is("Failed"))
    clash("cannot set Complete=True and Failed=true conditions");
  if (turned("Complete", "FailureTarget") && is("Complete") && is("FailureTarget"))
    clash("cannot set Complete=True and FailureTarget=true conditions");
  if (turned("Complete") || changed("completionTime")) {
    if (completionTime !== undefined && !is("Complete"))
      errors.push(
        invalid(
          "status.completionTime",
          completionTime,
          "cannot set completionTime when there is no Complete=True condition",
        ),
      );
    if (completionTime === undefined && is("Complete"))
      errors.push(required("status.completionTime", "completionTime is required for Complete jobs"));
  }
  if (changed("startTime", "completionTime") && startTime !== undefined && completionTime !== undefined)
    if (Date.parse(completionTime) < Date.parse(startTime))
      errors.push(invalid("status.completionTime", completionTime, "must be equal to or after `startTime`"));
  if ((turned("Failed") || changed("failedIndexes")) && is("Failed") && !is("FailureTarget"))
    clash("cannot set Failed=True condition without the FailureTarget=true condition");
  if (turned("Complete", "SuccessCriteriaMet") && is("Complete") && !is("SuccessCriteriaMet"))
    clash("cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
  if (done && (status.active ?? 0) > 0 && (finishing || changed("active")))
    errors.push(invalid("status.active", status.active, "active>0 is invalid for finished job"));
  if (done && startTime === undefined && (finishing || changed("startTime")))
    if (spec.suspend !== true || spec.completions !== 0)
      errors.push(required("status.startTime", "startTime is required for finished job"));
  if (done && seen.size > 0 && (finishing || changed("uncountedTerminatedPods")))
    errors.push(
      invalid(
        "status.uncountedTerminatedPods",
        internalValue(status.uncountedTerminatedPods, "io.k8s.api.batch.v1.UncountedTerminatedPods"),
        "must be empty for finished job",
      ),
    );
  errors.push(...validateIndexesOfStatus(spec, completedIndexes, failedIndexes, changed));
  if (done && (status.terminating ?? 0) > 0 && (finishing || changed("terminating")))
    errors.push(invalid("status.terminating", status.terminating, "terminating>0 is invalid for finished job"));
  if (changed("ready", "active") && status.ready !== undefined && status.ready > (status.active ?? 0))
    errors.push(invalid("status.ready", status.ready, "cannot set more ready pods than active"));
  if (is("SuccessCriteriaMet") && is("Failed")) clash("cannot set SuccessCriteriaMet=True and Failed=true conditions");
  if (is("SuccessCriteriaMet") && is("FailureTarget"))
    clash("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
  if (spec.successPolicy !== undefined && is("Complete") && !is("SuccessCriteriaMet"))
    clash("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
  return errors;
}

function validateIndexesOfStatus(
  { completions, completionMode, backoffLimitPerIndex }: JobSpec,
  completed: string,
  failed: string | undefined,
  changed: (...fields: (keyof Status)[]) => boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const parse = (field: "completedIndexes" | "failedIndexes", text: string) => {
    const parsed = parseIndexes(text, completions ?? 0);
    if (typeof parsed === "string") errors.push(invalid(`status.${field}`, text, `error parsing ${field}: ${parsed}`));
  };
  const [newCompleted, newFailed] = [changed("completedIndexes"), changed("failedIndexes")];
  if (newCompleted && completions !== undefined) parse("completedIndexes", completed);
  if (newFailed && completions !== undefined && backoffLimitPerIndex !== undefined && failed !== undefined)
    parse("failedIndexes", failed);
  if (newCompleted && completed !== "" && completionMode !== "Indexed")
    errors.push(
      invalid(
        "status.completedIndexes",
        completed,
        "cannot set non-empty completedIndexes when non-indexed completion mode",
      ),
    );
  if (failed === undefined) return errors;
  if (newFailed && backoffLimitPerIndex === undefined)
    errors.push(
      invalid("status.failedIndexes", failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"),
    );
  if ((newFailed || newCompleted) && completions !== undefined) {
    const overlap = firstOverlap(parseIndexes(completed, completions), parseIndexes(failed, completions));
    if (overlap !== undefined)
      errors.push(
        invalid("status.failedIndexes", failed, `failedIndexes and completedIndexes overlap at index: ${overlap}`),
      );
  }
  return errors;
}

type Indexes = ReturnType<typeof parseIndexes>;

function firstOverlap(completed: Indexes, failed: Indexes): number | undefined {
  if (typeof completed === "string" || typeof failed === "string") return undefined;
  for (const [first, last] of completed)
    for (const [low, high] of failed) if (Math.max(first, low) <= Math.min(last, high)) return Math.max(first, low);
  return undefined;
}

function validateStatusChange({ spec }: Job, status: Status, before: Status): FieldError[] {
  const errors: FieldError[] = [];
  const is = (type: string) => isTrue(status, type);
  const was = (type: string) => isTrue(before, type);
  const clash = (words: string) => errors.push(invalid("status.conditions", undefined, words));
  for (const type of ["Failed", "Complete", "FailureTarget"])
    if (was(type) && !is(type)) clash(`cannot disable the terminal ${type}=True condition`);
  // Both numbers of an indexed job may go down together.
  const shrinks = spec.completionMode === "Indexed" && spec.completions === spec.parallelism;
  for (const field of ["failed", "succeeded"] as const)
    if ((status[field] ?? 0) < (before[field] ?? 0) && !(field === "succeeded" && shrinks))
      errors.push(invalid(`status.${field}`, status[field] ?? 0, `cannot decrease the ${field} counter`));
  const { startTime, completionTime } = status;
  if (completionTime !== undefined && before.completionTime !== undefined && completionTime !== before.completionTime)
    errors.push(invalid("status.completionTime", completionTime, "field is immutable"));
  const resumes =
    was("Suspended") && (status.conditions ?? []).some((one) => one.type === "Suspended" && one.status === "False");
  if (before.startTime !== undefined && before.startTime !== startTime && spec.suspend !== true && !resumes)
    errors.push(invalid("status.startTime", startTime ?? null, "field is immutable for unsuspended job once set"));
  if (was("SuccessCriteriaMet") && !is("SuccessCriteriaMet"))
    clash("cannot disable the SuccessCriteriaMet=True condition");
  if (was("Complete") && !was("SuccessCriteriaMet") && is("SuccessCriteriaMet"))
    clash("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
  return errors;
}
