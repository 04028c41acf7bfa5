/** The Endpoints object of a service, from its pods. Pure. Upstream: pkg/controller/endpoint, pkg/api/v1/endpoints/util.go (RepackSubsets) */
import type {
  EndpointAddress,
  EndpointPort,
  EndpointSubset,
  Endpoints,
  Pod,
  Service,
} from "../../api/generated/core.v1.ts";
import { semanticallyEqual } from "../shared/equality.ts";
import { isFinished, isReady } from "../shared/pods.ts";
import {
  type Family,
  HEADLESS_LABEL,
  TRIGGER_TIME,
  addressesOf,
  familiesOf,
  familyOf,
  hasIp,
  hostnameOf,
  isHeadless,
  targetPort,
} from "../shared/service-pods.ts";

export const MANAGED_BY = "endpoints.kubernetes.io/managed-by";
export const MANAGER = "endpoint-controller";
const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";
const CAPACITY = 1000;

/** The subsets for these pods, before packing: one address and its ports each. */
export function subsetsOf(service: Service, pods: readonly Pod[]): readonly EndpointSubset[] {
  const { publishNotReadyAddresses = false, ports = [] } = service.spec;
  const loose: {
    readonly address: EndpointAddress;
    readonly ready: boolean;
    readonly port: EndpointPort | undefined;
  }[] = [];
  for (const pod of pods) {
    if (isFinished(pod) || !hasIp(pod)) continue;
    if (pod.metadata.deletionTimestamp !== undefined && !publishNotReadyAddresses) continue;
    const address = addressOf(pod, service);
    if (address === undefined) continue;
    const ready = publishNotReadyAddresses || isReady(pod);
    if (ports.length === 0 && isHeadless(service)) loose.push({ address, ready, port: undefined });
    for (const servicePort of ports) {
      const port = targetPort(pod, servicePort);
      if (port === undefined) continue;
      const { name, protocol = "TCP", appProtocol } = servicePort;
      loose.push({
        address,
        ready,
        port: {
          ...(name !== undefined && name !== "" && { name }),
          port,
          protocol,
          ...(appProtocol !== undefined && { appProtocol }),
        },
      });
    }
  }
  return repack(loose);
}

function familyFor(service: Service, pod: Pod): Family {
  if ((service.spec.ipFamilies ?? []).length > 0 || !isHeadless(service)) return familiesOf(service)[0]!;
  return familyOf(pod.status.podIP ?? "");
}

function addressOf(pod: Pod, service: Service): EndpointAddress | undefined {
  const [ip] = addressesOf(pod, familyFor(service, pod));
  if (ip === undefined) return undefined;
  const { namespace = "", name, uid } = pod.metadata;
  const hostname = hostnameOf(pod, service);
  return {
    ip,
    ...(hostname !== undefined && { hostname }),
    ...(pod.spec.nodeName !== undefined && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: "Pod", namespace, name, uid },
  };
}

/** Addresses with the same set of ports share a subset; everything is sorted, so that equal content is equal text. */
function repack(
  loose: readonly {
    readonly address: EndpointAddress;
    readonly ready: boolean;
    readonly port: EndpointPort | undefined;
  }[],
): readonly EndpointSubset[] {
  const byAddress = new Map<string, { address: EndpointAddress; ready: boolean; ports: Map<string, EndpointPort> }>();
  for (const { address, ready, port } of loose) {
    const key = `${address.ip}/${address.targetRef?.uid}/${ready}`;
    const entry = byAddress.get(key) ?? { address, ready, ports: new Map<string, EndpointPort>() };
    byAddress.set(key, entry);
    if (port !== undefined) entry.ports.set(portKey(port), port);
  }
  const byPorts = new Map<
    string,
    { ports: readonly EndpointPort[]; ready: EndpointAddress[]; notReady: EndpointAddress[] }
  >();
  for (const { address, ready, ports } of byAddress.values()) {
    const keys = [...ports.keys()].sort();
    const key = keys.join(",");
    const subset = byPorts.get(key) ?? { ports: keys.map((each) => ports.get(each)!), ready: [], notReady: [] };
    byPorts.set(key, subset);
    (ready ? subset.ready : subset.notReady).push(address);
  }
  return [...byPorts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { ports, ready, notReady }]) => ({
      ...(ready.length > 0 && { addresses: ready.sort(byIp) }),
      ...(notReady.length > 0 && { notReadyAddresses: notReady.sort(byIp) }),
      ...(ports.length > 0 && { ports }),
    }));
}

const portKey = ({ name = "", port, protocol }: EndpointPort) => `${name}/${protocol}/${String(port).padStart(5, "0")}`;
const byIp = (a: EndpointAddress, b: EndpointAddress) =>
  a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : (a.targetRef?.uid ?? "") < (b.targetRef?.uid ?? "") ? -1 : 1;

/** The object as it should be; `current` itself when it is. */
export function planEndpoints(
  service: Service,
  subsets: readonly EndpointSubset[],
  current: Endpoints | undefined,
  triggerTime: string | undefined,
): Endpoints {
  const { kept, truncated } = truncate(subsets);
  const labels: Record<string, string> = {
    ...Object.fromEntries(Object.entries(service.metadata.labels ?? {}).filter(([name]) => name !== HEADLESS_LABEL)),
    ...(isHeadless(service) && { [HEADLESS_LABEL]: "" }),
    [MANAGED_BY]: MANAGER,
  };
  const { [OVER_CAPACITY]: wasTruncated, [TRIGGER_TIME]: _, ...others } = current?.metadata.annotations ?? {};
  if (
    current !== undefined &&
    semanticallyEqual(current.subsets, kept) &&
    semanticallyEqual(current.metadata.labels, labels) &&
    (wasTruncated === "truncated") === truncated
  )
    return current;
  const annotations = {
    ...others,
    ...(triggerTime !== undefined && { [TRIGGER_TIME]: triggerTime }),
    ...(truncated && { [OVER_CAPACITY]: "truncated" }),
  };
  const { name, namespace } = service.metadata;
  const base =
    current ?? ({ apiVersion: "v1", kind: "Endpoints", metadata: { name, namespace } } as unknown as Endpoints);
  return {
    ...base,
    metadata: {
      ...base.metadata,
      labels,
      ...(Object.keys(annotations).length > 0 ? { annotations } : { annotations: {} }),
    },
    subsets: kept,
  };
}

/** At most a thousand addresses, ready ones first, each subset giving its share. */
function truncate(subsets: readonly EndpointSubset[]): {
  readonly kept: readonly EndpointSubset[];
  readonly truncated: boolean;
} {
  const count = (pick: (subset: EndpointSubset) => readonly EndpointAddress[] | undefined) =>
    subsets.reduce((sum, subset) => sum + (pick(subset)?.length ?? 0), 0);
  const ready = count(({ addresses }) => addresses);
  const notReady = count(({ notReadyAddresses }) => notReadyAddresses);
  if (ready + notReady <= CAPACITY) return { kept: subsets, truncated: false };
  let readyLeft = Math.min(ready, CAPACITY);
  let notReadyLeft = CAPACITY - readyLeft;
  const kept = subsets.map(({ addresses = [], notReadyAddresses = [], ports }) => {
    const take = Math.min(
      readyLeft,
      ready > CAPACITY ? Math.ceil((addresses.length / ready) * CAPACITY) : addresses.length,
    );
    const takeNot = Math.min(
      notReadyLeft,
      notReady === 0 ? 0 : Math.ceil((notReadyAddresses.length / notReady) * (CAPACITY - Math.min(ready, CAPACITY))),
    );
    readyLeft -= take;
    notReadyLeft -= takeNot;
    return {
      ...(take > 0 && { addresses: addresses.slice(0, take) }),
      ...(takeNot > 0 && { notReadyAddresses: notReadyAddresses.slice(0, takeNot) }),
      ...(ports && { ports }),
    };
  });
  return {
    kept: kept.filter((subset) => subset.addresses !== undefined || subset.notReadyAddresses !== undefined),
    truncated: true,
  };
}
