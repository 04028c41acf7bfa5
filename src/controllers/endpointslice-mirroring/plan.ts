/** The EndpointSlices that mirror an Endpoints object. Pure. Upstream: pkg/controller/endpointslicemirroring */
import type { EndpointAddress, EndpointSubset, Endpoints, Service } from "../../api/generated/core.v1.ts";
import type { Endpoint, EndpointPort, EndpointSlice } from "../../api/generated/discovery.v1.ts";
import { canonicalJson } from "../../machinery/meta/hash.ts";
import type { Draft } from "../../machinery/meta/object.ts";
import { parseIp } from "../../machinery/validation/ip.ts";
import { controllerReference } from "../shared/claim.ts";
import { semanticallyEqual } from "../shared/equality.ts";
import { TRIGGER_TIME } from "../shared/service-pods.ts";

export const SERVICE_NAME = "kubernetes.io/service-name";
export const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
export const MANAGER = "endpointslicemirroring-controller.k8s.io";
const SKIP = "endpointslice.kubernetes.io/skip-mirror";
const LEADER = "control-plane.alpha.kubernetes.io/leader";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

export function shouldMirror({ metadata }: Endpoints, service: Service | undefined): boolean {
  if (metadata.labels?.[SKIP] === "true" || metadata.annotations?.[LEADER] !== undefined) return false;
  // A service with a selector gets its slices from its pods.
  return service !== undefined && service.spec.selector === undefined;
}

export interface Plan {
  readonly create: readonly Draft<EndpointSlice>[];
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
  readonly invalidAddresses: number;
  readonly tooMany: number;
}

interface Group {
  readonly family: "IPv4" | "IPv6";
  readonly ports: readonly EndpointPort[];
  readonly endpoints: Map<string, Endpoint>;
}

export function planMirror(endpoints: Endpoints, slices: readonly EndpointSlice[], maxPerSubset: number): Plan {
  const groups = new Map<string, Group>();
  let invalidAddresses = 0;
  let tooMany = 0;
  for (const subset of endpoints.subsets ?? []) {
    const ports = portsOf(subset);
    let left = maxPerSubset;
    const take = (address: EndpointAddress, ready: boolean) => {
      const ip = parseIp(address.ip);
      if (ip === undefined) {
        invalidAddresses++;
        return;
      }
      if (left-- <= 0) {
        tooMany++;
        return;
      }
      const family = ip.family === 4 ? "IPv4" : "IPv6";
      const key = `${family} ${keyOfPorts(ports)}`;
      const group = groups.get(key) ?? { family, ports, endpoints: new Map<string, Endpoint>() };
      groups.set(key, group);
      const endpoint = endpointOf(address, ready);
      group.endpoints.set(identity(endpoint), endpoint);
    };
    for (const address of subset.addresses ?? []) take(address, true);
    for (const address of subset.notReadyAddresses ?? []) take(address, false);
  }

  const create: Draft<EndpointSlice>[] = [];
  const update: EndpointSlice[] = [];
  const spare = [...slices];
  for (const [key, group] of groups) {
    const i = spare.findIndex((slice) => `${slice.addressType} ${keyOfPorts(slice.ports ?? [])}` === key);
    const [existing] = i < 0 ? [] : spare.splice(i, 1);
    // One slice takes a thousand: what is beyond isn't mirrored.
    const wanted = [...group.endpoints.values()].slice(0, maxPerSubset);
    const metadata = metadataFor(endpoints);
    if (existing === undefined)
      create.push({ metadata, addressType: group.family, endpoints: wanted, ports: group.ports });
    else if (differs(existing, wanted, metadata))
      update.push({
        ...existing,
        metadata: { ...existing.metadata, ...metadata } as EndpointSlice["metadata"],
        endpoints: wanted,
      });
  }
  return { ...recycled(create, update, spare), invalidAddresses, tooMany };
}

/** A slice that is to go takes what is to come, where the family is the same. */
function recycled(
  create: readonly Draft<EndpointSlice>[],
  update: readonly EndpointSlice[],
  spare: readonly EndpointSlice[],
) {
  const left = [...spare];
  const made: Draft<EndpointSlice>[] = [];
  const updated = [...update];
  for (const draft of create) {
    const i = left.findIndex(({ addressType }) => addressType === draft.addressType);
    const [old] = i < 0 ? [] : left.splice(i, 1);
    if (old === undefined) made.push(draft);
    else
      updated.push({
        ...old,
        metadata: { ...old.metadata, ...draft.metadata } as EndpointSlice["metadata"],
        endpoints: draft.endpoints as readonly Endpoint[],
        ports: draft.ports as readonly EndpointPort[],
      });
  }
  return { create: made, update: updated, delete: left };
}

function portsOf({ ports = [] }: EndpointSubset): readonly EndpointPort[] {
  return ports.map(({ name = "", port, protocol = "TCP", appProtocol }) => ({
    name,
    port,
    protocol,
    ...(appProtocol !== undefined && { appProtocol }),
  }));
}

function keyOfPorts(ports: readonly EndpointPort[]): string {
  return ports
    .map(({ name = "", port, protocol = "TCP", appProtocol = "" }) => `${name}/${port}/${protocol}/${appProtocol}`)
    .sort()
    .join(",");
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname !== undefined && hostname !== "" && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    ...(targetRef && { targetRef }),
  };
}

const identity = ({ addresses, hostname, targetRef }: Endpoint) =>
  canonicalJson([addresses, hostname ?? "", targetRef?.namespace ?? "", targetRef?.name ?? ""]);

function metadataFor(endpoints: Endpoints) {
  const { name, namespace, labels, annotations = {} } = endpoints.metadata;
  const { [TRIGGER_TIME]: _, [LAST_APPLIED]: __, ...kept } = annotations;
  return {
    generateName: `${name}-`,
    namespace,
    labels: { ...labels, [SERVICE_NAME]: name, [MANAGED_BY]: MANAGER },
    ...(Object.keys(kept).length > 0 && { annotations: kept }),
    ownerReferences: [{ ...controllerReference(endpoints), apiVersion: "v1", kind: "Endpoints" }],
  };
}

function differs(slice: EndpointSlice, wanted: readonly Endpoint[], metadata: ReturnType<typeof metadataFor>): boolean {
  const byIdentity = (endpoints: readonly Endpoint[]) =>
    [...endpoints].sort((a, b) => (identity(a) < identity(b) ? -1 : 1));
  return (
    !semanticallyEqual(byIdentity(slice.endpoints ?? []), byIdentity(wanted)) ||
    !semanticallyEqual(slice.metadata.labels, metadata.labels) ||
    !semanticallyEqual(slice.metadata.annotations, metadata.annotations) ||
    slice.metadata.ownerReferences?.[0]?.uid !== metadata.ownerReferences[0]!.uid
  );
}
