/** What the server creates when it starts, and maintains from then on. Upstream: pkg/controlplane/instance.go, the post-start hooks. */
import type { ReconcilerType } from "../options.ts";
import { formatMicroTime } from "../../machinery/meta/time.ts";
import { isDeepStrictEqual } from "node:util";
import { every } from "../../world/time.ts";
import { keyFor } from "../storage/keys.ts";
import { uuid } from "../../world/world.ts";
import { identityOf } from "../identity.ts";
import type { Services } from "../registry/context.ts";
import { ensureFlowControl } from "../flow-control/keep.ts";
import { repairAllocations } from "../registry/specials/repair-allocations.ts";
import { ensureApiServices } from "./api-services.ts";
import { reportFindings } from "./findings.ts";
import { ensureKubernetesService, leaveKubernetesService } from "./kubernetes-service.ts";
import type { MasterLeases } from "./master-leases.ts";
import { ensureRbac } from "./rbac.ts";
import { ensure } from "./write.ts";

export interface Serving {
  readonly port: number;
  readonly address: string | undefined;
  readonly hostname: string;
  readonly leases: MasterLeases;
  /** `--endpoint-reconciler-type`: whether this server keeps the endpoints of `kubernetes`. */
  readonly reconciler: ReconcilerType;
  /** `--apiserver-count` */
  readonly count: number;
}

/** In upstream's order of creation. */
const SYSTEM_NAMESPACES = ["kube-system", "kube-public", "default", "kube-node-lease"];

const PRIORITY_CLASSES = [
  {
    name: "system-node-critical",
    value: 2000001000,
    description: "Used for system critical pods that must not be moved from their current node.",
  },
  {
    name: "system-cluster-critical",
    value: 2000000000,
    description:
      "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
  },
];

/** Returns when everything that must be there is there; `done` settles when the loops that keep it have ended. */
export async function bootstrap(
  services: Services,
  serving: Serving,
  signal: AbortSignal,
): Promise<{ readonly done: Promise<void>; leave(): Promise<void> }> {
  await ensureNamespaces(services);
  const repair = async () => reportFindings(services, await repairAllocations(services));
  await repair();
  await Promise.all([
    ensureRbac(services),
    ensurePriorityClasses(services),
    ensureFlowControl(services),
    ensureKubernetesService(services, serving),
    ensureAuthenticationConfig(services),
    ensureTokenTracking(services),
    ensureApiServices(services),
  ]);
  const lease = identityLease(services, serving);
  const { clock, log } = services;
  const keep = (what: string, ms: number, act: () => Promise<void>) =>
    every(clock, ms, signal, async () => {
      try {
        await act();
      } catch (error) {
        if (!signal.aborted) log.error("A bootstrap object can't be kept", error, { what });
      }
    });
  let leaving = false;
  let keeping = Promise.resolve();
  const keepEndpoints = (): Promise<void> =>
    leaving ? Promise.resolve() : (keeping = ensureKubernetesService(services, serving));
  const loops = [
    keep("system namespaces", 60_000, () => ensureNamespaces(services)),
    keep("kubernetes service", 10_000, () => keepEndpoints()),
    keep("service allocations", 3 * 60_000, repair),
    keep("identity lease", 10_000, lease),
    keep("stale identity leases", 3600_000, () => removeStaleLeases(services)),
    keep("flow control", 60_000, () => ensureFlowControl(services)),
  ];
  return {
    done: Promise.all(loops).then(() => {}),
    async leave() {
      leaving = true;
      await keeping.catch(() => {}); // The loop has told of it.
      await leaveKubernetesService(services, serving);
    },
  };
}

async function ensureNamespaces(services: Services): Promise<void> {
  for (const name of SYSTEM_NAMESPACES)
    await ensure(services, "namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

async function ensurePriorityClasses(services: Services): Promise<void> {
  for (const { name, value, description } of PRIORITY_CLASSES)
    await ensure(services, "priorityclasses.scheduling.k8s.io", {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: { name },
      value,
      globalDefault: false,
      description,
    });
}

/** How extension servers check who talks to them. */
export async function ensureAuthenticationConfig(
  services: Services,
  changed: { readonly clientCa?: string; readonly requestHeaderClientCa?: string } = {},
): Promise<void> {
  const { secure, requestHeader } = services.options;
  const ca = changed.clientCa ?? secure?.clientCa;
  const data = {
    ...(ca !== undefined && { "client-ca-file": ca }),
    ...(requestHeader !== undefined && {
      "requestheader-allowed-names": JSON.stringify(requestHeader.allowedNames),
      "requestheader-client-ca-file": changed.requestHeaderClientCa ?? requestHeader.clientCa,
      "requestheader-extra-headers-prefix": JSON.stringify(requestHeader.extraHeadersPrefixes),
      "requestheader-group-headers": JSON.stringify(requestHeader.groupHeaders),
      "requestheader-uid-headers": JSON.stringify(requestHeader.uidHeaders),
      "requestheader-username-headers": JSON.stringify(requestHeader.usernameHeaders),
    }),
  };
  // A server that trusts nobody's word about clients has nothing to tell.
  if (Object.keys(data).length === 0) return;
  const wanted = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "extension-apiserver-authentication", namespace: "kube-system" },
    data,
  };
  await ensure(services, "configmaps", wanted, (current) =>
    isDeepStrictEqual(current.data, wanted.data) ? current : { ...current, ...wanted, metadata: current.metadata },
  );
}

/** Since when uses of old token secrets are noted: here, since the cluster is. */
async function ensureTokenTracking(services: Services): Promise<void> {
  await ensure(services, "configmaps", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "kube-apiserver-legacy-service-account-token-tracking", namespace: "kube-system" },
    data: { since: new Date(services.clock.now()).toISOString().slice(0, 10) },
  });
}

/** Servers that are gone for longer than their lease lasts leave nothing behind. Upstream: pkg/controlplane/controller/apiserverleasegc */
async function removeStaleLeases({ registry, cluster, clock }: Services): Promise<void> {
  const resource = registry.named("leases.coordination.k8s.io");
  if (resource === undefined) return;
  const { store, cache } = registry.storage(resource);
  const isExpired = ({ spec }: any) =>
    spec?.renewTime === undefined ||
    spec.leaseDurationSeconds === undefined ||
    Date.parse(spec.renewTime) + spec.leaseDurationSeconds * 1000 < clock.now();
  for (const lease of cluster.list("leases.coordination.k8s.io", "kube-system")) {
    if (lease.metadata.labels?.["apiserver.kubernetes.io/identity"] !== "kube-apiserver" || !isExpired(lease)) continue;
    const key = keyFor(resource, "kube-system", lease.metadata.name);
    await store.update(key, cache.get(key), (now) => (now !== undefined && isExpired(now.stored) ? "delete" : "same"));
  }
}

/** The lease tells others that this server lives and where its peers reach it. Upstream: pkg/controlplane/apiserver/server.go */
function identityLease(services: Services, { hostname, address, port }: Serving): () => Promise<void> {
  const name = identityOf(hostname);
  const holderIdentity = `${name}_${uuid(services.random)}`;
  const isProxied = services.featureGates.get("UnknownVersionInteroperabilityProxy") ?? true;
  return async () => {
    const wanted = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name,
        namespace: "kube-system",
        labels: { "apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": hostname },
        ...(isProxied &&
          address !== undefined && {
            annotations: {
              "kubernetes.io/peer-advertise-address": `${address.includes(":") ? `[${address}]` : address}:${port}`,
            },
          }),
      },
      spec: { holderIdentity, leaseDurationSeconds: 3600, renewTime: formatMicroTime(services.clock.now()) },
    };
    const { labels, annotations } = wanted.metadata;
    await ensure(services, "leases.coordination.k8s.io", wanted, (current) => ({
      ...current,
      metadata: {
        ...current.metadata,
        labels: { ...current.metadata.labels, ...labels },
        ...(annotations && { annotations: { ...current.metadata.annotations, ...annotations } }),
      },
      spec: wanted.spec,
    }));
  };
}
