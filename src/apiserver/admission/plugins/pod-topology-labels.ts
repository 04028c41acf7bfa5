/** Where a node is, its pods are. Upstream: plugin/pkg/admission/podtopologylabels */
import { defineAdmission } from "../framework.ts";

export const podTopologyLabels = defineAdmission({
  name: "PodTopologyLabels",
  onByDefault: true,
  handles: { operations: ["CREATE"], resources: ["pods"], subresources: ["binding"] },
  admit(request, { cluster }) {
    if (request.subresource !== "binding") return;
    const node = cluster.get("nodes", "", request.object.target?.name ?? "");
    const labels: Record<string, string> = {};
    for (const key of ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"]) {
      const value = node?.metadata.labels?.[key];
      if (value !== undefined) labels[key] = value;
    }
    if (Object.keys(labels).length > 0)
      request.object.metadata.labels = { ...request.object.metadata.labels, ...labels };
  },
});
