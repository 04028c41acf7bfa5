/** Upstream: pkg/apis/batch/v1, pkg/registry/batch/cronjob */
import type { CronJob } from "../../../generated/batch.v1.ts";
import { defineResource } from "../../../define.ts";

export const cronJobs = defineResource<CronJob>({ group: "batch", version: "v1", kind: "CronJob" });
