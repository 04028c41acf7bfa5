/** What each type of service needs from the allocators. Upstream: pkg/api/service/util.go, pkg/registry/core/service */
import type { Mutable } from "../../../../base/mutable.ts";
import type { ServiceSpec } from "../../../generated/core.v1.ts";

type Spec = ServiceSpec | Mutable<ServiceSpec>;

export const hasClusterIPs = ({ type }: Spec): boolean =>
  type === "ClusterIP" || type === "NodePort" || type === "LoadBalancer";

export const isExternallyAccessible = ({ type, externalIPs }: Spec): boolean =>
  type === "NodePort" || type === "LoadBalancer" || (type === "ClusterIP" && (externalIPs ?? []).length > 0);

/** Whether load balancers ask a port of their own which nodes have endpoints. */
export const needsHealthCheck = ({ type, externalTrafficPolicy }: Spec): boolean =>
  type === "LoadBalancer" && externalTrafficPolicy === "Local";
