/** Upstream: pkg/apis/autoscaling/v2/defaults.go, pkg/registry/autoscaling/horizontalpodautoscaler */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import type { FieldError } from "../../../../machinery/validation/field-error.ts";
import type { Behaviour, HookContext } from "../../../../machinery/resource.ts";
import { defineResource } from "../../../define.ts";
import type { HorizontalPodAutoscaler } from "../../../generated/autoscaling.v2.ts";
import { defaultAutoscaler } from "./defaults.ts";
import { targetsText } from "./targets.ts";
import { validateAutoscaler, validateAutoscalerStatus } from "./validation.ts";

const GATE = "HPAScaleToZero";

export function validateFor(
  object: HorizontalPodAutoscaler,
  { featureGates }: HookContext,
  old?: HorizontalPodAutoscaler,
): FieldError[] {
  return validateAutoscaler(object, { gate: featureGates.get(GATE) === true, ...(old !== undefined && { old }) });
}

const autoscalerBehaviour: Behaviour<HorizontalPodAutoscaler> = {
  defaults: defaultAutoscaler,
  validate: validateFor,
  validateUpdate: (object, old, context) => validateFor(object, context, old),
};

export const horizontalPodAutoscalers = defineResource<HorizontalPodAutoscaler>({
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  behaviour: autoscalerBehaviour,
  views: { status: { validateUpdate: validateAutoscalerStatus } },
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
