/** Copies the topology labels of a node to the pods that are bound to it. Upstream: plugin/pkg/admission/podtopologylabels */
import { defineAdmission } from "../framework.ts";

const KEYS = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

export const podTopologyLabels = defineAdmission({
  name: "PodTopologyLabels",
  onByDefault: true,
  reads: ["nodes"],
  handles: { operations: ["CREATE"], resources: ["pods"], subresources: ["binding"] },
  admit({ object, subresource }, { cluster, gate }) {
    if (!gate("PodTopologyLabelsAdmission", true)) return;
    const target = object.target;
    // A binding's labels become the pod's; a pod that is made with a node has it from the start.
    const name = subresource === "" ? object.spec.nodeName : target?.kind === "Node" ? target.name : undefined;
    if ((name ?? "") === "") return;
    const node = cluster.get("nodes", "", name);
    const labels = Object.fromEntries(
      KEYS.flatMap((key) => {
        const value: string | undefined = node?.metadata.labels?.[key];
        return value === undefined ? [] : [[key, value]];
      }),
    );
    if (Object.keys(labels).length > 0) object.metadata.labels = { ...object.metadata.labels, ...labels };
  },
});
