/** Upstream: pkg/apis/autoscaling/v2/defaults.go */
import type { Mutable } from "../../../../base/mutable.ts";
import { ifAbsent } from "../../../defaulting.ts";
import type { HorizontalPodAutoscaler, HPAScalingRules } from "../../../generated/autoscaling.v2.ts";

export function defaultAutoscaler({ spec }: Mutable<HorizontalPodAutoscaler>): void {
  ifAbsent(spec, "minReplicas", 1);
  if ((spec.metrics ?? []).length === 0)
    spec.metrics = [
      { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
    ];
  if (spec.behavior === undefined) return;
  // Up at once and fast; down only as fast as the controller's window lets it.
  defaultRules((spec.behavior.scaleUp ??= {}), [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ]);
  ifAbsent(spec.behavior.scaleUp, "stabilizationWindowSeconds", 0);
  defaultRules((spec.behavior.scaleDown ??= {}), [{ type: "Percent", value: 100, periodSeconds: 15 }]);
}

function defaultRules(
  rules: Mutable<HPAScalingRules>,
  policies: Mutable<NonNullable<HPAScalingRules["policies"]>>,
): void {
  ifAbsent(rules, "selectPolicy", "Max");
  ifAbsent(rules, "policies", policies);
}
