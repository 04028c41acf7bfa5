/** What is served: `/api`, `/apis`, and the lists below them, in the legacy and the aggregated form. */
import { createHash } from "node:crypto";
import type { Resource } from "../../machinery/resource.ts";
import { apiVersionOf } from "../../machinery/resource.ts";
import type { Registry } from "../registry/registry.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { object } from "../request.ts";
import { parseAccept } from "../negotiation.ts";

/** Groups in upstream's order of priority: where a short name is ambiguous, kubectl takes the first. */
const GROUP_ORDER = [
  "",
  "apiregistration.k8s.io",
  "apps",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "autoscaling",
  "batch",
  "certificates.k8s.io",
  "networking.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "admissionregistration.k8s.io",
  "apiextensions.k8s.io",
  "scheduling.k8s.io",
  "coordination.k8s.io",
  "node.k8s.io",
  "discovery.k8s.io",
  "resource.k8s.io",
  "flowcontrol.apiserver.k8s.io",
  "internal.apiserver.k8s.io",
  "storagemigration.k8s.io",
];

interface Group {
  readonly name: string;
  readonly versions: readonly { readonly version: string; readonly resources: readonly Resource[] }[];
}

export function groupsOf(registry: Registry): readonly Group[] {
  const groups = new Map<string, Map<string, Resource[]>>();
  for (const resource of registry.resources) {
    const versions = groups.get(resource.group) ?? new Map<string, Resource[]>();
    groups.set(resource.group, versions);
    versions.set(resource.version, [...(versions.get(resource.version) ?? []), resource]);
  }
  const rank = (name: string) => {
    const at = GROUP_ORDER.indexOf(name);
    return at < 0 ? GROUP_ORDER.length : at;
  };
  return [...groups]
    .map(([name, versions]) => ({
      name,
      versions: [...versions]
        .map(([version, resources]) => ({
          version,
          resources: [...resources].sort((a, b) => (a.plural < b.plural ? -1 : 1)),
        }))
        .sort((a, b) => compareVersions(a.version, b.version)),
    }))
    .sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));
}

/** v2 before v1 before v2beta1 before v1beta2 before v1alpha1. */
export function compareVersions(a: string, b: string): number {
  const parse = (version: string) => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (match === null) return undefined;
    const stage = match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0;
    return [stage, Number(match[1]), Number(match[3] ?? 0)] as const;
  };
  const [x, y] = [parse(a), parse(b)];
  if (x === undefined || y === undefined) return x === y ? (a < b ? -1 : 1) : x === undefined ? 1 : -1;
  return y[0] - x[0] || y[1] - x[1] || y[2] - x[2];
}

export function discovery(registry: Registry, request: ApiRequest, serverAddress: string): ApiResponse | undefined {
  const parts = request.path.split("/").filter((part) => part !== "");
  if (parts[0] === "api" && parts.length === 1) {
    const aggregated = aggregatedAnswer(registry, request, true);
    if (aggregated !== undefined) return aggregated;
    return object(200, {
      kind: "APIVersions",
      versions: ["v1"],
      serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
    });
  }
  if (parts[0] === "apis" && parts.length === 1) {
    const aggregated = aggregatedAnswer(registry, request, false);
    if (aggregated !== undefined) return aggregated;
    const groups = groupsOf(registry).filter(({ name }) => name !== "");
    return object(200, { kind: "APIGroupList", apiVersion: "v1", groups: groups.map(apiGroup) });
  }
  if (parts[0] === "apis" && parts.length === 2) {
    const group = groupsOf(registry).find(({ name }) => name === parts[1]);
    return group && object(200, { kind: "APIGroup", apiVersion: "v1", ...apiGroup(group) });
  }
  const [name, version] =
    parts[0] === "api" && parts.length === 2
      ? ["", parts[1]!]
      : parts[0] === "apis" && parts.length === 3
        ? [parts[1]!, parts[2]!]
        : [undefined, ""];
  if (name === undefined) return undefined;
  const resources = groupsOf(registry)
    .find((group) => group.name === name)
    ?.versions.find((one) => one.version === version)?.resources;
  if (resources === undefined) return undefined;
  return object(200, {
    kind: "APIResourceList",
    ...(name !== "" && { apiVersion: "v1" }),
    groupVersion: name === "" ? version : `${name}/${version}`,
    resources: resources.flatMap(apiResources),
  });
}

function apiGroup({ name, versions }: Group): object {
  const all = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] };
}

function apiResources(resource: Resource): readonly object[] {
  const namespaced = resource.scope === "Namespaced";
  const main = {
    name: resource.plural,
    singularName: resource.singular,
    namespaced,
    kind: resource.kind,
    verbs: sortVerbs(resource.verbs),
    ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
    ...(resource.categories.length > 0 && { categories: resource.categories }),
    ...(resource.storage.virtual !== true && { storageVersionHash: storageVersionHash(resource) }),
  };
  const subresources = Object.entries(resource.subresources)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { kind, verbs }]) => ({
      name: `${resource.plural}/${name}`,
      singularName: "",
      namespaced,
      ...(kind !== undefined &&
        (kind.group !== resource.group || kind.version !== resource.version) && {
          group: kind.group,
          version: kind.version,
        }),
      kind: kind?.kind ?? resource.kind,
      verbs: sortVerbs(verbs),
    }));
  return [main, ...subresources];
}

const sortVerbs = (verbs: readonly string[]) => [...verbs].sort();

function storageVersionHash(resource: Resource): string {
  const { group, version } = resource.storage;
  return createHash("sha256").update(`${group}/${version}/${resource.kind}`).digest().subarray(0, 8).toString("base64");
}

function aggregatedAnswer(registry: Registry, request: ApiRequest, core: boolean): ApiResponse | undefined {
  const wanted = parseAccept(request.header("accept") ?? "").find(
    ({ type }) => type === "application/json" || type === "*/*",
  );
  if (
    wanted === undefined ||
    wanted.parameters.get("g") !== "apidiscovery.k8s.io" ||
    wanted.parameters.get("as") !== "APIGroupDiscoveryList" ||
    wanted.parameters.get("v") !== "v2"
  )
    return undefined;
  const groups = groupsOf(registry).filter(({ name }) => (name === "") === core);
  const body = JSON.stringify({
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map(groupDiscovery),
  });
  const etag = `"${createHash("sha512").update(body).digest("hex").toUpperCase()}"`;
  const headers = {
    "content-type": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    etag,
    vary: "Accept",
    "cache-control": "public",
  };
  if (request.header("if-none-match") === etag) return { kind: "raw", status: 304, headers, body: "" };
  return { kind: "raw", status: 200, headers, body };
}

function groupDiscovery({ name, versions }: Group): object {
  return {
    metadata: { ...(name !== "" && { name }), creationTimestamp: null },
    versions: versions.map(({ version, resources }) => ({
      version,
      resources: resources.map((resource) => {
        const subresources = Object.entries(resource.subresources)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([subresource, { kind, verbs }]) => ({
            subresource,
            responseKind: kind ?? { group: resource.group, version: resource.version, kind: resource.kind },
            verbs: sortVerbs(verbs),
          }));
        return {
          resource: resource.plural,
          responseKind: { group: resource.group, version: resource.version, kind: resource.kind },
          scope: resource.scope,
          singularResource: resource.singular,
          verbs: sortVerbs(resource.verbs),
          ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
          ...(resource.categories.length > 0 && { categories: resource.categories }),
          ...(subresources.length > 0 && { subresources }),
        };
      }),
      freshness: "Current",
    })),
  };
}

export { apiVersionOf };
