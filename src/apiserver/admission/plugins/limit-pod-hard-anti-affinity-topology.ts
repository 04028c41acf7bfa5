/**
 * Required anti-affinity may only use the topology of nodes: over a wider one, a pod could keep other users' pods out of a whole zone.
 * Upstream: plugin/pkg/admission/antiaffinity
 */
import { defineAdmission, refuse } from "../framework.ts";

const HOSTNAME = "kubernetes.io/hostname";

export const limitPodHardAntiAffinityTopology = defineAdmission({
  name: "LimitPodHardAntiAffinityTopology",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"] },
  validate(request) {
    const terms = request.object.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    for (const { topologyKey } of terms)
      if (topologyKey !== HOSTNAME)
        throw refuse(
          request,
          `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${topologyKey} but only key ${HOSTNAME} is allowed`,
        );
  },
});
