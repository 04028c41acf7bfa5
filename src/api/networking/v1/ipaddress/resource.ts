/** Upstream: pkg/registry/networking/ipaddress */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { IPAddress } from "../../../generated/networking.v1.ts";
import { isCanonicalIp } from "../../../../machinery/validation/ip.ts";
import { validateIpAddress, validateIpAddressUpdate } from "../validation.ts";

export const ipAddresses = defineResource<IPAddress>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "IPAddress",
  behaviour: { validate: validateIpAddress, validateUpdate: validateIpAddressUpdate },
  nameRule: isCanonicalIp,
  columns: [
    nameColumn,
    column("ParentRef", "string", ({ spec }) => {
      const parent = spec?.parentRef;
      if (parent === undefined) return "<none>";
      const group = parent.group ? `.${parent.group}` : "";
      const namespace = parent.namespace ? `/${parent.namespace}` : "";
      return `${(parent.resource ?? "").toLowerCase()}${group}${namespace}/${parent.name}`;
    }),
    { ...ageColumn, isUntold: true },
  ],
});
