/** Upstream: pkg/apis/batch/validation/validation.go (ValidateCronJob) */
import { checkNonNegative, checkWord } from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, notSupported, required } from "../../../../machinery/validation/field-error.ts";
import { selectorValue } from "../../../internal-value.ts";
import type { CronJob } from "../../../generated/batch.v1.ts";
import type { TemplateOrigin } from "../../../core/v1/pod/validation/spec.ts";
import { validateJobSpec } from "../job/validation.ts";

const MAX_NAME = 52;

export function validateCronJob(cronJob: CronJob, origin: TemplateOrigin = {}): FieldError[] {
  const errors = validateSpec(cronJob, undefined, origin);
  // The job's name adds eleven characters for the time.
  if (cronJob.metadata.name.length > MAX_NAME)
    errors.push(invalid("metadata.name", cronJob.metadata.name, `must be no more than ${MAX_NAME} characters`));
  return errors;
}

export function validateCronJobUpdate(cronJob: CronJob, old: CronJob, origin: TemplateOrigin = {}): FieldError[] {
  return validateSpec(cronJob, old, { ...origin, oldTemplate: old.spec.jobTemplate?.spec?.template });
}

function validateSpec({ spec }: CronJob, old: CronJob | undefined, origin: TemplateOrigin): FieldError[] {
  const errors: FieldError[] = [];
  if (!spec.schedule) errors.push(required("spec.schedule"));
  else {
    const problem = scheduleProblem(spec.schedule);
    if (problem !== undefined) errors.push(invalid("spec.schedule", spec.schedule, problem));
    // A schedule that has had its zone from the start may go on with it.
    const zoned = spec.schedule.includes("TZ");
    if (zoned && old?.spec.schedule?.includes("TZ") === true) {
      if (spec.timeZone !== undefined)
        errors.push(
          invalid("spec.schedule", spec.schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"),
        );
    } else if (zoned)
      errors.push(
        invalid("spec.schedule", spec.schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
      );
  }
  errors.push(...checkNonNegative(spec.startingDeadlineSeconds, "spec.startingDeadlineSeconds"));
  if (old === undefined || old.spec.timeZone !== spec.timeZone) errors.push(...validateTimeZone(spec.timeZone));
  errors.push(...checkWord(spec.concurrencyPolicy, "spec.concurrencyPolicy", ["Allow", "Forbid", "Replace"]));
  errors.push(...checkNonNegative(spec.successfulJobsHistoryLimit, "spec.successfulJobsHistoryLimit"));
  errors.push(...checkNonNegative(spec.failedJobsHistoryLimit, "spec.failedJobsHistoryLimit"));
  const template = spec.jobTemplate?.spec;
  if (template === undefined) return errors;
  if (template.manualSelector === true)
    errors.push(notSupported("spec.jobTemplate.spec.manualSelector", true, ["nil", "false"]));
  if (template.selector !== undefined)
    errors.push(
      invalid("spec.jobTemplate.spec.selector", selectorValue(template.selector), "`selector` will be auto-generated"),
    );
  return [...errors, ...validateJobSpec(template, "spec.jobTemplate.spec", origin)];
}

function validateTimeZone(zone: string | undefined): FieldError[] {
  const path = "spec.timeZone";
  if (zone === undefined) return [];
  if (zone === "") return [invalid(path, zone, "timeZone must be nil or non-empty string")];
  const errors =
    zone.toLowerCase() === "local"
      ? [invalid(path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")]
      : [];
  if (zone === "Local") return errors;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return errors;
  } catch {
    return [...errors, invalid(path, zone, `unknown time zone ${zone}`)];
  }
}

const FIELDS: readonly (readonly [min: number, max: number, names: string])[] = [
  [0, 59, ""],
  [0, 23, ""],
  [1, 31, ""],
  [1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"],
  [0, 6, "sun mon tue wed thu fri sat"],
];
const DESCRIPTORS = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/** What the cron parser would say; undefined when it takes the schedule. */
function scheduleProblem(schedule: string): string | undefined {
  const text = schedule.replace(/^(CRON_)?TZ=\S+\s+/, "").trim();
  if (text.startsWith("@every ")) {
    const period = text.slice("@every ".length);
    return /^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$/.test(period)
      ? undefined
      : `failed to parse duration ${text}: time: invalid duration ${JSON.stringify(period)}`;
  }
  if (text.startsWith("@")) return DESCRIPTORS.includes(text) ? undefined : `unrecognized descriptor: ${text}`;
  const fields = text.split(/\s+/);
  if (fields.length !== FIELDS.length)
    return `expected exactly 5 fields, found ${fields.length}: [${fields.join(" ")}]`;
  for (const [i, field] of fields.entries())
    for (const part of field.split(",")) {
      const problem = rangeProblem(part, FIELDS[i]!);
      if (problem !== undefined) return problem;
    }
  return undefined;
}

function rangeProblem(text: string, [min, max, names]: (typeof FIELDS)[number]): string | undefined {
  const [range = "", step, ...more] = text.split("/");
  if (more.length > 0) return `too many slashes: ${text}`;
  const [from = "", to, ...rest] = range.split("-");
  if (rest.length > 0) return `too many hyphens: ${text}`;
  const words = names.split(" ");
  const number = (word: string): number | string => {
    const named = words.indexOf(word.toLowerCase());
    if (names !== "" && named >= 0) return named + min;
    if (!/^[0-9]+$/.test(word))
      return `failed to parse int from ${word}: strconv.Atoi: parsing ${JSON.stringify(word)}: invalid syntax`;
    return Number(word);
  };
  const any = from === "*" || from === "?";
  const start = any ? min : number(from);
  if (typeof start === "string") return start;
  const end = any ? max : to === undefined ? (step === undefined ? start : max) : number(to);
  if (typeof end === "string") return end;
  const every = step === undefined ? 1 : number(step);
  if (typeof every === "string") return every;
  if (start < min) return `beginning of range (${start}) below minimum (${min}): ${text}`;
  if (end > max) return `end of range (${end}) above maximum (${max}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  return every === 0 ? `step of range should be a positive number: ${text}` : undefined;
}
