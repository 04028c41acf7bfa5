/**
 * Reconciles the cluster IPs and node ports that services have with the allocators' records: at the start of the server and periodically.
 * Upstream: pkg/registry/core/service/{ipallocator,portallocator}/controller
 */
import type { Services } from "../context.ts";
import { FAMILY_LABEL } from "./cluster-ips.ts";
import { familyOf } from "./ip-range.ts";

/** Tells of something at odds. */
export interface Finding {
  readonly kind: "Service" | "IPAddress";
  readonly object: any;
  readonly reason: string;
  readonly action: string;
  readonly message: string;
}

const ADDRESSES = "ipaddresses.networking.k8s.io";
/** An address may be older than its service by this much: it is taken first. */
const GRACE_MS = 60_000;

export async function repairAllocations(services: Services): Promise<readonly Finding[]> {
  const { metrics } = services.allocators;
  const counted = async (what: "ips" | "ports", repair: typeof repairAddresses) => {
    try {
      const found = await repair(services);
      for (const { reason } of found) metrics.finding(reason);
      return found;
    } catch (error) {
      metrics.repairFailed(what);
      throw error;
    }
  };
  return [...(await counted("ips", repairAddresses)), ...(await counted("ports", repairPorts))];
}

async function repairAddresses(services: Services): Promise<readonly Finding[]> {
  const { cluster, allocators, clock } = services;
  const { clusterIPs } = allocators;
  const found: Finding[] = [];
  const holders = new Map<string, any>();
  for (const service of oldestFirst(cluster.list("services"))) {
    const { namespace, name } = service.metadata;
    const tell = (reason: string, message: string) =>
      found.push({ kind: "Service", object: service, reason, action: "ClusterIPAllocation", message });
    for (const ip of service.spec?.clusterIPs ?? []) {
      if (ip === "" || ip === "None") continue;
      const family = familyOf(ip);
      if (family === undefined) {
        const message = `Cluster IP ${ip} is not a valid IP; please recreate Service`;
        found.push({
          kind: "Service",
          object: service,
          reason: "ClusterIPNotValid",
          action: "ClusterIPValidation",
          message,
        });
        continue;
      }
      if (!clusterIPs.contains(ip)) {
        tell(
          "ClusterIPOutOfRange",
          `Cluster IP [${family}]: ${ip} is not within any configured Service CIDR; please recreate service`,
        );
        continue;
      }
      const first = holders.get(ip);
      if (first !== undefined) {
        tell(
          "ClusterIPAlreadyAllocated",
          `Cluster IP [${family}]:${ip} was assigned to multiple services; please recreate service`,
        );
        continue;
      }
      holders.set(ip, service);
      const address = cluster.get(ADDRESSES, "", ip);
      if (address === undefined) {
        // The cache may be behind; a claim that fails says that it was.
        if ((await clusterIPs.claim(ip, { namespace, name })) && services.registry.named(ADDRESSES) !== undefined)
          tell("ClusterIPNotAllocated", `Cluster IP [${family}]: ${ip} is not allocated; repairing`);
      } else if (!refersTo(address, service)) {
        tell(
          "ClusterIPNotAllocated",
          `the ClusterIP [${family}]: ${ip} for Service ${namespace}/${name} has a wrong reference; repairing`,
        );
        await clusterIPs.release(ip);
        await clusterIPs.claim(ip, { namespace, name });
      }
    }
  }
  for (const address of cluster.list(ADDRESSES)) {
    const { metadata, spec } = address;
    if (metadata.labels?.[FAMILY_LABEL] === undefined || metadata.deletionTimestamp !== undefined) continue;
    if (holders.has(metadata.name)) continue;
    const { resource, group, namespace, name } = spec.parentRef ?? {};
    const tell = (reason: string, message: string) =>
      found.push({ kind: "IPAddress", object: address, reason, action: "IPAddressAllocation", message });
    if (resource !== "services" || (group ?? "") !== "")
      tell(
        "IPAddressNotAllocated",
        `IPAddress ${metadata.name} appears to have been modified, not referencing a Service ${JSON.stringify(spec.parentRef)}: cleaning up`,
      );
    else if (clock.now() - Date.parse(metadata.creationTimestamp) < GRACE_MS) continue;
    else if ((await cluster.live("services", namespace, name))?.spec?.clusterIPs?.includes(metadata.name) === true)
      continue;
    else
      tell(
        "IPAddressNotAllocated",
        `IPAddress: ${metadata.name} for Service ${namespace}/${name} appears to have leaked: cleaning up`,
      );
    await clusterIPs.release(metadata.name);
  }
  return found;
}

async function repairPorts({ cluster, allocators }: Services): Promise<readonly Finding[]> {
  const { nodePorts } = allocators;
  const found: Finding[] = [];
  const holders = new Map<number, any>();
  for (const service of oldestFirst(cluster.list("services"))) {
    const tell = (reason: string, message: string) =>
      found.push({ kind: "Service", object: service, reason, action: "PortAllocation", message });
    for (const port of portsOf(service)) {
      if (!nodePorts.contains(port))
        tell("PortOutOfRange", `Port ${port} is not within the port range ${nodePorts.range}; please recreate service`);
      else if (holders.has(port))
        tell("PortAlreadyAllocated", `Port ${port} was assigned to multiple services; please recreate service`);
      else holders.set(port, service);
    }
  }
  for (const port of await nodePorts.repair(new Set(holders.keys())))
    found.push({
      kind: "Service",
      object: holders.get(port),
      reason: "PortNotAllocated",
      action: "PortAllocation",
      message: `Port ${port} is not allocated; repairing`,
    });
  return found;
}

/** Who came first keeps what two hold. */
function oldestFirst(services: readonly any[]): readonly any[] {
  const since = ({ metadata }: any) => Date.parse(metadata.creationTimestamp);
  return services.toSorted((a, b) => since(a) - since(b));
}

function refersTo({ spec }: any, { metadata }: any): boolean {
  const { group, resource, namespace, name } = spec.parentRef ?? {};
  return (group ?? "") === "" && resource === "services" && namespace === metadata.namespace && name === metadata.name;
}

function portsOf({ spec }: any): ReadonlySet<number> {
  const ports = (spec?.ports ?? []).flatMap(({ nodePort }: any) => (nodePort ? [nodePort] : []));
  return new Set(spec?.healthCheckNodePort ? [...ports, spec.healthCheckNodePort] : ports);
}
