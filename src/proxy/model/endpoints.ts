/**
 * The endpoints of a service's ports, merged from its slices, and which of them may receive traffic.
 * Upstream: pkg/proxy/endpointslicecache.go, topology.go
 */
import { hostPort } from "../../base/host-port.ts";
import type { EndpointSlice } from "../../api/generated/discovery.v1.ts";
import { type Family, isExternallyAccessible, type ServicePort } from "./service-port.ts";

export interface Endpoint {
  readonly ip: string;
  readonly port: number;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly local: boolean;
  readonly zoneHints: ReadonlySet<string>;
  readonly nodeHints: ReadonlySet<string>;
}

/** `ip:port`, IPv6 in brackets: the address as rules and chain names spell it. */
export function endpointAddress({ ip, port }: Pick<Endpoint, "ip" | "port">): string {
  return hostPort(ip, port);
}

/** The endpoints behind each port name of one service, in rule order (by `ip:port`). */
export function endpointsByPort(
  slices: readonly EndpointSlice[],
  family: Family,
  nodeName: string,
): ReadonlyMap<string, readonly Endpoint[]> {
  const byPort = new Map<string, Map<string, Endpoint>>();
  for (const slice of slices) {
    if (slice.addressType !== `IPv${family}`) continue;
    for (const { name, port, protocol } of slice.ports ?? []) {
      if (port === undefined || port === 0) continue;
      const key = `${name ?? ""}/${(protocol ?? "TCP").toLowerCase()}`;
      const known = byPort.get(key) ?? new Map<string, Endpoint>();
      byPort.set(key, known);
      for (const { addresses, conditions, nodeName: on, hints } of slice.endpoints ?? []) {
        const ip = addresses[0];
        if (ip === undefined) continue;
        const endpoint: Endpoint = {
          ip,
          port,
          ready: conditions?.ready !== false,
          serving: conditions?.serving !== false,
          terminating: conditions?.terminating === true,
          local: on === nodeName,
          zoneHints: new Set(hints?.forZones?.map((zone) => zone.name)),
          nodeHints: new Set(hints?.forNodes?.map((node) => node.name)),
        };
        const address = endpointAddress(endpoint);
        // The same address in two slices: one that isn't terminating wins.
        if (known.get(address)?.terminating !== false) known.set(address, endpoint);
      }
    }
  }
  return new Map(
    [...byPort].map(([key, known]) => [
      key,
      [...known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint),
    ]),
  );
}

export interface Selection {
  /** Where traffic under the Cluster policy goes. */
  readonly cluster: readonly Endpoint[];
  /** Where traffic under the Local policy goes. */
  readonly local: readonly Endpoint[];
  /** False: reject, there is nobody anywhere. */
  readonly any: boolean;
}

/** Which endpoints serve a port on this node. Pure; the table of cases is in `endpoints.test.ts`. */
export function selectEndpoints(
  port: ServicePort,
  endpoints: readonly Endpoint[],
  node: { readonly name: string; readonly zone: string | undefined },
): Selection {
  const usesLocal = port.internalLocal || (port.externalLocal && isExternallyAccessible(port));
  const usesCluster = !port.internalLocal || isExternallyAccessible(port);
  const fallback = (candidates: readonly Endpoint[]) =>
    candidates.filter((endpoint) => endpoint.serving && endpoint.terminating);
  const orTerminating = (ready: readonly Endpoint[], all: readonly Endpoint[]) =>
    ready.length > 0 ? ready : fallback(all);

  const cluster = usesCluster
    ? orTerminating(
        byTopology(
          endpoints.filter(({ ready }) => ready),
          node,
        ),
        endpoints,
      )
    : [];
  const here = endpoints.filter((endpoint) => endpoint.local);
  const local = usesLocal
    ? orTerminating(
        here.filter(({ ready }) => ready),
        here,
      )
    : [];
  const any =
    cluster.length > 0 ||
    (usesLocal && endpoints.some((endpoint) => endpoint.ready || (endpoint.serving && endpoint.terminating)));
  return { cluster, local, any };
}

/** Hints are followed only when every ready endpoint has them and at least one names us: half a set of hints would starve someone. */
function byTopology(
  ready: readonly Endpoint[],
  node: { readonly name: string; readonly zone: string | undefined },
): readonly Endpoint[] {
  if (ready.length > 0 && ready.every(({ nodeHints }) => nodeHints.size > 0)) {
    const here = ready.filter(({ nodeHints }) => nodeHints.has(node.name));
    if (here.length > 0) return here;
  }
  const { zone } = node;
  if (zone !== undefined && ready.length > 0 && ready.every(({ zoneHints }) => zoneHints.size > 0)) {
    const near = ready.filter(({ zoneHints }) => zoneHints.has(zone));
    if (near.length > 0) return near;
  }
  return ready;
}
