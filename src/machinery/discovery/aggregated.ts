/**
 * Discovery in one document: what client-go asks `/api` and `/apis` for.
 * Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/discovery/aggregated
 */
import type { Resource } from "../resource.ts";
import { type ApiGroup, isBuiltinGroup, subresourcesOf } from "./groups.ts";
import { mainVerbsOf, verbsOf } from "./legacy.ts";

export const AGGREGATED_DISCOVERY = {
  kind: "APIGroupDiscoveryList",
  group: "apidiscovery.k8s.io",
  version: "v2",
} as const;

interface ResponseKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export interface APIGroupDiscoveryList {
  readonly kind: "APIGroupDiscoveryList";
  readonly apiVersion: "apidiscovery.k8s.io/v2";
  readonly metadata: object;
  readonly items: readonly {
    readonly metadata: { readonly name?: string };
    readonly versions: readonly {
      readonly version: string;
      readonly resources?: readonly APIResourceDiscovery[];
      readonly freshness: "Current" | "Stale";
    }[];
  }[];
}

export interface APIResourceDiscovery {
  readonly resource: string;
  readonly responseKind: ResponseKind;
  readonly scope: "Namespaced" | "Cluster";
  readonly singularResource: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly subresources?: readonly {
    readonly subresource: string;
    readonly responseKind?: ResponseKind;
    readonly verbs: readonly string[];
  }[];
}

/** The document for `/api` (the core group alone) or `/apis` (all others). */
export function aggregatedDiscovery(groups: readonly ApiGroup[], at: "/api" | "/apis"): APIGroupDiscoveryList {
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups
      .filter(({ name }) => (name === "") === (at === "/api"))
      .map(({ name, versions }) => ({
        metadata: name === "" ? {} : { name },
        versions: versions.map(({ version, resources, isStale = false }) => ({
          version,
          ...((resources.length > 0 || !isStale) && { resources: resources.map(discovered) }),
          freshness: isStale ? "Stale" : "Current",
        })),
      })),
  };
}

function discovered(resource: Resource): APIResourceDiscovery {
  const subresources = subresourcesOf(resource);
  return {
    resource: resource.plural,
    responseKind: responseKind(resource, resource),
    scope: resource.scope,
    singularResource: resource.singular,
    verbs: mainVerbsOf(resource),
    ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
    ...(resource.categories.length > 0 && { categories: resource.categories }),
    ...(subresources.length > 0 && {
      subresources: subresources.map(([subresource, { kind, verbs }]) => ({
        subresource,
        responseKind: responseKind(resource, kind ?? resource),
        verbs: verbsOf(resource, verbs),
      })),
    }),
  };
}

/** Built-in resources leave out the group and version that are around them anyway; custom ones never do. */
function responseKind(resource: Resource, { group, version, kind }: ResponseKind): ResponseKind {
  const around = group === resource.group && version === resource.version && isBuiltinGroup(resource.group);
  return around ? { group: "", version: "", kind } : { group, version, kind };
}
