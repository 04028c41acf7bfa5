/** Rejects every node but the one that `spec.nodeName` names. Upstream: pkg/scheduler/framework/plugins/nodename */
import { ADD } from "../events.ts";
import { definePlugin, unresolvable } from "../framework.ts";

const ELSEWHERE = unresolvable("node(s) didn't match the requested node name");

export const nodeName = definePlugin({
  name: "NodeName",
  create: () => ({
    retryOn: [{ resource: "Node", actions: ADD }],
    filter({ pod }) {
      const wanted = pod.spec.nodeName;
      if (wanted === undefined || wanted === "") return undefined;
      return { check: (node) => (node.name === wanted ? undefined : ELSEWHERE) };
    },
  }),
});
