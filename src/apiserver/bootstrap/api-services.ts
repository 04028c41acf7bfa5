/** Maintains one APIService for each group version that this server serves itself. Upstream: pkg/controlplane/apiserver/aggregator.go. */
import { formatTime } from "../../machinery/meta/time.ts";
import { priorityOf } from "../../machinery/discovery/groups.ts";
import { apiVersionOf } from "../../machinery/resource.ts";
import type { Services } from "../registry/context.ts";
import { ensure } from "./write.ts";

/** Whose own versions aren't listed. */
const AGGREGATOR = "apiregistration.k8s.io";
const MANAGED = "kube-aggregator.kubernetes.io/automanaged";

export async function ensureApiServices(services: Services): Promise<void> {
  const now = formatTime(services.clock.now());
  const versions = new Map(
    services.registry.resources
      .filter(({ group }) => group !== AGGREGATOR)
      .map((resource) => [apiVersionOf(resource), resource]),
  );
  await Promise.all(
    [...versions.values()].map(({ group, version }) => {
      const priority = priorityOf(group, version);
      return ensure(services, "apiservices.apiregistration.k8s.io", {
        apiVersion: "apiregistration.k8s.io/v1",
        kind: "APIService",
        metadata: { name: `${version}.${group}`, labels: { [MANAGED]: "onstart" } },
        spec: { group, version, groupPriorityMinimum: priority.group, versionPriority: priority.version },
        status: {
          conditions: [
            {
              type: "Available",
              status: "True",
              reason: "Local",
              message: "Local APIServices are always available",
              lastTransitionTime: now,
            },
          ],
        },
      });
    }),
  );
}
