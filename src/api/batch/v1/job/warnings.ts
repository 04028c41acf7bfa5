/** Upstream: pkg/api/job/warnings.go */
import { templateWarnings } from "../../../core/v1/pod/warnings.ts";
import type { JobSpec } from "../../../generated/batch.v1.ts";

const MANY_COMPLETIONS = 100_000;
const MANY_AT_A_TIME = 10_000;

export function jobWarnings(spec: JobSpec | undefined, path: string): readonly string[] {
  if (spec === undefined) return [];
  const { completionMode, completions = 0, parallelism = 0 } = spec;
  const many = completionMode === "Indexed" && completions > MANY_COMPLETIONS && parallelism > MANY_AT_A_TIME;
  return [
    ...(many
      ? [
          `${path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail`,
        ]
      : []),
    ...templateWarnings(spec.template, `${path}.template.`),
  ];
}
