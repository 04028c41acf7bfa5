/** The allocators of what only one service in the cluster may have: cluster IPs and node ports. */
import type { AllocationMetrics } from "./allocation-metrics.ts";
import type { ClusterIPs } from "./cluster-ips.ts";
import type { NodePorts } from "./node-ports.ts";

export interface Allocators {
  readonly clusterIPs: ClusterIPs;
  readonly nodePorts: NodePorts;
  readonly metrics: AllocationMetrics;
}
