/** The CPU-only view of autoscalers; all else rides along in annotations. Upstream: pkg/apis/autoscaling/v1/conversion.go */
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { HorizontalPodAutoscaler } from "../../../generated/autoscaling.v1.ts";
import { horizontalPodAutoscalers as v2, validateFor } from "../../v2/horizontalpodautoscaler/resource.ts";
import { validateAutoscalerStatus } from "../../v2/horizontalpodautoscaler/validation.ts";
import { fromV2, METRICS, toV2 } from "./conversion.ts";

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
    validate: (object, context) => validateFor(toV2(object), context),
    validateUpdate: (object, old, context) => validateFor(toV2(object), context, toV2(old)),
  },
  views: { status: { validateUpdate: (object) => validateAutoscalerStatus(toV2(object)) } },
  columns: v2.columns.map((column) => ({
    ...column,
    cell: (object: HorizontalPodAutoscaler, now: number) => column.cell(toV2(object), now),
  })),
  toStored: toV2,
  fromStored: fromV2,
});
