/**
 * Services may not be given new external IPs, because with them a user can intercept traffic that is meant for others.
 * Upstream: plugin/pkg/admission/network/denyserviceexternalips
 */
import { defineAdmission, refuse } from "../framework.ts";

export const denyServiceExternalIps = defineAdmission({
  name: "DenyServiceExternalIPs",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["services"] },
  validate(request) {
    const before = new Set(request.oldObject?.spec.externalIPs ?? []);
    if ((request.object.spec.externalIPs ?? []).some((ip: string) => !before.has(ip)))
      throw refuse(request, "Use of external IPs is denied by admission control");
  },
});
