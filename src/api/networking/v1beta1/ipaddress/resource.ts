/** The same as v1, field for field. Upstream: pkg/registry/networking/ipaddress */
import { defineResource } from "../../../define.ts";
import type { IPAddress } from "../../../generated/networking.v1beta1.ts";
import { ipAddresses as v1 } from "../../v1/ipaddress/resource.ts";
import { validateIpAddress, validateIpAddressUpdate } from "../../v1/validation.ts";

export const ipAddresses = defineResource<IPAddress>({
  group: "networking.k8s.io",
  version: "v1beta1",
  kind: "IPAddress",
  behaviour: { validate: validateIpAddress, validateUpdate: validateIpAddressUpdate },
  nameRule: v1.validateName!,
  columns: v1.columns,
});
