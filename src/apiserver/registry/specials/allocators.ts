/** What must be one service's only, in the whole cluster. */
import type { ClusterIPs } from "./cluster-ips.ts";
import type { NodePorts } from "./node-ports.ts";

export interface Allocators {
  readonly clusterIPs: ClusterIPs;
  readonly nodePorts: NodePorts;
}
