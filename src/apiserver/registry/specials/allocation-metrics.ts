/**
 * Metrics of allocated and free cluster IPs and node ports, and of the allocators and their repair.
 * Upstream: pkg/registry/core/service/{ipallocator,portallocator}/{metrics.go,controller/metrics.go}
 */
import type { Metrics, Reading } from "../../../observe/metrics.ts";
import { counter, gauge, histogram } from "../../../observe/metrics.ts";
import { counts, distributions } from "../../../observe/series.ts";

const allocatedIps = gauge("kube_apiserver_clusterip_allocator_allocated_ips", {
  help: "Gauge measuring the number of allocated IPs for Services",
  labels: ["cidr"],
});
const availableIps = gauge("kube_apiserver_clusterip_allocator_available_ips", {
  help: "Gauge measuring the number of available IPs for Services",
  labels: ["cidr"],
});
const ipAllocations = counter("kube_apiserver_clusterip_allocator_allocation_total", {
  help: "Number of Cluster IPs allocations",
  labels: ["cidr", "scope"],
});
const ipAllocationErrors = counter("kube_apiserver_clusterip_allocator_allocation_errors_total", {
  help: "Number of errors trying to allocate Cluster IPs",
  labels: ["cidr", "scope"],
});
const ipAllocationSeconds = histogram("kube_apiserver_clusterip_allocator_allocation_duration_seconds", {
  help: "Duration in seconds to allocate a Cluster IP by ServiceCIDR",
  labels: ["cidr"],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
});
const allocatedPorts = gauge("kube_apiserver_nodeport_allocator_allocated_ports", {
  help: "Gauge measuring the number of allocated NodePorts for Services",
});
const availablePorts = gauge("kube_apiserver_nodeport_allocator_available_ports", {
  help: "Gauge measuring the number of available NodePorts for Services",
});
const portAllocations = counter("kube_apiserver_nodeport_allocator_allocation_total", {
  help: "Number of NodePort allocations",
  labels: ["scope"],
});
const portAllocationErrors = counter("kube_apiserver_nodeport_allocator_allocation_errors_total", {
  help: "Number of errors trying to allocate NodePort",
  labels: ["scope"],
});
const ipErrors = counter("apiserver_clusterip_repair_ip_errors_total", {
  help: "Number of errors detected on clusterips by the repair loop broken down by type of error: leak, repair, full, outOfRange, duplicate, unknown, invalid",
  labels: ["type"],
});
const ipReconcileErrors = counter("apiserver_clusterip_repair_reconcile_errors_total", {
  help: "Number of reconciliation failures on the clusterip repair reconcile loop",
});
const portErrors = counter("apiserver_nodeport_repair_port_errors_total", {
  help: "Number of errors detected on ports by the repair loop broken down by type of error: leak, repair, full, outOfRange, duplicate, unknown",
  labels: ["type"],
});
const portReconcileErrors = counter("apiserver_nodeport_repair_reconcile_errors_total", {
  help: "Number of reconciliation failures on the nodeport repair reconcile loop",
});

/** The type of each finding, by its reason. */
const TYPES: Readonly<Record<string, string>> = {
  ClusterIPNotValid: "invalid",
  ClusterIPOutOfRange: "outOfRange",
  ClusterIPAlreadyAllocated: "duplicate",
  ClusterIPNotAllocated: "repair",
  IPAddressNotAllocated: "leak",
  PortOutOfRange: "outOfRange",
  PortAlreadyAllocated: "duplicate",
  PortNotAllocated: "repair",
};

export type Scope = "static" | "dynamic";
interface Amounts {
  readonly taken: number;
  readonly free: number;
}

export class AllocationMetrics {
  readonly #ips = counts(ipAllocations);
  readonly #ipFailures = counts(ipAllocationErrors);
  readonly #ipSeconds = distributions(ipAllocationSeconds);
  readonly #ports = counts(portAllocations);
  readonly #portFailures = counts(portAllocationErrors);
  readonly #ipFindings = counts(ipErrors);
  readonly #portFindings = counts(portErrors);
  readonly #ipRepairs = counts(ipReconcileErrors);
  readonly #portRepairs = counts(portReconcileErrors);
  #addresses: () => readonly (Amounts & { readonly cidr: string })[] = () => [];
  #portAmounts: (() => Amounts) | undefined;

  constructor(metrics?: Metrics) {
    metrics?.from(() => this.#read());
    this.#portRepairs.at([]);
  }

  readAddresses(read: () => readonly (Amounts & { readonly cidr: string })[]): void {
    this.#addresses = read;
  }
  readPorts(read: () => Amounts): void {
    this.#portAmounts = read;
  }
  address(cidr: string, scope: Scope, succeeded: boolean, ms: number): void {
    (succeeded ? this.#ips : this.#ipFailures).at([cidr, scope]).value++;
    if (succeeded) this.#ipSeconds.at([cidr]).value.observe(ms / 1000);
  }
  port(scope: Scope, succeeded: boolean): void {
    (succeeded ? this.#ports : this.#portFailures).at([scope]).value++;
  }
  finding(reason: string): void {
    (reason.startsWith("Port") ? this.#portFindings : this.#ipFindings).at([TYPES[reason] ?? "unknown"]).value++;
  }
  repairFailed(what: "ips" | "ports"): void {
    (what === "ips" ? this.#ipRepairs : this.#portRepairs).at([]).value++;
  }

  *#read(): Iterable<Reading> {
    for (const { cidr, taken, free } of this.#addresses()) {
      yield { metric: allocatedIps, labels: { cidr }, value: taken };
      yield { metric: availableIps, labels: { cidr }, value: free };
    }
    const ports = this.#portAmounts?.();
    if (ports !== undefined) {
      yield { metric: allocatedPorts, value: ports.taken };
      yield { metric: availablePorts, value: ports.free };
    }
    for (const series of [
      this.#ips,
      this.#ipFailures,
      this.#ipSeconds,
      this.#ports,
      this.#portFailures,
      this.#ipFindings,
      this.#portFindings,
      this.#ipRepairs,
      this.#portRepairs,
    ])
      yield* series.readings();
  }
}
