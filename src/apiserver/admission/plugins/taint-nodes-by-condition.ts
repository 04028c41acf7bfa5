/** A new node is tainted as not ready, so that no pod is scheduled to it too early. Upstream: plugin/pkg/admission/nodetaint */
import type { AnyObject } from "../framework.ts";
import { defineAdmission } from "../framework.ts";

export const taintNodesByCondition = defineAdmission({
  name: "TaintNodesByCondition",
  onByDefault: true,
  handles: { operations: ["CREATE"], resources: ["nodes"] },
  admit({ object }) {
    const key = "node.kubernetes.io/not-ready";
    object.spec ??= {};
    const taints: readonly AnyObject[] = object.spec.taints ?? [];
    if (taints.some((taint) => taint.key === key && taint.effect === "NoSchedule")) return;
    object.spec.taints = [...taints, { key, effect: "NoSchedule" }];
  },
});
