/**
 * Discovery one document at a time: `/api`, `/apis`, `/apis/apps`, `/apis/apps/v1`.
 * Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/discovery
 */
import { createHash } from "node:crypto";
import type { APIGroup, APIGroupList, APIResource, APIResourceList, APIVersions } from "../meta/types.ts";
import { apiVersionOf, type Resource } from "../resource.ts";
import { type ApiGroup, isBuiltinGroup, subresourcesOf } from "./groups.ts";

/** `/api`. `serverAddress` is `host:port`. */
export function apiVersions(serverAddress: string): APIVersions {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
  };
}

/** `/apis`. */
export function apiGroupList(groups: readonly ApiGroup[]): APIGroupList {
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: groups.filter(({ name }) => name !== "").map(bareGroup),
  };
}

/** `/apis/<group>`. */
export function apiGroup(group: ApiGroup): APIGroup {
  return { kind: "APIGroup", apiVersion: "v1", ...bareGroup(group) };
}

function bareGroup({ name, versions }: ApiGroup): APIGroup {
  const list = versions.map(({ version }) => ({ groupVersion: apiVersionOf({ group: name, version }), version }));
  return { name, versions: list, preferredVersion: list[0]! };
}

/** `/api/v1` and `/apis/<group>/<version>`. */
export function apiResourceList(group: string, version: string, resources: readonly Resource[]): APIResourceList {
  return {
    kind: "APIResourceList",
    // The list of the first group is older than versions of lists.
    ...(group !== "" && { apiVersion: "v1" }),
    groupVersion: apiVersionOf({ group, version }),
    resources: resources.flatMap(apiResources),
  };
}

function apiResources(resource: Resource): APIResource[] {
  const namespaced = resource.scope === "Namespaced";
  const main: APIResource = {
    name: resource.plural,
    singularName: resource.singular,
    namespaced,
    kind: resource.kind,
    verbs: mainVerbsOf(resource),
    ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
    ...(resource.categories.length > 0 && { categories: resource.categories }),
    ...(resource.storage.virtual !== true && { storageVersionHash: storageVersionHash(resource) }),
  };
  const parts = subresourcesOf(resource).map(([name, subresource]): APIResource => {
    const kind = subresource.kind;
    const elsewhere = kind !== undefined && (kind.group !== resource.group || kind.version !== resource.version);
    return {
      name: `${resource.plural}/${name}`,
      singularName: "",
      namespaced,
      ...(elsewhere && { group: kind.group, version: kind.version }),
      kind: kind?.kind ?? resource.kind,
      verbs: verbsOf(resource, subresource.verbs),
    };
  });
  return [main, ...parts];
}

export function mainVerbsOf(resource: Resource): readonly string[] {
  const verbs = verbsOf(resource, resource.verbs);
  return resource.isLeaving === true ? verbs.filter((verb) => !/^(patch|create|update)$/.test(verb)) : verbs;
}

/** Built-in resources list their verbs by name, custom ones as they were given. */
export function verbsOf(resource: Resource, verbs: readonly string[]): readonly string[] {
  return isBuiltinGroup(resource.group) ? [...verbs].sort() : verbs;
}

/** Changes when objects are stored in another version: clients compare it, nothing more. */
function storageVersionHash({ storage, kind }: Resource): string {
  const { group } = storage;
  // Upstream still stores definitions in their first form, and there is one hash that everybody knows.
  const version = kind === "CustomResourceDefinition" && group === "apiextensions.k8s.io" ? "v1beta1" : storage.version;
  return createHash("sha256").update(`${group}/${version}/${kind}`).digest().subarray(0, 8).toString("base64");
}
