/** Upstream: pkg/apis/batch/v1/defaults.go */
import type { Mutable } from "../../../../base/mutable.ts";
import { defaultPodTemplate } from "../../../core/v1/pod/defaults.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import type { Job, JobSpec } from "../../../generated/batch.v1.ts";

export function defaultJob(job: Mutable<Job>): void {
  const spec = job.spec;
  if (spec.completions === undefined && spec.parallelism === undefined) {
    spec.completions = 1;
    spec.parallelism = 1;
  }
  ifAbsent(spec, "parallelism", 1);
  // With a limit for each index there is none for the whole.
  ifAbsent(spec, "backoffLimit", spec.backoffLimitPerIndex === undefined ? 6 : 2147483647);
  const labels = spec.template?.metadata?.labels;
  // The template's own map, so that what is added to that later is added here, as upstream has it.
  if (labels !== undefined && Object.keys(job.metadata.labels ?? {}).length === 0) job.metadata.labels = labels;
  ifAbsent(spec, "completionMode", "NonIndexed");
  ifAbsent(spec, "suspend", false);
  ifAbsent(spec, "podReplacementPolicy", spec.podFailurePolicy === undefined ? "TerminatingOrFailed" : "Failed");
  ifAbsent(spec, "manualSelector", false);
  defaultJobParts(spec);
}

/** What the template of a cron job gets, too. */
export function defaultJobParts(spec: Mutable<JobSpec>): void {
  for (const rule of spec.podFailurePolicy?.rules ?? [])
    for (const pattern of rule.onPodConditions ?? []) ifEmpty(pattern, "status", "True");
  defaultPodTemplate(spec.template);
}
