/** Upstream: pkg/apis/autoscaling/v1, pkg/registry/autoscaling/horizontalpodautoscaler */
import type { HorizontalPodAutoscaler } from "../../../generated/autoscaling.v1.ts";
import { defineResource } from "../../../define.ts";

export const horizontalPodAutoscalers = defineResource<HorizontalPodAutoscaler>({
  group: "autoscaling",
  version: "v1",
  kind: "HorizontalPodAutoscaler",
});
