/** Upstream: pkg/apis/batch, pkg/registry/batch/job */
import { isTrue } from "../../../../machinery/meta/conditions.ts";
import type { Mutable } from "../../../../base/mutable.ts";
import { ageColumn, column, humanDuration, nameColumn, selectorText, wide } from "../../../columns.ts";
import { templateColumns } from "../../../core/v1/pod/template.ts";
import { defineResource } from "../../../define.ts";
import type { Job } from "../../../generated/batch.v1.ts";
import { defaultJob } from "./defaults.ts";
import { validateJob, validateJobStatus, validateJobUpdate } from "./validation.ts";
import { ownerNameWarnings } from "../../../core/v1/pod/warnings.ts";
import { jobWarnings } from "./warnings.ts";

export const jobs = defineResource<Job>({
  group: "batch",
  version: "v1",
  kind: "Job",
  behaviour: {
    defaults: defaultJob,
    prepareForCreate(job) {
      if (job.spec.manualSelector !== true) generateSelector(job);
    },
    validate: (job, context) => validateJob(job, context),
    validateUpdate: validateJobUpdate,
    warnings: (object, old) => [
      ...(old === undefined ? ownerNameWarnings(object.metadata.name) : []),
      ...(old?.metadata.generation === object.metadata.generation ? [] : jobWarnings(object.spec, "spec")),
    ],
  },
  podTemplate: ({ spec }) => spec.template,
  views: { status: { validateUpdate: validateJobStatus } },
  selectableFields: { "status.successful": ({ status }) => String(status?.succeeded ?? 0) },
  columns: [
    nameColumn,
    column("Status", "string", jobStatus),
    column("Completions", "string", ({ spec, status }) => {
      const succeeded = status?.succeeded ?? 0;
      if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
      return (spec.parallelism ?? 0) > 1 ? `${succeeded}/1 of ${spec.parallelism}` : `${succeeded}/1`;
    }),
    column("Duration", "string", ({ status }, now) => {
      if (status?.startTime === undefined) return "";
      const end = status.completionTime === undefined ? now : Date.parse(status.completionTime);
      return humanDuration(end - Date.parse(status.startTime));
    }),
    ageColumn,
    ...templateColumns<Job>(({ spec }) => spec.template),
    wide("Selector", "string", ({ spec }) => selectorText(spec.selector)),
  ],
});

/** A job's pods carry its uid, so that no two jobs can claim the same pod. The store gives the uid before this runs. */
function generateSelector(job: Mutable<Job>): void {
  const { name, uid } = job.metadata;
  const metadata = (job.spec.template.metadata ??= {});
  const labels = (metadata.labels ??= {});
  // Upstream's defaults do so as soon as the job is read again.
  if (Object.keys(job.metadata.labels ?? {}).length === 0) job.metadata.labels = labels;
  labels["controller-uid"] ??= uid;
  labels["batch.kubernetes.io/controller-uid"] ??= uid;
  labels["job-name"] ??= name;
  labels["batch.kubernetes.io/job-name"] ??= name;
  const selector = (job.spec.selector ??= {});
  (selector.matchLabels ??= {})["batch.kubernetes.io/controller-uid"] ??= uid;
}

function jobStatus(job: Job): string {
  const is = (type: string) => isTrue(job.status, type);
  if (is("Complete")) return "Complete";
  if (is("Failed")) return "Failed";
  if (job.metadata.deletionTimestamp !== undefined) return "Terminating";
  if (is("Suspended")) return "Suspended";
  if (is("FailureTarget")) return "FailureTarget";
  if (is("SuccessCriteriaMet")) return "SuccessCriteriaMet";
  return "Running";
}
