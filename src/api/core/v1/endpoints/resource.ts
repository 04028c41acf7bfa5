/** Upstream: pkg/apis/core/v1/defaults.go, pkg/registry/core/endpoint */
import { hostPort } from "../../../../base/host-port.ts";
import { ipWarnings } from "../../../../machinery/validation/ip.ts";
import { ageColumn, column, firstThree, nameColumn } from "../../../columns.ts";
import { ifEmpty } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { Endpoints } from "../../../generated/core.v1.ts";
import { validateEndpoints, validateEndpointsUpdate } from "./validation.ts";

export const endpoints = defineResource<Endpoints>({
  group: "",
  version: "v1",
  kind: "Endpoints",
  behaviour: {
    defaults({ subsets }) {
      for (const { ports } of subsets ?? []) for (const port of ports ?? []) ifEmpty(port, "protocol", "TCP");
    },
    validate: validateEndpoints,
    validateUpdate: validateEndpointsUpdate,
    warnings: endpointsWarnings,
  },
  deprecated: { warning: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" },
  columns: [nameColumn, column("Endpoints", "string", addresses), ageColumn],
});

/** The controller writes addresses as everyone does. */
function endpointsWarnings({ metadata, subsets = [] }: Endpoints): readonly string[] {
  if (metadata.labels?.["endpoints.kubernetes.io/managed-by"] === "endpoint-controller") return [];
  return subsets.flatMap((subset, i) =>
    (["addresses", "notReadyAddresses"] as const).flatMap((list) =>
      (subset[list] ?? []).flatMap(({ ip }, j) => ipWarnings(ip, `subsets[${i}].${list}[${j}].ip`)),
    ),
  );
}

function addresses({ subsets }: Endpoints): string {
  const all = (subsets ?? []).flatMap(({ addresses: ready = [], ports = [] }) => {
    if (ports.length === 0) return ready.map(({ ip }) => ip);
    return ports.flatMap(({ port }) => ready.map(({ ip }) => hostPort(ip, port)));
  });
  return all.length === 0 ? "<none>" : firstThree(all);
}
