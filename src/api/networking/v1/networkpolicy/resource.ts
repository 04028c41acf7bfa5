/** Upstream: pkg/apis/networking/v1/defaults.go, pkg/registry/networking/networkpolicy */
import { ageColumn, column, nameColumn, selectorText } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { NetworkPolicy } from "../../../generated/networking.v1.ts";
import { validateNetworkPolicy } from "./validation.ts";

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
    validate: validateNetworkPolicy,
  },
  columns: [nameColumn, column("Pod-Selector", "string", ({ spec }) => selectorText(spec?.podSelector)), ageColumn],
});
