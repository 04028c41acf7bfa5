/** Upstream: pkg/apis/batch/v1, pkg/registry/batch/job */
import type { Job } from "../../../generated/batch.v1.ts";
import { defineResource } from "../../../define.ts";

export const jobs = defineResource<Job>({ group: "batch", version: "v1", kind: "Job" });
