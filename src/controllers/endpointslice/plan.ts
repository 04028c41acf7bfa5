/**
 * The slices of a service, of at most a hundred endpoints each, with as few changed slices as possible. Pure.
 * Upstream: staging/src/k8s.io/endpointslice/reconciler.go
 */
import type { Node, Pod, Service } from "../../api/generated/core.v1.ts";
import type { Endpoint, EndpointPort, EndpointSlice } from "../../api/generated/discovery.v1.ts";
import type { Draft } from "../../machinery/meta/object.ts";
import { canonicalJson } from "../../machinery/meta/hash.ts";
import { controllerReference } from "../shared/claim.ts";
import { semanticallyEqual } from "../shared/equality.ts";
import { isFinished, isReady } from "../shared/pods.ts";
import {
  type Family,
  HEADLESS_LABEL,
  TRIGGER_TIME,
  addressesOf,
  familiesOf,
  hasIp,
  hostnameOf,
  isHeadless,
  targetPort,
} from "../shared/service-pods.ts";

export const SERVICE_NAME = "kubernetes.io/service-name";
export const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
export const MANAGER = "endpointslice-controller.k8s.io";
const ZONE = "topology.kubernetes.io/zone";
const RESERVED: ReadonlySet<string> = new Set([SERVICE_NAME, MANAGED_BY, HEADLESS_LABEL]);

export interface Input {
  readonly service: Service;
  readonly pods: readonly Pod[];
  readonly slices: readonly EndpointSlice[];
  node(name: string): Node | undefined;
  readonly maxPerSlice: number;
  readonly triggerTime: string | undefined;
}

export interface Plan {
  readonly create: readonly Draft<EndpointSlice>[];
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
  /** Pods that were left out because their node isn't known yet: look again. */
  readonly errors: readonly string[];
}

interface Group {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: Endpoint[];
}

export function planSlices(input: Input): Plan {
  const { service, slices } = input;
  const families = familiesOf(service);
  const errors: string[] = [];
  const create: Draft<EndpointSlice>[] = [];
  const update: EndpointSlice[] = [];
  const remove: EndpointSlice[] = slices.filter(({ addressType }) => !families.includes(addressType as Family));
  for (const family of families) {
    const plan = planFamily(
      input,
      family,
      slices.filter(({ addressType }) => addressType === family),
      errors,
    );
    create.push(...plan.create);
    update.push(...plan.update);
    remove.push(...plan.delete);
  }
  return { ...recycle(service, create, update, remove), errors };
}

function planFamily(
  input: Input,
  family: Family,
  existing: readonly EndpointSlice[],
  errors: string[],
): Omit<Plan, "errors"> {
  const { service } = input;
  const owned = existing.filter((slice) => isOwned(slice, service));
  const remove = existing.filter((slice) => !isOwned(slice, service));
  const create: Draft<EndpointSlice>[] = [];
  const update: EndpointSlice[] = [];
  const groups = groupByPorts(input, family, errors);
  const byPorts = new Map<string, EndpointSlice[]>();
  for (const slice of owned) {
    const key = portsKey(slice.ports ?? []);
    byPorts.set(key, [...(byPorts.get(key) ?? []), slice]);
  }
  for (const [key, group] of groups) {
    const plan = planGroup(input, family, group, byPorts.get(key) ?? []);
    create.push(...plan.create);
    update.push(...plan.update);
    remove.push(...plan.delete);
    byPorts.delete(key);
  }
  for (const slices of byPorts.values()) remove.push(...slices);

  // A service without endpoints shows it by one empty slice.
  const kept = owned.length - remove.filter((slice) => owned.includes(slice)).length;
  if (kept === 0 && create.length === 0) {
    const placeholder = newSlice(input, family, [], []);
    const [only] = remove;
    if (remove.length === 1 && only !== undefined && isOwned(only, service) && isPlaceholder(only, input))
      return { create: [], update: [], delete: [] };
    create.push(placeholder);
  }
  return { create, update, delete: remove };
}

function isOwned({ metadata }: EndpointSlice, service: Service): boolean {
  return (metadata.ownerReferences ?? []).some(({ kind, uid }) => kind === "Service" && uid === service.metadata.uid);
}

function isPlaceholder(slice: EndpointSlice, input: Input): boolean {
  return (slice.endpoints ?? []).length === 0 && (slice.ports ?? []).length === 0 && !labelsDiffer(slice, input);
}

function groupByPorts(input: Input, family: Family, errors: string[]): ReadonlyMap<string, Group> {
  const { service, pods } = input;
  const groups = new Map<string, Group>();
  for (const pod of pods) {
    if (isFinished(pod) || !hasIp(pod)) continue;
    const addresses = addressesOf(pod, family);
    if (addresses.length === 0) continue;
    const nodeName = pod.spec.nodeName ?? "";
    const node = nodeName === "" ? undefined : input.node(nodeName);
    if (nodeName !== "" && node === undefined && !service.spec.publishNotReadyAddresses) {
      const { name, namespace } = service.metadata;
      errors.push(`skipping Pod ${pod.metadata.name} for Service ${namespace}/${name}: Node ${nodeName} Not Found`);
      continue;
    }
    const ports = portsOf(pod, service);
    const key = portsKey(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push(endpointOf(pod, service, addresses, node));
  }
  return groups;
}

function portsOf(pod: Pod, service: Service): readonly EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((servicePort) => {
    const port = targetPort(pod, servicePort);
    if (port === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = servicePort;
    return [{ name, port, protocol, ...(appProtocol !== undefined && { appProtocol }) }];
  });
}

function portsKey(ports: readonly EndpointPort[]): string {
  return ports
    .map(({ name = "", port, protocol = "TCP", appProtocol = "" }) => `${name}/${port}/${protocol}/${appProtocol}`)
    .sort()
    .join(",");
}

function endpointOf(pod: Pod, service: Service, addresses: readonly string[], node: Node | undefined): Endpoint {
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const zone = node?.metadata.labels?.[ZONE];
  const hostname = hostnameOf(pod, service);
  const { namespace = "", name, uid } = pod.metadata;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const hints = ready ? hintsFor(service, zone, pod.spec.nodeName) : undefined;
  return {
    addresses,
    conditions: { ready, serving, terminating },
    ...(hostname !== undefined && { hostname }),
    targetRef: { kind: "Pod", namespace, name, uid },
    ...(pod.spec.nodeName !== undefined && pod.spec.nodeName !== "" && { nodeName: pod.spec.nodeName }),
    ...(zone !== undefined && zone !== "" && { zone }),
    ...(hints && { hints }),
  };
}

function hintsFor(service: Service, zone: string | undefined, nodeName: string | undefined): Endpoint["hints"] {
  const distribution = service.spec.trafficDistribution;
  const forZones = zone === undefined || zone === "" ? undefined : [{ name: zone }];
  if (distribution === "PreferClose" || distribution === "PreferSameZone") return forZones && { forZones };
  if (distribution !== "PreferSameNode" || nodeName === undefined || nodeName === "") return undefined;
  return { ...(forZones && { forZones }), forNodes: [{ name: nodeName }] };
}

/** What makes two endpoints the same one, whatever its state. */
function identity({ addresses, hostname, targetRef }: Endpoint): string {
  return canonicalJson([[...addresses].sort(), hostname ?? "", targetRef?.namespace ?? "", targetRef?.name ?? ""]);
}

function planGroup(
  input: Input,
  family: Family,
  group: Group,
  existing: readonly EndpointSlice[],
): Omit<Plan, "errors"> {
  const wanted = new Map(group.endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const changed: { readonly slice: EndpointSlice; readonly endpoints: Endpoint[] }[] = [];
  const unchanged: { readonly slice: EndpointSlice; readonly endpoints: Endpoint[] }[] = [];
  const remove: EndpointSlice[] = [];

  // 1. What is in a slice stays in it.
  for (const slice of existing) {
    const endpoints: Endpoint[] = [];
    let differs = false;
    for (const endpoint of slice.endpoints ?? []) {
      const next = wanted.get(identity(endpoint));
      if (next === undefined) {
        differs = true;
        continue;
      }
      wanted.delete(identity(endpoint));
      if (!semanticallyEqual(next, endpoint)) differs = true;
      endpoints.push(next);
    }
    if (endpoints.length === 0) remove.push(slice);
    else (differs || labelsDiffer(slice, input) ? changed : unchanged).push({ slice, endpoints });
  }

  // 2. New ones fill slices that change anyway, the fullest first.
  const rest = [...wanted.values()];
  const max = input.maxPerSlice;
  for (const { endpoints } of [...changed].sort((a, b) => b.endpoints.length - a.endpoints.length))
    while (endpoints.length < max && rest.length > 0) endpoints.push(rest.shift()!);

  // 3. Then at most one other slice takes all of the rest; otherwise new ones are made.
  const create: Draft<EndpointSlice>[] = [];
  while (rest.length > 0) {
    const roomy = unchanged
      .filter(({ endpoints }) => endpoints.length + rest.length <= max)
      .sort((a, b) => b.endpoints.length - a.endpoints.length)[0];
    if (roomy !== undefined) {
      unchanged.splice(unchanged.indexOf(roomy), 1);
      roomy.endpoints.push(...rest.splice(0));
      changed.push(roomy);
    } else create.push(newSlice(input, family, group.ports, rest.splice(0, max)));
  }
  return {
    create,
    update: changed.map(({ slice, endpoints }) => withEndpoints(input, slice, endpoints)),
    delete: remove,
  };
}

function withEndpoints(input: Input, slice: EndpointSlice, endpoints: readonly Endpoint[]): EndpointSlice {
  return {
    ...slice,
    metadata: {
      ...slice.metadata,
      labels: labelsFor(input.service),
      annotations: annotationsFor(input, slice.metadata.annotations),
    },
    endpoints,
  };
}

function newSlice(
  input: Input,
  family: Family,
  ports: readonly EndpointPort[],
  endpoints: readonly Endpoint[],
): Draft<EndpointSlice> {
  const { service } = input;
  const annotations = annotationsFor(input, undefined);
  return {
    metadata: {
      generateName: `${service.metadata.name}-`,
      namespace: service.metadata.namespace,
      labels: labelsFor(service),
      ...(Object.keys(annotations).length > 0 && { annotations }),
      ownerReferences: [{ ...controllerReference(service), apiVersion: "v1", kind: "Service" }],
    },
    addressType: family,
    endpoints,
    ports,
  };
}

function labelsFor(service: Service): Readonly<Record<string, string>> {
  return {
    ...Object.fromEntries(Object.entries(service.metadata.labels ?? {}).filter(([name]) => !RESERVED.has(name))),
    [SERVICE_NAME]: service.metadata.name,
    [MANAGED_BY]: MANAGER,
    ...(isHeadless(service) && { [HEADLESS_LABEL]: "" }),
  };
}

/** Only the service's own labels count; the reserved ones follow with the next change. */
function labelsDiffer(slice: EndpointSlice, { service }: Input): boolean {
  const plain = (labels: Readonly<Record<string, string>> | undefined) =>
    Object.fromEntries(Object.entries(labels ?? {}).filter(([name]) => !RESERVED.has(name)));
  return !semanticallyEqual(plain(slice.metadata.labels), plain(service.metadata.labels));
}

function annotationsFor(
  { triggerTime }: Input,
  current: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const { [TRIGGER_TIME]: _, ...others } = current ?? {};
  return triggerTime === undefined ? others : { ...others, [TRIGGER_TIME]: triggerTime };
}

/** A slice to be made takes the place of one to be deleted: one write in place of two, and watchers see no gap. */
function recycle(
  service: Service,
  create: readonly Draft<EndpointSlice>[],
  update: readonly EndpointSlice[],
  remove: readonly EndpointSlice[],
): Omit<Plan, "errors"> {
  const spare = [...remove];
  const made: Draft<EndpointSlice>[] = [];
  const updated = [...update];
  for (const draft of create) {
    const i = spare.findIndex((slice) => slice.addressType === draft.addressType && isOwned(slice, service));
    const [old] = i < 0 ? [] : spare.splice(i, 1);
    if (old === undefined) made.push(draft);
    else {
      const { labels = {}, annotations = {} } = draft.metadata ?? {};
      const metadata = { ...old.metadata, labels, annotations } as EndpointSlice["metadata"];
      updated.push({
        ...old,
        metadata,
        endpoints: draft.endpoints as readonly Endpoint[],
        ports: draft.ports as readonly EndpointPort[],
      });
    }
  }
  return { create: service.metadata.deletionTimestamp === undefined ? made : [], update: updated, delete: spare };
}
