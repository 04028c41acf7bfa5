/** Upstream: pkg/apis/discovery/v1/defaults.go, pkg/registry/discovery/endpointslice */
import { ipWarnings } from "../../../../machinery/validation/ip.ts";
import { ageColumn, column, firstThree, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource, nextGeneration } from "../../../define.ts";
import type { EndpointSlice } from "../../../generated/discovery.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateEndpointSlice, validateEndpointSliceUpdate } from "./validation.ts";

export const endpointSlices = defineResource<EndpointSlice>({
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  behaviour: {
    defaults({ ports }) {
      for (const port of ports ?? []) {
        ifAbsent(port, "name", "");
        ifAbsent(port, "protocol", "TCP");
      }
    },
    prepareForCreate: ({ endpoints }) => {
      for (const endpoint of endpoints ?? []) delete endpoint.deprecatedTopology;
    },
    prepareForUpdate(slice, old) {
      const {
        metadata: { labels },
        ...content
      } = slice;
      const {
        metadata: { labels: oldLabels },
        ...oldContent
      } = old;
      if (!semanticEqual(content, oldContent) || !semanticEqual(labels ?? {}, oldLabels ?? {}))
        nextGeneration(slice, old);
      if (!semanticEqual(slice.endpoints, old.endpoints))
        for (const endpoint of slice.endpoints ?? []) delete endpoint.deprecatedTopology;
    },
    validate: (slice) => validateEndpointSlice(slice),
    validateUpdate: validateEndpointSliceUpdate,
    warnings: (slice, old) => [
      ...(old === undefined && slice.addressType === "FQDN" ? ["spec.addressType: FQDN endpoints are deprecated"] : []),
      ...addressWarnings(slice),
    ],
  },
  columns: [
    nameColumn,
    column("AddressType", "string", ({ addressType }) => addressType ?? ""),
    column("Ports", "string", ({ ports }) =>
      orUnset((ports ?? []).map(({ port, name }) => (port === undefined ? (name ?? "*") : String(port)))),
    ),
    column("Endpoints", "string", ({ endpoints }) => orUnset((endpoints ?? []).flatMap(({ addresses }) => addresses))),
    ageColumn,
  ],
});

const orUnset = (texts: readonly string[]): string => (texts.length === 0 ? "<unset>" : firstThree(texts));

const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
const CONTROLLERS: readonly (string | undefined)[] = [
  "endpointslice-controller.k8s.io",
  "endpointslicemirroring-controller.k8s.io",
];

/** Upstream's own controllers write addresses as everyone does. */
function addressWarnings({ metadata, endpoints = [] }: EndpointSlice): readonly string[] {
  if (CONTROLLERS.includes(metadata.labels?.[MANAGED_BY])) return [];
  return endpoints.flatMap(({ addresses }, i) =>
    addresses.flatMap((address, j) => ipWarnings(address, `endpoints[${i}].addresses[${j}]`)),
  );
}
