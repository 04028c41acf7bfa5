/**
 * The served groups and versions, in the order in which clients learn of them: the order decides what `kubectl get ingress` means.
 * Upstream: pkg/controlplane/apiserver/aggregator.go, staging/src/k8s.io/apimachinery/pkg/version/helpers.go
 */
import type { Resource, Subresource } from "../resource.ts";

export interface ApiGroup {
  /** Empty for the core group. */
  readonly name: string;
  /** The preferred one first. */
  readonly versions: readonly ApiVersion[];
}
export interface ApiVersion {
  readonly version: string;
  readonly resources: readonly Resource[];
  /** Of another server that didn't say so when it was last asked. */
  readonly isStale?: boolean;
}
/** What an APIService says of another server's group and version. */
export interface RemoteVersion {
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  readonly isStale: boolean;
}

interface Priority {
  readonly group: number;
  readonly versions: Readonly<Record<string, number>>;
}

/** What comes with the server. `apiregistration.k8s.io` speaks for all the others, so it goes first. */
const PRIORITIES: Readonly<Record<string, Priority>> = {
  "": { group: 18000, versions: { v1: 1 } },
  "apiregistration.k8s.io": { group: 20000, versions: { v1: 15 } },
  apps: { group: 17800, versions: { v1: 15 } },
  "events.k8s.io": { group: 17750, versions: { v1: 15, v1beta1: 5 } },
  "authentication.k8s.io": { group: 17700, versions: { v1: 15, v1beta1: 9, v1alpha1: 1 } },
  "authorization.k8s.io": { group: 17600, versions: { v1: 15 } },
  autoscaling: { group: 17500, versions: { v2: 30, v1: 15 } },
  batch: { group: 17400, versions: { v1: 15, v1beta1: 9 } },
  "certificates.k8s.io": { group: 17300, versions: { v1: 15, v1beta1: 9, v1alpha1: 1 } },
  "networking.k8s.io": { group: 17200, versions: { v1: 15, v1beta1: 9 } },
  policy: { group: 17100, versions: { v1: 15, v1beta1: 9 } },
  "rbac.authorization.k8s.io": { group: 17000, versions: { v1: 15 } },
  "storage.k8s.io": { group: 16800, versions: { v1: 15, v1beta1: 9, v1alpha1: 1 } },
  "admissionregistration.k8s.io": { group: 16700, versions: { v1: 15, v1beta1: 12, v1alpha1: 9 } },
  "apiextensions.k8s.io": { group: 16700, versions: { v1: 15 } },
  "scheduling.k8s.io": { group: 16600, versions: { v1: 15, v1alpha2: 2 } },
  "coordination.k8s.io": { group: 16500, versions: { v1: 15, v1beta1: 13, v1alpha2: 12 } },
  "node.k8s.io": { group: 16300, versions: { v1: 15, v1beta1: 9, v1alpha1: 1 } },
  "discovery.k8s.io": { group: 16200, versions: { v1: 15, v1beta1: 12 } },
  "resource.k8s.io": { group: 16200, versions: { v1: 21, v1beta2: 15, v1beta1: 9, v1alpha3: 1 } },
  "flowcontrol.apiserver.k8s.io": { group: 16100, versions: { v1: 21 } },
  "internal.apiserver.k8s.io": { group: 16000, versions: { v1alpha1: 9 } },
  "storagemigration.k8s.io": { group: 15800, versions: { v1beta1: 9 } },
};
const CUSTOM_GROUP = 1000;
const CUSTOM_VERSION = 100;

/** Whether the server brings this group itself; other groups come from CRDs. */
export function isBuiltinGroup(group: string): boolean {
  return Object.hasOwn(PRIORITIES, group);
}

/** Those of custom resources are told status first, those of the server's own in alphabetical order. */
export function subresourcesOf({ group, subresources }: Resource): readonly (readonly [string, Subresource])[] {
  const order = ([name]: readonly [string, unknown]) => (name === "status" && !isBuiltinGroup(group) ? "" : name);
  return Object.entries(subresources).sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

/** The numbers that an APIService of this group and version states. */
export function priorityOf(group: string, version: string): { readonly group: number; readonly version: number } {
  const known = PRIORITIES[group];
  return { group: known?.group ?? CUSTOM_GROUP, version: known?.versions[version] ?? (known ? 15 : CUSTOM_VERSION) };
}

/** Orders the resources that are served into groups and versions; those of other servers are told of whether or not they answer. */
export function groupsOf(resources: Iterable<Resource>, remotes: readonly RemoteVersion[] = []): readonly ApiGroup[] {
  const remote = new Map(remotes.map((one) => [`${one.group}/${one.version}`, one]));
  const ranks = new Map<string, number>();
  for (const { group, groupPriority } of remotes) ranks.set(group, Math.max(groupPriority, ranks.get(group) ?? 0));
  const rank = (group: string) => Math.max(priorityOf(group, "").group, ranks.get(group) ?? 0);
  const groups = new Map<string, Map<string, Resource[]>>();
  for (const resource of resources) {
    const versions = groups.get(resource.group) ?? new Map<string, Resource[]>();
    groups.set(resource.group, versions);
    versions.set(resource.version, [...(versions.get(resource.version) ?? []), resource]);
  }
  for (const { group, version } of remotes) {
    const versions = groups.get(group) ?? new Map<string, Resource[]>();
    groups.set(group, versions);
    if (!versions.has(version)) versions.set(version, []);
  }
  const versionRank = (group: string, version: string) =>
    remote.get(`${group}/${version}`)?.versionPriority ?? priorityOf(group, version).version;
  return [...groups]
    .map(([name, versions]) => ({
      name,
      versions: [...versions]
        .map(([version, list]) => ({
          version,
          resources: list.sort((a, b) => (a.plural < b.plural ? -1 : 1)),
          ...(remote.get(`${name}/${version}`)?.isStale === true && { isStale: true }),
        }))
        .sort(
          (a, b) =>
            versionRank(name, b.version) - versionRank(name, a.version) || compareVersions(a.version, b.version),
        ),
    }))
    .sort((a, b) => rank(b.name) - rank(a.name) || (a.name < b.name ? -1 : 1));
}

/** Stable before beta before alpha, higher before lower, anything else last by name: `v2 v1 v2beta1 v1beta2 v1alpha1 foo`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  if (left === undefined || right === undefined) {
    if (left !== undefined) return -1;
    if (right !== undefined) return 1;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  return right.stage - left.stage || right.major - left.major || right.minor - left.minor;
}

function parseVersion(
  text: string,
): { readonly stage: number; readonly major: number; readonly minor: number } | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const stage = match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0;
  return { stage, major: Number(match[1]), minor: Number(match[3] ?? 0) };
}
