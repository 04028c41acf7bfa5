/** Services get no new external IPs: who sets one takes traffic that isn't his. Upstream: plugin/pkg/admission/network/denyserviceexternalips */
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
