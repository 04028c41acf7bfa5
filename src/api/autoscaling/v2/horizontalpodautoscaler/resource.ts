/** Upstream: pkg/apis/autoscaling/v2, pkg/registry/autoscaling/horizontalpodautoscaler */
import type { HorizontalPodAutoscaler } from "../../../generated/autoscaling.v2.ts";
import { defineResource } from "../../../define.ts";

export const horizontalPodAutoscalers = defineResource<HorizontalPodAutoscaler>({
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
});
