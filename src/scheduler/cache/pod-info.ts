/**
 * A pod as plugins see it, computed once: its requests as numbers, its affinity terms parsed, its ports.
 * Upstream: pkg/scheduler/framework/types.go (PodInfo), staging/src/k8s.io/component-helpers/resource/helpers.go
 */
import { isSidecar, NUMBERS, peakOf } from "../../api/core/v1/pod/resources.ts";
import type { Container, ContainerStatus, Pod, PodAffinityTerm } from "../../api/generated/core.v1.ts";
import { selectorOf, type LabelSelector } from "../../machinery/selector/labels.ts";
import type { Quantities } from "./quantities.ts";

/** Requests by resource; cpu in thousandths, everything else in whole units. */
export interface Requests {
  readonly cpu: number;
  readonly memory: number;
  readonly ephemeralStorage: number;
  /** Extended resources and huge pages. */
  readonly scalars: ReadonlyMap<string, number>;
}

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** A pod (anti-)affinity term, ready to be matched. */
export interface Term {
  /** What tells it from other terms: pods made from one template share it. */
  readonly key: string;
  readonly topologyKey: string;
  readonly selector: LabelSelector;
  readonly namespaces: ReadonlySet<string>;
  /** Selects further namespaces by their labels. */
  readonly namespaceSelector: LabelSelector | undefined;
}
export interface WeightedTerm extends Term {
  readonly weight: number;
}

export interface Affinity {
  readonly required: readonly Term[];
  readonly preferred: readonly WeightedTerm[];
  readonly antiRequired: readonly Term[];
  readonly antiPreferred: readonly WeightedTerm[];
}

export interface PodInfo {
  /** Replaced by newer ones as long as nothing changes that plugins read. */
  pod: Pod;
  readonly priority: number;
  readonly requests: Requests;
  /** As `requests`, with a stand-in for containers that ask for nothing: what scores count with. */
  readonly nonZeroCpu: number;
  readonly nonZeroMemory: number;
  readonly ports: readonly HostPort[];
  /** Undefined for the many pods without pod affinity. */
  readonly affinity: Affinity | undefined;
}

const DEFAULT_CPU_MILLI = 100;
const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024;
const NO_SCALARS: ReadonlyMap<string, number> = new Map();
const NO_PORTS: readonly HostPort[] = [];

export function createPodInfo(pod: Pod, quantities: Quantities): PodInfo {
  const total = totalRequests(pod, quantities);
  const scalars = new Map<string, number>();
  for (const [name, amount] of total.real) {
    if (name !== "cpu" && name !== "memory" && name !== "ephemeral-storage") scalars.set(name, amount);
  }
  return {
    pod,
    priority: pod.spec.priority ?? 0,
    requests: {
      cpu: total.real.get("cpu") ?? 0,
      memory: total.real.get("memory") ?? 0,
      ephemeralStorage: total.real.get("ephemeral-storage") ?? 0,
      scalars: scalars.size === 0 ? NO_SCALARS : scalars,
    },
    nonZeroCpu: total.nonZero.get("cpu") ?? 0,
    nonZeroMemory: total.nonZero.get("memory") ?? 0,
    ports: hostPorts(pod),
    affinity: affinityOf(pod),
  };
}

type Sum = Map<string, number>;

function totalRequests(pod: Pod, quantities: Quantities): { readonly real: Sum; readonly nonZero: Sum } {
  const { spec } = pod;
  const asked = new Map<Container, Sum>();
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])])
    asked.set(container, requestsOf(container, pod, quantities));
  const real = peakOf(spec, (container) => asked.get(container)!, NUMBERS);
  const nonZero = peakOf(spec, (container) => withStandIns(asked.get(container)!), NUMBERS);
  if (spec.resources?.requests !== undefined) {
    const whole = whileResized(spec.resources.requests, pod.status, pod, quantities);
    for (const name in spec.resources.requests) {
      if (name !== "cpu" && name !== "memory" && !name.startsWith("hugepages-")) continue;
      real.set(name, whole.get(name) ?? 0);
      nonZero.set(name, whole.get(name) ?? 0);
    }
  }
  if (spec.overhead !== undefined) {
    const overhead = read(spec.overhead, quantities);
    addTo(real, overhead);
    addTo(nonZero, overhead);
  }
  return { real, nonZero };
}

/** A container's requests. An init container that ends is never resized while it counts. */
function requestsOf(container: Container, pod: Pod, quantities: Quantities): Sum {
  const asked = container.resources?.requests ?? {};
  if (pod.spec.nodeName === undefined) return read(asked, quantities);
  const byName = ({ name }: { readonly name: string }) => name === container.name;
  const status =
    pod.status?.containerStatuses?.find(byName) ??
    (isSidecar(container) ? pod.status?.initContainerStatuses?.find(byName) : undefined);
  return whileResized(asked, status, pod, quantities);
}

/** While a resize is under way, the larger of what is asked for, granted and there; what can't be granted doesn't count. */
function whileResized(
  asked: Readonly<Record<string, string>>,
  held: Pick<ContainerStatus, "resources" | "allocatedResources"> | undefined,
  { status }: Pod,
  quantities: Quantities,
): Sum {
  if (held?.resources === undefined) return read(asked, quantities);
  const pending = status.conditions?.find(({ type }) => type === "PodResizePending");
  const sum = pending?.reason === "Infeasible" ? new Map<string, number>() : read(asked, quantities);
  raiseTo(sum, read(held.resources.requests ?? {}, quantities));
  raiseTo(sum, read(held.allocatedResources ?? {}, quantities));
  return sum;
}

function read(amounts: Readonly<Record<string, string>>, quantities: Quantities): Sum {
  const sum: Sum = new Map();
  for (const name in amounts) sum.set(name, quantities.amount(name, amounts[name]!));
  return sum;
}
function withStandIns(asked: Sum): Sum {
  if (asked.has("cpu") && asked.has("memory")) return asked;
  const padded = new Map(asked);
  if (!asked.has("cpu")) padded.set("cpu", DEFAULT_CPU_MILLI);
  if (!asked.has("memory")) padded.set("memory", DEFAULT_MEMORY_BYTES);
  return padded;
}
function addTo(sum: Sum, more: Sum): void {
  for (const [name, amount] of more) sum.set(name, (sum.get(name) ?? 0) + amount);
}
function raiseTo(sum: Sum, floor: Sum): void {
  for (const [name, amount] of floor) if (amount > (sum.get(name) ?? 0)) sum.set(name, amount);
}
function hostPorts({ spec }: Pod): readonly HostPort[] {
  let ports: HostPort[] | undefined;
  const collect = (container: Container) => {
    for (const { hostPort = 0, hostIP, protocol } of container.ports ?? []) {
      if (hostPort <= 0) continue;
      const ip = hostIP === undefined || hostIP === "" ? "0.0.0.0" : hostIP;
      (ports ??= []).push({ ip, protocol: protocol ?? "TCP", port: hostPort });
    }
  };
  for (const container of spec.containers) collect(container);
  for (const container of spec.initContainers ?? []) if (isSidecar(container)) collect(container);
  return ports ?? NO_PORTS;
}

function affinityOf(pod: Pod): Affinity | undefined {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  if (podAffinity === undefined && podAntiAffinity === undefined) return undefined;
  const namespace = pod.metadata.namespace ?? "";
  const plain = (terms: readonly PodAffinityTerm[] | undefined) =>
    (terms ?? []).map((term) => parseTerm(term, namespace));
  const weighted = (
    terms: readonly { readonly weight: number; readonly podAffinityTerm: PodAffinityTerm }[] | undefined,
  ) => (terms ?? []).map(({ weight, podAffinityTerm }) => ({ ...parseTerm(podAffinityTerm, namespace), weight }));
  return {
    required: plain(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferred: weighted(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    antiRequired: plain(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    antiPreferred: weighted(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
  };
}

function parseTerm(term: PodAffinityTerm, namespace: string): Term {
  const own = (term.namespaces ?? []).length === 0 && term.namespaceSelector === undefined;
  const namespaces = own ? [namespace] : [...(term.namespaces ?? [])].sort();
  return {
    key: JSON.stringify([term.topologyKey, term.labelSelector, namespaces, term.namespaceSelector]),
    topologyKey: term.topologyKey,
    selector: selectorOf(term.labelSelector),
    namespaces: new Set(namespaces),
    namespaceSelector: term.namespaceSelector === undefined ? undefined : selectorOf(term.namespaceSelector),
  };
}
