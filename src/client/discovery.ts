/** Discovery: what a server serves, built-in, custom and aggregated kinds alike. Upstream: staging/src/k8s.io/client-go/discovery */
import type { ResourceName } from "../machinery/resource.ts";
import { hasReason } from "../machinery/status.ts";
import type { Client } from "./client.ts";

export interface DiscoveredResource extends ResourceName {
  readonly verbs: readonly string[];
  readonly subresources: readonly string[];
}

export interface Discovered {
  /** Each resource once, in its group's preferred version. */
  readonly resources: readonly DiscoveredResource[];
  /** Groups that could not be asked, with the reason: their resources are unknown, not gone. */
  readonly failed: ReadonlyMap<string, string>;
}

interface AggregatedDiscovery {
  readonly kind?: string;
  readonly items?: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions?: readonly {
      readonly version: string;
      readonly freshness?: string;
      readonly resources?: readonly {
        readonly resource: string;
        readonly responseKind?: { readonly kind?: string };
        readonly scope: "Namespaced" | "Cluster";
        readonly verbs?: readonly string[];
        readonly subresources?: readonly { readonly subresource: string }[];
      }[];
    }[];
  }[];
}
interface ApiResourceList {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs?: readonly string[];
  }[];
}

/** The groups of the versions that failed; the core group, whose version stands alone, is "". */
export function failedGroups(failed: Discovered["failed"]): ReadonlySet<string> {
  return new Set([...failed.keys()].map((version) => version.slice(0, Math.max(0, version.indexOf("/")))));
}

/** Preferred versions of everything. Throws only when the server tells nothing at all. */
export async function discover(client: Client, signal?: AbortSignal): Promise<Discovered> {
  const failed = new Map<string, string>();
  const groups: { readonly group: string; readonly versions: readonly string[] }[] = [];
  const get = (path: string) => client.transport.send({ method: "GET", path, ...(signal && { signal }) });
  const resources: DiscoveredResource[] = [];
  const seen = new Set<string>();
  const add = (resource: DiscoveredResource) => {
    const id = `${resource.group}/${resource.plural}`;
    if (seen.has(id)) return; // Versions come in the order of preference.
    seen.add(id);
    resources.push(resource);
  };

  for (const path of ["/api", "/apis"]) {
    const answer = (await get(path)) as AggregatedDiscovery & {
      readonly versions?: readonly string[];
      readonly groups?: readonly {
        readonly name: string;
        readonly versions: readonly { readonly version: string }[];
      }[];
    };
    for (const item of answer.kind === "APIGroupDiscoveryList" ? (answer.items ?? []) : []) {
      const group = item.metadata?.name ?? "";
      for (const { version, freshness, resources: served = [] } of item.versions ?? []) {
        if (freshness === "Stale") failed.set(groupVersion(group, version), "stale GroupVersion discovery");
        for (const each of served)
          add({
            group,
            version,
            kind: each.responseKind?.kind ?? "",
            plural: each.resource,
            scope: each.scope,
            verbs: each.verbs ?? [],
            subresources: (each.subresources ?? []).map(({ subresource }) => subresource),
          });
      }
    }
    if (answer.kind === "APIVersions") groups.push({ group: "", versions: answer.versions ?? [] });
    if (answer.kind === "APIGroupList")
      for (const { name, versions } of answer.groups ?? [])
        groups.push({ group: name, versions: versions.map(({ version }) => version) });
  }

  // A server that doesn't aggregate is asked group by group.
  for (const { group, versions } of groups)
    for (const version of versions) {
      try {
        const list = (await get(group === "" ? `/api/${version}` : `/apis/${group}/${version}`)) as ApiResourceList;
        const served = list.resources ?? [];
        for (const { name, kind, namespaced, verbs = [] } of served) {
          if (name.includes("/")) continue;
          const subresources = served.flatMap((each) =>
            each.name.startsWith(`${name}/`) ? [each.name.slice(name.length + 1)] : [],
          );
          add({
            group,
            version,
            kind,
            plural: name,
            scope: namespaced ? "Namespaced" : "Cluster",
            verbs,
            subresources,
          });
        }
      } catch (error) {
        if (hasReason(error, "NotFound")) continue; // Gone between the two questions.
        failed.set(groupVersion(group, version), error instanceof Error ? error.message : String(error));
      }
    }
  return { resources, failed };
}

const groupVersion = (group: string, version: string) => (group === "" ? version : `${group}/${version}`);

export function supports(resource: DiscoveredResource, ...verbs: readonly string[]): boolean {
  return verbs.every((verb) => resource.verbs.includes(verb));
}
