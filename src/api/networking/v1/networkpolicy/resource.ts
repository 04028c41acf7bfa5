/** Upstream: pkg/apis/networking/v1, pkg/registry/networking/networkpolicy */
import type { NetworkPolicy } from "../../../generated/networking.v1.ts";
import { defineResource } from "../../../define.ts";

export const networkPolicies = defineResource<NetworkPolicy>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
});
