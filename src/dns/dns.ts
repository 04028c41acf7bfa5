/**
 * Cluster DNS: serves the zone at the node's address and registers itself as the endpoint of the `kube-dns` service, so that 10.96.0.10 reaches it
 * through the proxy like any other service. Upstream runs CoreDNS as an add-on; here it is a component like the others.
 */
import type { Component } from "../base/component-group.ts";
import { deferred } from "../base/deferred.ts";
import { namespaces } from "../api/core/v1/namespace/resource.ts";
import { services } from "../api/core/v1/service/resource.ts";
import { endpointSlices } from "../api/discovery/v1/endpointslice/resource.ts";
import type { Service } from "../api/generated/core.v1.ts";
import type { EndpointSlice } from "../api/generated/discovery.v1.ts";
import type { Client } from "../client/client.ts";
import type { Informers } from "../client/informer/informer.ts";
import type { Draft } from "../machinery/meta/object.ts";
import { hasReason } from "../machinery/status.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Address } from "../world/net.ts";
import { pause } from "../world/time.ts";
import type { World } from "../world/world.ts";
import type { Zone } from "./records.ts";
import { serveDns } from "./server.ts";

export interface DnsOptions {
  readonly clusterDomain: string;
  readonly clusterIp: string;
  /** The address that pods reach; it becomes the service's endpoint. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly upstreams: readonly Address[];
}

export interface DnsDependencies extends Pick<World, "clock" | "random" | "net"> {
  readonly client: Client;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const TTL_SECONDS = 30;
const LABELS = { "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" };

export function createDns(options: DnsOptions, deps: DnsDependencies): Component {
  return {
    name: "dns",
    async run(signal, ready) {
      const zone = informedZone(options.clusterDomain, deps.informers);
      await zone.synced(signal);
      await using server = await serveDns(zone, { ...options, ttlSeconds: TTL_SECONDS }, deps);
      await publish(options, server.address, deps, signal);
      deps.log.info("Serving DNS", { ...server.address, zone: options.clusterDomain });
      ready();
      const stopped = deferred();
      signal.addEventListener("abort", () => stopped.resolve(), { once: true });
      if (!signal.aborted) await stopped.promise;
    },
  };
}

/** The zone over informers, with indexes by address. */
function informedZone(name: string, informers: Informers): Zone & { synced(signal: AbortSignal): Promise<void> } {
  const serviceInformer = informers.of<Service>(services);
  const sliceInformer = informers.of<EndpointSlice>(endpointSlices);
  const namespaceInformer = informers.of(namespaces);
  serviceInformer.addIndex("dns-ip", ({ spec }) => (spec.clusterIPs ?? []).filter((ip) => ip !== "None" && ip !== ""));
  sliceInformer.addIndex("dns-service", ({ metadata }) => {
    const service = metadata.labels?.["kubernetes.io/service-name"];
    return service === undefined ? [] : [`${metadata.namespace}/${service}`];
  });
  sliceInformer.addIndex("dns-ip", ({ endpoints }) => (endpoints ?? []).flatMap(({ addresses }) => addresses));
  return {
    name,
    service: (namespace, service) => serviceInformer.get(`${namespace}/${service}`),
    slices: (namespace, service) => sliceInformer.byIndex("dns-service", `${namespace}/${service}`),
    namespaceExists: (namespace) => namespaceInformer.get(namespace) !== undefined,
    servicesByIp: (ip) => serviceInformer.byIndex("dns-ip", ip),
    slicesByIp: (ip) => sliceInformer.byIndex("dns-ip", ip),
    async synced(signal) {
      await Promise.all(
        [serviceInformer, sliceInformer, namespaceInformer].map((informer) => informer.waitForSync(signal)),
      );
    },
  };
}

/** The service and its one endpoint. The service has no selector, so nobody else writes its slices. */
async function publish(
  options: DnsOptions,
  address: Address,
  deps: DnsDependencies,
  signal: AbortSignal,
): Promise<void> {
  const { client, clock, log } = deps;
  const service: Draft<Service> = {
    metadata: { name: "kube-dns", namespace: "kube-system", labels: LABELS },
    spec: {
      clusterIP: options.clusterIp,
      ports: [
        { name: "dns", protocol: "UDP", port: 53, targetPort: address.port },
        { name: "dns-tcp", protocol: "TCP", port: 53, targetPort: address.port },
      ],
    },
  };
  const slice = {
    metadata: {
      name: "kube-dns",
      namespace: "kube-system",
      labels: {
        ...LABELS,
        "kubernetes.io/service-name": "kube-dns",
        "endpointslice.kubernetes.io/managed-by": "dns.typernetes",
      },
    },
    addressType: options.host.includes(":") ? "IPv6" : "IPv4",
    endpoints: [{ addresses: [options.host], conditions: { ready: true, serving: true, terminating: false } }],
    ports: [
      { name: "dns", protocol: "UDP", port: address.port },
      { name: "dns-tcp", protocol: "TCP", port: address.port },
    ],
  } satisfies Draft<EndpointSlice>;
  while (!signal.aborted) {
    try {
      // Looked for first: at a restart its address is taken, by itself, before anybody asks about its name.
      await client.get(services, { namespace: "kube-system", name: "kube-dns" }, { signal }).catch((error: unknown) => {
        if (!hasReason(error, "NotFound")) throw error;
        return client.create(services, service, { signal });
      });
      // The port is new at every start.
      await client.patch(
        endpointSlices,
        slice.metadata,
        "application/apply-patch+yaml",
        { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", ...slice },
        { fieldManager: "dns", force: true, signal },
      );
      return;
    } catch (error) {
      if (signal.aborted) return;
      log.error("Failed to publish the DNS service", error);
      await pause(clock, 1000, signal);
    }
  }
}
