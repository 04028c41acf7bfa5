/** Keeps pods with scheduling gates out of the queue. Upstream: pkg/scheduler/framework/plugins/schedulinggates */
import type { Pod } from "../../api/generated/core.v1.ts";
import { UPDATE_POD_GATES_ELIMINATED } from "../events.ts";
import { definePlugin, fits, unresolvable } from "../framework.ts";

export const schedulingGates = definePlugin({
  name: "SchedulingGates",
  create: () => ({
    retryOn: [
      {
        resource: "UnschedulablePod",
        actions: UPDATE_POD_GATES_ELIMINATED,
        hint: (pod, _old, object) => (object?.metadata.uid === pod.metadata.uid ? "queue" : "skip"),
      },
    ],
    preEnqueue(pod: Pod) {
      const gates = pod.spec.schedulingGates ?? [];
      if (gates.length === 0) return fits;
      return unresolvable(`waiting for scheduling gates: [${gates.map(({ name }) => name).join(" ")}]`);
    },
  }),
});
