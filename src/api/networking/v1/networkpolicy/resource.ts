/** Upstream: pkg/apis/networking/v1/defaults.go, pkg/registry/networking/networkpolicy */
import { cidrWarnings } from "../../../../machinery/validation/ip.ts";
import { ageColumn, column, nameColumn, selectorText } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource, nextGeneration } from "../../../define.ts";
import type { NetworkPolicy, NetworkPolicyPeer } from "../../../generated/networking.v1.ts";
import { deepEqual } from "../../../semantic-equal.ts";
import { validateNetworkPolicy, validateNetworkPolicyUpdate } from "./validation.ts";

export const networkPolicies = defineResource<NetworkPolicy>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
  behaviour: {
    defaults({ spec }) {
      if (spec === undefined) return;
      if ((spec.policyTypes ?? []).length === 0)
        spec.policyTypes = (spec.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
      for (const { ports } of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
        for (const port of ports ?? []) ifAbsent(port, "protocol", "TCP");
    },
    prepareForUpdate(policy, old) {
      // Here alone an empty list counts as a change where there was none.
      if (!deepEqual(policy.spec, old.spec)) nextGeneration(policy, old);
    },
    validate: validateNetworkPolicy,
    validateUpdate: validateNetworkPolicyUpdate,
    warnings: ({ spec }) => [
      ...(spec?.ingress ?? []).flatMap(({ from = [] }, i) => blockWarnings(from, `spec.ingress[${i}].from`)),
      ...(spec?.egress ?? []).flatMap(({ to = [] }, i) => blockWarnings(to, `spec.egress[${i}].to`)),
    ],
  },
  columns: [nameColumn, column("Pod-Selector", "string", ({ spec }) => selectorText(spec?.podSelector)), ageColumn],
});

function blockWarnings(peers: readonly NetworkPolicyPeer[], path: string): readonly string[] {
  return peers.flatMap(({ ipBlock }, i) => [
    ...(ipBlock === undefined ? [] : cidrWarnings(ipBlock.cidr, `${path}[${i}].ipBlock.cidr`)),
    ...(ipBlock?.except ?? []).flatMap((range, j) => cidrWarnings(range, `${path}[${i}].ipBlock.except[${j}]`)),
  ]);
}
