/** What the services there are hold of cluster IPs and node ports. */
import type { Services } from "../context.ts";

export function restoreAllocations({ cluster, allocators }: Services): void {
  const ips: string[] = [];
  const ports: number[] = [];
  for (const service of cluster.list("services")) {
    for (const ip of service.spec?.clusterIPs ?? []) if (/^\d+\.\d+\.\d+\.\d+$/.test(ip)) ips.push(ip);
    for (const port of service.spec?.ports ?? []) if (port.nodePort) ports.push(port.nodePort);
    if (service.spec?.healthCheckNodePort) ports.push(service.spec.healthCheckNodePort);
  }
  allocators.clusterIPs.replaceAll(ips);
  allocators.nodePorts.replaceAll(ports);
}
