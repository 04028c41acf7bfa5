/**
 * The order in which nodes are examined: alternating between zones, so that a sample of nodes is also a sample of zones.
 * Upstream: pkg/scheduler/backend/cache/node_tree.go
 */
import type { NodeInfo } from "./node-info.ts";

export class NodeOrder {
  readonly #zones = new Map<string, Set<NodeInfo>>();
  #list: readonly NodeInfo[] | undefined;

  add(node: NodeInfo): void {
    const zone = zoneOf(node);
    const nodes = this.#zones.get(zone);
    if (nodes === undefined) this.#zones.set(zone, new Set([node]));
    else nodes.add(node);
    this.#list = undefined;
  }

  /** By the labels that it was added with. */
  remove(node: NodeInfo): void {
    const zone = zoneOf(node);
    const nodes = this.#zones.get(zone);
    nodes?.delete(node);
    if (nodes?.size === 0) this.#zones.delete(zone);
    this.#list = undefined;
  }

  list(): readonly NodeInfo[] {
    return (this.#list ??= interleave([...this.#zones.values()].map((nodes) => [...nodes])));
  }
}

function interleave(zones: readonly (readonly NodeInfo[])[]): readonly NodeInfo[] {
  const longest = Math.max(0, ...zones.map((nodes) => nodes.length));
  const list: NodeInfo[] = [];
  for (let i = 0; i < longest; i++) for (const nodes of zones) if (i < nodes.length) list.push(nodes[i]!);
  return list;
}

function zoneOf({ labels }: NodeInfo): string {
  const region = labels["topology.kubernetes.io/region"] ?? labels["failure-domain.beta.kubernetes.io/region"] ?? "";
  const zone = labels["topology.kubernetes.io/zone"] ?? labels["failure-domain.beta.kubernetes.io/zone"] ?? "";
  return region === "" && zone === "" ? "" : `${region}:\0:${zone}`;
}
