/** Rejects nodes on which another pod uses a host port that this pod needs. Upstream: pkg/scheduler/framework/plugins/nodeports */
import type { Pod } from "../../api/generated/core.v1.ts";
import { ADD, DELETE } from "../events.ts";
import { definePlugin, unschedulable } from "../framework.ts";

const TAKEN = unschedulable("node(s) didn't have free ports for the requested pod ports");

export const nodePorts = definePlugin({
  name: "NodePorts",
  create({ cache }) {
    return {
      retryOn: [
        {
          resource: "AssignedPod",
          actions: DELETE,
          hint(pod, old) {
            const freed = cache.podInfo(old as Pod).ports;
            const frees = cache
              .podInfo(pod)
              .ports.some((port) =>
                freed.some(
                  (other) =>
                    other.port === port.port &&
                    other.protocol === port.protocol &&
                    (other.ip === port.ip || other.ip === "0.0.0.0" || port.ip === "0.0.0.0"),
                ),
              );
            return frees ? "queue" : "skip";
          },
        },
        { resource: "Node", actions: ADD },
      ],
      filter({ ports }) {
        if (ports.length === 0) return undefined;
        return { check: (node) => (node.portsConflict(ports) ? TAKEN : undefined) };
      },
    };
  },
});
