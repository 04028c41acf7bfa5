/** Which taints a pod tolerates. Upstream: staging/src/k8s.io/component-helpers/scheduling/corev1/helpers.go */
import type { Taint, Toleration } from "../../../generated/core.v1.ts";

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  const { effect, key, operator, value = "" } = toleration;
  if (effect !== undefined && effect !== "" && effect !== taint.effect) return false;
  if (key !== undefined && key !== "" && key !== taint.key) return false;
  switch (operator) {
    case undefined:
    case "":
    case "Equal":
      return value === (taint.value ?? "");
    case "Exists":
      return true;
    default:
      return false;
  }
}

export function toleratesTaint(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return tolerations?.some((toleration) => tolerates(toleration, taint)) === true;
}

/** The first taint that keeps new pods off the node and isn't tolerated. */
export function untolerated(
  taints: readonly Taint[],
  tolerations: readonly Toleration[] | undefined,
): Taint | undefined {
  for (const taint of taints) {
    if (taint.effect !== "NoSchedule" && taint.effect !== "NoExecute") continue;
    if (!toleratesTaint(tolerations, taint)) return taint;
  }
  return undefined;
}
