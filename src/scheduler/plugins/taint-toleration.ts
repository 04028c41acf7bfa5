/**
 * Rejects nodes with taints that the pod does not tolerate, and prefers those with fewer `PreferNoSchedule` taints that it does not tolerate.
 * Upstream: pkg/scheduler/framework/plugins/tainttoleration
 */
import type { Node } from "../../api/generated/core.v1.ts";
import { ADD, UPDATE_NODE_TAINT, UPDATE_POD_TOLERATION } from "../events.ts";
import { definePlugin, unresolvable } from "../framework.ts";
import { byLargest } from "./normalize.ts";
import { toleratesTaint, untolerated } from "../../api/core/v1/node/taints.ts";

const TAINTED = unresolvable("node(s) had untolerated taint(s)");

export const taintToleration = definePlugin({
  name: "TaintToleration",
  weight: 3,
  create: () => ({
    retryOn: [
      {
        resource: "Node",
        actions: ADD | UPDATE_NODE_TAINT,
        hint({ spec }, old, object) {
          const blocked = (node: Node) => untolerated(node.spec?.taints ?? [], spec.tolerations) !== undefined;
          return !blocked(object as Node) && (old === undefined || blocked(old as Node)) ? "queue" : "skip";
        },
      },
      {
        resource: "UnschedulablePod",
        actions: UPDATE_POD_TOLERATION,
        hint: (pod, _old, object) => (object?.metadata.uid === pod.metadata.uid ? "queue" : "skip"),
      },
    ],
    filter({ pod }) {
      const { tolerations } = pod.spec;
      return {
        check: ({ taints }) =>
          taints.length > 0 && untolerated(taints, tolerations) !== undefined ? TAINTED : undefined,
      };
    },
    score({ pod }) {
      const tolerations = pod.spec.tolerations?.filter(
        ({ effect }) => effect === undefined || effect === "" || effect === "PreferNoSchedule",
      );
      return (nodes, scores) => {
        for (let i = 0; i < nodes.length; i++) {
          const { taints } = nodes[i]!;
          let count = 0;
          for (const taint of taints) {
            if (taint.effect === "PreferNoSchedule" && !toleratesTaint(tolerations, taint)) count++;
          }
          scores[i] = count;
        }
        byLargest(scores, nodes.length, true);
      };
    },
  }),
});
