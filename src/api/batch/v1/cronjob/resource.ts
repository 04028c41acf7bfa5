/** Upstream: pkg/apis/batch, pkg/registry/batch/cronjob */
import { age, ageColumn, column, nameColumn, orNone, selectorText, wide } from "../../../columns.ts";
import { templateColumns } from "../../../core/v1/pod/template.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { CronJob } from "../../../generated/batch.v1.ts";
import { defaultJobParts } from "../job/defaults.ts";
import { ownerNameWarnings } from "../../../core/v1/pod/warnings.ts";
import { jobWarnings } from "../job/warnings.ts";
import { validateCronJob, validateCronJobUpdate } from "./validation.ts";

const ZONE_IN_SCHEDULE =
  "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";

export const cronJobs = defineResource<CronJob>({
  group: "batch",
  version: "v1",
  kind: "CronJob",
  behaviour: {
    defaults({ spec }) {
      ifEmpty(spec, "concurrencyPolicy", "Allow");
      ifAbsent(spec, "suspend", false);
      ifAbsent(spec, "successfulJobsHistoryLimit", 3);
      ifAbsent(spec, "failedJobsHistoryLimit", 1);
      if (spec.jobTemplate?.spec !== undefined) defaultJobParts(spec.jobTemplate.spec);
    },
    validate: validateCronJob,
    validateUpdate: validateCronJobUpdate,
    warnings: (object, old) => [
      ...(old === undefined ? ownerNameWarnings(object.metadata.name) : []),
      ...(old?.metadata.generation === object.metadata.generation
        ? []
        : jobWarnings(object.spec.jobTemplate?.spec, "spec.jobTemplate.spec")),
      ...(old !== undefined && object.spec.schedule.includes("TZ") ? [ZONE_IN_SCHEDULE] : []),
    ],
  },
  podTemplate: ({ spec }) => spec.jobTemplate?.spec?.template,
  columns: [
    nameColumn,
    column("Schedule", "string", ({ spec }) => spec.schedule ?? ""),
    column("Timezone", "string", ({ spec }) => orNone(spec.timeZone)),
    column("Suspend", "boolean", ({ spec }) =>
      spec.suspend === undefined ? "<unset>" : spec.suspend ? "True" : "False",
    ),
    column("Active", "integer", ({ status }) => (status?.active ?? []).length),
    column("Last Schedule", "string", ({ status }, now) =>
      status?.lastScheduleTime === undefined ? "<none>" : age(status.lastScheduleTime, now),
    ),
    ageColumn,
    ...templateColumns<CronJob>(({ spec }) => spec.jobTemplate?.spec?.template),
    wide("Selector", "string", ({ spec }) => selectorText(spec.jobTemplate?.spec?.selector)),
  ],
});
