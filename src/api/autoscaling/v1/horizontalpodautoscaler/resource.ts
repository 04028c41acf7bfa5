/** The CPU-only view of autoscalers; all else rides along in annotations. Upstream: pkg/apis/autoscaling/v1/conversion.go */
import type { Mutable } from "../../../../base/mutable.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { HorizontalPodAutoscaler } from "../../../generated/autoscaling.v1.ts";
import { horizontalPodAutoscalers as v2, validateFor } from "../../v2/horizontalpodautoscaler/resource.ts";
import { validateAutoscalerStatus } from "../../v2/horizontalpodautoscaler/validation.ts";
import { fromV2, METRICS, OF_SPEC, OF_STATUS, toV2 } from "./conversion.ts";

/** What this version has no fields for stays as it is where the rest of its half of the object does. */
function keepAnnotations(
  { metadata }: Mutable<HorizontalPodAutoscaler>,
  old: HorizontalPodAutoscaler | undefined,
  names: readonly string[],
): void {
  const { annotations = {} } = metadata;
  const rest = Object.entries(annotations).filter(([name]) => !names.includes(name));
  const kept = Object.entries(old?.metadata.annotations ?? {}).filter(([name]) => names.includes(name));
  if (rest.length + kept.length > 0) metadata.annotations = Object.fromEntries([...rest, ...kept]);
  else delete metadata.annotations;
}

export const horizontalPodAutoscalers = defineResource<HorizontalPodAutoscaler>({
  group: "autoscaling",
  version: "v1",
  kind: "HorizontalPodAutoscaler",
  behaviour: {
    defaults({ spec, metadata }) {
      ifAbsent(spec, "minReplicas", 1);
      // Whoever asks for nothing is scaled by CPU.
      if (metadata.annotations?.[METRICS] === undefined) ifAbsent(spec, "targetCPUUtilizationPercentage", 80);
    },
    prepareForCreate: (draft) => keepAnnotations(draft, undefined, OF_STATUS),
    prepareForUpdate: (draft, old) => keepAnnotations(draft, old, OF_STATUS),
    validate: (object, context) => validateFor(toV2(object), context),
    validateUpdate: (object, old, context) => validateFor(toV2(object), context, toV2(old)),
  },
  views: {
    status: {
      prepareForUpdate: (draft, old) => keepAnnotations(draft, old, OF_SPEC),
      validateUpdate: (object) => validateAutoscalerStatus(toV2(object)),
    },
  },
  columns: v2.columns.map((column) => ({
    ...column,
    cell: (object: HorizontalPodAutoscaler, now: number) => column.cell(toV2(object), now),
  })),
  toStored: toV2,
  fromStored: fromV2,
});
