/**
 * Pods that say nothing else tolerate a node that is not ready or unreachable for a while.
 * Upstream: plugin/pkg/admission/defaulttolerationseconds
 */
import type { AnyObject } from "../framework.ts";
import { defineAdmission } from "../framework.ts";

export const defaultTolerationSeconds = defineAdmission({
  name: "DefaultTolerationSeconds",
  onByDefault: true,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"] },
  configure({ flags }) {
    const taints = [
      ["node.kubernetes.io/not-ready", flags.notReadySeconds],
      ["node.kubernetes.io/unreachable", flags.unreachableSeconds],
    ] as const;
    return {
      admit({ object: { spec } }) {
        for (const [key, tolerationSeconds] of taints) {
          const covered = (spec.tolerations ?? []).some(
            (toleration: AnyObject) =>
              ((toleration.key ?? "") === key || (toleration.key ?? "") === "") &&
              ((toleration.effect ?? "") === "NoExecute" || (toleration.effect ?? "") === ""),
          );
          if (covered) continue;
          const toleration = { key, operator: "Exists", effect: "NoExecute", tolerationSeconds };
          spec.tolerations = (spec.tolerations ?? []).concat(toleration);
        }
      },
    };
  },
});
