/** Upstream: pkg/apis/discovery/v1, pkg/registry/discovery/endpointslice */
import type { EndpointSlice } from "../../../generated/discovery.v1.ts";
import { defineResource } from "../../../define.ts";

export const endpointSlices = defineResource<EndpointSlice>({
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
});
