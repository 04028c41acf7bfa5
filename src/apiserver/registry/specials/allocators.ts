/** What must be one service's only, in the whole cluster. */
import type { AllocationMetrics } from "./allocation-metrics.ts";
import type { ClusterIPs } from "./cluster-ips.ts";
import type { NodePorts } from "./node-ports.ts";

export interface Allocators {
  readonly clusterIPs: ClusterIPs;
  readonly nodePorts: NodePorts;
  readonly metrics: AllocationMetrics;
}
