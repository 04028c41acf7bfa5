/** A pod stays five minutes on a node that is lost, unless it says otherwise. */
import type { AnyObject } from "../framework.ts";
import { defineAdmission } from "../framework.ts";

const TAINTS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const SECONDS = 300;

export const defaultTolerationSeconds = defineAdmission({
  name: "DefaultTolerationSeconds",
  onByDefault: true,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"] },
  admit({ object: { spec } }) {
    for (const key of TAINTS) {
      const covered = (spec.tolerations ?? []).some(
        (toleration: AnyObject) =>
          ((toleration.key ?? "") === key || (toleration.key ?? "") === "") &&
          ((toleration.effect ?? "") === "NoExecute" || (toleration.effect ?? "") === ""),
      );
      if (covered) continue;
      spec.tolerations = [
        ...(spec.tolerations ?? []),
        { key, operator: "Exists", effect: "NoExecute", tolerationSeconds: SECONDS },
      ];
    }
  },
});
