/** Upstream: pkg/apis/autoscaling/v2/defaults.go, pkg/registry/autoscaling/horizontalpodautoscaler */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { HorizontalPodAutoscaler } from "../../../generated/autoscaling.v2.ts";
import { defaultAutoscaler } from "./defaults.ts";
import { targetsText } from "./targets.ts";
import { validateAutoscaler } from "./validation.ts";

export const horizontalPodAutoscalers = defineResource<HorizontalPodAutoscaler>({
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  behaviour: { defaults: defaultAutoscaler, validate: validateAutoscaler },
  columns: [
    nameColumn,
    column("Reference", "string", ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`),
    column("Targets", "string", targetsText),
    column("MinPods", "string", ({ spec }) => String(spec.minReplicas ?? "<unset>")),
    column("MaxPods", "string", ({ spec }) => spec.maxReplicas),
    column("Replicas", "string", ({ status }) => status?.currentReplicas ?? 0),
    ageColumn,
  ],
});
