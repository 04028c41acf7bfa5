/** Upstream: pkg/apis/networking/v1, pkg/registry/networking/ipaddress */
import type { IPAddress } from "../../../generated/networking.v1.ts";
import { defineResource } from "../../../define.ts";

export const ipAddresses = defineResource<IPAddress>({ group: "networking.k8s.io", version: "v1", kind: "IPAddress" });
