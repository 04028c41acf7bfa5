/** Reports what the repair of allocations finds, as events on the objects and in the log. */
import { formatMicroTime } from "../../machinery/meta/time.ts";
import { uuid } from "../../world/world.ts";
import type { Services } from "../registry/context.ts";
import type { Finding } from "../registry/specials/repair-allocations.ts";
import { ensure } from "./write.ts";

export async function reportFindings(services: Services, findings: readonly Finding[]): Promise<void> {
  for (const { kind, object, reason, action, message } of findings) {
    const { metadata } = object;
    const { name, uid, resourceVersion } = metadata;
    services.log.warn(message, { reason });
    const namespace: string = metadata.namespace ?? "default";
    await ensure(services, "events.events.k8s.io", {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: `${name}.${uuid(services.random).slice(0, 8)}`, namespace },
      eventTime: formatMicroTime(services.clock.now()),
      type: "Warning",
      reason,
      action,
      note: message,
      regarding: {
        kind,
        apiVersion: kind === "Service" ? "v1" : "networking.k8s.io/v1",
        name,
        uid,
        resourceVersion,
        ...(metadata.namespace !== undefined && { namespace }),
      },
      reportingController:
        action === "PortAllocation" ? "portallocator-repair-controller" : "ipallocator-repair-controller",
      reportingInstance: services.options.advertiseAddress ?? "kube-apiserver",
    });
  }
}
