/** Rejects nodes that are cordoned. Upstream: pkg/scheduler/framework/plugins/nodeunschedulable */
import type { Node } from "../../api/generated/core.v1.ts";
import { ADD, UPDATE_NODE_TAINT, UPDATE_POD_TOLERATION } from "../events.ts";
import { definePlugin, unresolvable } from "../framework.ts";
import { toleratesTaint } from "../../api/core/v1/node/taints.ts";

const CORDONED = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
const UNSCHEDULABLE = unresolvable("node(s) were unschedulable");

export const nodeUnschedulable = definePlugin({
  name: "NodeUnschedulable",
  create: () => ({
    retryOn: [
      {
        resource: "Node",
        actions: ADD | UPDATE_NODE_TAINT,
        hint(_pod, old, object) {
          const cordoned = (node: Node | undefined) => node?.spec?.unschedulable === true;
          return !cordoned(object as Node) && (old === undefined || cordoned(old as Node)) ? "queue" : "skip";
        },
      },
      {
        resource: "UnschedulablePod",
        actions: UPDATE_POD_TOLERATION,
        hint: (pod, _old, object) =>
          object?.metadata.uid === pod.metadata.uid && toleratesTaint(pod.spec.tolerations, CORDONED)
            ? "queue"
            : "skip",
      },
    ],
    filter({ pod }) {
      if (toleratesTaint(pod.spec.tolerations, CORDONED)) return undefined;
      return { check: ({ node }) => (node!.spec?.unschedulable === true ? UNSCHEDULABLE : undefined) };
    },
  }),
});
