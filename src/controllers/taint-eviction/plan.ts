/** When a pod must leave a tainted node. Pure. Upstream: pkg/controller/tainteviction/taint_eviction.go */
import { tolerates } from "../../api/core/v1/node/taints.ts";
import type { Pod, Taint, Toleration } from "../../api/generated/core.v1.ts";

/** Ms from the moment of the taint until the pod must go: 0 at once, undefined never. `taints` are the NoExecute ones. */
export function msUntilEviction({ spec }: Pod, taints: readonly Taint[]): number | undefined {
  const used: Toleration[] = [];
  for (const taint of taints) {
    const toleration = (spec.tolerations ?? []).find((each) => tolerates(each, taint));
    if (toleration === undefined) return 0;
    used.push(toleration);
  }
  const limits = used
    .map(({ tolerationSeconds }) => tolerationSeconds)
    .filter((seconds) => seconds !== undefined) as number[];
  if (limits.length === 0) return undefined;
  return Math.max(0, Math.min(...limits)) * 1000;
}
