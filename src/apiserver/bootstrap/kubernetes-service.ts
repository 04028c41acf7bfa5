/**
 * Maintains the service `kubernetes` in the namespace `default` and its endpoints: the API servers.
 * Upstream: pkg/controlplane/controller/kubernetesservice, pkg/controlplane/reconcilers.
 */
import { formatTime } from "../../machinery/meta/time.ts";
import { isDeepStrictEqual } from "node:util";
import type { Services } from "../registry/context.ts";
import type { Serving } from "./index.ts";
import { applyStatus, ensure } from "./write.ts";

const NAME = "kubernetes";
const NAMESPACE = "default";
const CIDRS = "servicecidrs.networking.k8s.io";

export async function ensureKubernetesService(services: Services, serving: Serving): Promise<void> {
  const { port, address, leases, reconciler } = serving;
  const { clusterIPs } = services.allocators;
  const cidrs = clusterIPs.ranges.map(({ cidr }) => cidr);
  await ensure(
    services,
    CIDRS,
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: NAME },
      spec: { cidrs },
    },
    // A second family may be added to the first.
    ({ spec, ...rest }) =>
      cidrs.length === 2 && spec.cidrs.length === 1 && spec.cidrs[0] === cidrs[0]
        ? { ...rest, spec: { ...spec, cidrs } }
        : undefined,
  );
  await tellReady(services);
  const nodePort = services.options.kubernetesServiceNodePort ?? 0;
  await ensure(services, "services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: { component: "apiserver", provider: "kubernetes" },
    },
    spec: {
      type: nodePort > 0 ? "NodePort" : "ClusterIP",
      clusterIP: clusterIPs.primary.first,
      ipFamilyPolicy: "SingleStack",
      sessionAffinity: "None",
      ports: [{ name: "https", protocol: "TCP", port: 443, targetPort: port, ...(nodePort > 0 && { nodePort }) }],
    },
  });
  if (address === undefined || reconciler === "none") return;
  if (reconciler === "master-count") {
    await ensureEndpoints(services, port, addressOfSome(await addressesNow(services), address, serving.count));
    return;
  }
  await leases.renew(address);
  await ensureEndpoints(services, port, await leases.list());
}

/** As many addresses as there are to be servers, this one's among them: those that come after it go first. */
export function addressOfSome(current: readonly string[], own: string, count: number): readonly string[] {
  if (current.includes(own) && current.length <= count) return current;
  const all = [...new Set([...current, own])].sort();
  while (all.length > count) {
    const after = (all.indexOf(own) + 1) % all.length;
    all.splice(after, 1);
  }
  return all;
}

/** As etcd has them: what this server or another has just written need not have come back yet. */
async function addressesNow({ cluster }: Services): Promise<readonly string[]> {
  const subsets: readonly any[] = (await cluster.live("endpoints", NAMESPACE, NAME))?.subsets ?? [];
  return subsets.length === 1 ? (subsets[0].addresses ?? []).map(({ ip }: any) => ip) : [];
}

/** A server that ends isn't led to any more. */
export async function leaveKubernetesService(services: Services, serving: Serving): Promise<void> {
  const { port, address, leases, reconciler } = serving;
  if (address === undefined || reconciler === "none") return;
  if (reconciler === "master-count") {
    await ensureEndpoints(
      services,
      port,
      (await addressesNow(services)).filter((one) => one !== address),
    );
    return;
  }
  await leases.remove(address);
  await ensureEndpoints(services, port, await leases.list());
}

async function ensureEndpoints(services: Services, port: number, addresses: readonly string[]): Promise<void> {
  const ports = [{ name: "https", port, protocol: "TCP" }];
  const subsets = addresses.length === 0 ? [] : [{ addresses: addresses.map((ip) => ({ ip })), ports }];
  await ensure(
    services,
    "endpoints",
    {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: {
        name: NAME,
        namespace: NAMESPACE,
        labels: { "endpointslice.kubernetes.io/skip-mirror": "true" },
      },
      subsets,
    },
    (current) => (isDeepStrictEqual(current.subsets ?? [], subsets) ? undefined : { ...current, subsets }),
    { live: true },
  );
  const endpoints = addresses.map((address) => ({ addresses: [address], conditions: { ready: true } }));
  await ensure(
    services,
    "endpointslices.discovery.k8s.io",
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: NAME, namespace: NAMESPACE, labels: { "kubernetes.io/service-name": NAME } },
      addressType: addresses[0]?.includes(":") === true ? "IPv6" : "IPv4",
      endpoints,
      ports,
    },
    (current) => {
      const leads =
        isDeepStrictEqual(
          (current.endpoints ?? []).flatMap((endpoint: any) => endpoint.addresses),
          addresses,
        ) && current.ports?.[0]?.port === port;
      return leads ? undefined : { ...current, endpoints, ports };
    },
    { live: true },
  );
}

async function tellReady(services: Services): Promise<void> {
  // Whoever goes, and whatever this server wasn't told of, is the controller manager's to tell of.
  const own = services.allocators.clusterIPs.ranges.map(({ cidr }) => cidr);
  const isReady = (cidr: any) =>
    cidr?.metadata.deletionTimestamp !== undefined ||
    (cidr !== undefined && !isDeepStrictEqual([...cidr.spec.cidrs], own)) ||
    cidr?.status?.conditions?.some((one: any) => one.type === "Ready") === true;
  if (isReady(services.cluster.get(CIDRS, "", NAME))) return;
  const resource = services.registry.named(CIDRS);
  if (resource === undefined) return;
  const condition = {
    type: "Ready",
    status: "True",
    lastTransitionTime: formatTime(services.clock.now()),
    message: "Kubernetes default Service CIDR is ready",
  };
  await applyStatus(services, resource, NAME, { conditions: [condition] }, "kubernetes-service-cidr-controller");
}
