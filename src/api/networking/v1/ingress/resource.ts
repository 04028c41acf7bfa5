/** Upstream: pkg/apis/networking/v1/defaults.go, pkg/registry/networking/ingress */
import { ageColumn, column, nameColumn, orNone } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import { balancerWarnings } from "../../../core/v1/service/warnings.ts";
import type { Service } from "../../../generated/core.v1.ts";
import type { Ingress } from "../../../generated/networking.v1.ts";
import { validateIngress, validateIngressStatus, validateIngressUpdate } from "./validation.ts";

const CLASS_ANNOTATION = "kubernetes.io/ingress.class";

export const ingresses = defineResource<Ingress>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "Ingress",
  behaviour: {
    validate: validateIngress,
    validateUpdate: validateIngressUpdate,
    warnings: ({ metadata, spec }, old) =>
      old === undefined && metadata.annotations?.[CLASS_ANNOTATION] !== undefined && spec.ingressClassName === undefined
        ? [`annotation "${CLASS_ANNOTATION}" is deprecated, please use 'spec.ingressClassName' instead`]
        : [],
  },
  views: {
    status: {
      validateUpdate: validateIngressStatus,
      warnings: ({ status }) => balancerWarnings(status as Service["status"]),
    },
  },
  columns: [
    nameColumn,
    column("Class", "string", ({ spec }) => orNone(spec?.ingressClassName)),
    column("Hosts", "string", hostsText),
    column("Address", "string", ({ status }) =>
      [...new Set((status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || ""))]
        .filter((text) => text !== "")
        .sort()
        .join(","),
    ),
    column("Ports", "string", ({ spec }) => ((spec?.tls ?? []).length > 0 ? "80, 443" : "80")),
    ageColumn,
  ],
});

function hostsText({ spec }: Ingress): string {
  const rules = spec?.rules ?? [];
  const hosts: string[] = [];
  for (const { host } of rules) {
    if (hosts.length === 3) return `${hosts.join(",")} + ${rules.length - 3} more...`;
    if (host) hosts.push(host);
  }
  return hosts.length === 0 ? "*" : hosts.join(",");
}
