/**
 * What the node has granted a pod, apart from what its spec asks for by now, and how the two are told apart. Pure.
 * Upstream: pkg/kubelet/allocation/allocation_manager.go updatePodFromAllocation, pkg/kubelet/util GetLimits
 */
import type { Container, Pod, ResourceRequirements } from "../../api/generated/core.v1.ts";
import { compareQuantities, parseQuantity } from "../../machinery/meta/quantity.ts";
import { initContainers } from "../pod.ts";
import { podRequests } from "../runtime/pod-resources.ts";

type ResourceList = Readonly<Record<string, string>>;

/** Names as in upstream's checkpoint files. */
export interface PodResourceInfo {
  readonly ContainerResources: Readonly<Record<string, ResourceRequirements>>;
  readonly PodLevelResources: ResourceRequirements | null;
}

export function allocationOf(pod: Pod): PodResourceInfo {
  return {
    ContainerResources: Object.fromEntries(
      [...initContainers(pod), ...pod.spec.containers].map(({ name, resources }) => [name, resources ?? {}]),
    ),
    PodLevelResources: pod.spec.resources ?? null,
  };
}

/** The pod as it was granted; the same object where that is what it asks for. */
export function withAllocation(pod: Pod, info: PodResourceInfo | undefined): Pod {
  if (info === undefined) return pod;
  let changed = false;
  const granted = (container: Container): Container => {
    const own = info.ContainerResources[container.name];
    if (own === undefined || sameRequirements(container.resources, own)) return container;
    changed = true;
    return { ...container, resources: own };
  };
  const containers = pod.spec.containers.map(granted);
  const inits = initContainers(pod).map(granted);
  const samePod = sameRequirements(pod.spec.resources, info.PodLevelResources ?? undefined);
  if (!changed && samePod) return pod;
  const { resources, ...spec } = pod.spec;
  const whole = samePod ? resources : (info.PodLevelResources ?? undefined);
  return {
    ...pod,
    spec: {
      ...spec,
      containers,
      ...(spec.initContainers !== undefined && { initContainers: inits }),
      ...(whole !== undefined && { resources: whole }),
    },
  };
}

/** Equal in amounts, whatever their texts; nothing is as good as an empty list. */
export function sameRequirements(a: ResourceRequirements | undefined, b: ResourceRequirements | undefined): boolean {
  if (a === b) return true;
  return (
    sameList(a?.requests, b?.requests) &&
    sameList(a?.limits, b?.limits) &&
    JSON.stringify(a?.claims ?? []) === JSON.stringify(b?.claims ?? [])
  );
}

function sameList(a: ResourceList = {}, b: ResourceList = {}): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => b[name] !== undefined && sameQuantity(a[name], b[name]))
  );
}

/** An amount that isn't given is 0. */
export function sameQuantity(a: string | undefined, b: string | undefined): boolean {
  return compareText(a, b) === 0;
}
export function compareText(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  return compareQuantities(parseQuantity(a ?? "0") ?? ZERO, parseQuantity(b ?? "0") ?? ZERO);
}
const ZERO = { nano: 0n, format: "DecimalSI" } as const;

export const COMPUTE = ["cpu", "memory"] as const;
export type Compute = (typeof COMPUTE)[number];

/** A container's limits, with the pod's own where it has none. */
export function effectiveLimits(
  pod: ResourceRequirements | undefined | null,
  container: ResourceRequirements | undefined,
): ResourceList {
  const limits = { ...container?.limits };
  for (const name of COMPUTE) {
    const whole = pod?.limits?.[name];
    if (isZero(limits[name]) && !isZero(whole)) limits[name] = whole!;
  }
  return limits;
}

const isZero = (quantity: string | undefined): boolean => compareText(quantity, undefined) === 0;

/** What the runtime was given of a container's resources. */
export function actuatedResources(pod: Pod, resources: ResourceRequirements | undefined): ResourceRequirements {
  return { ...resources, limits: effectiveLimits(pod.spec.resources, resources) };
}

/** Whether the pod asks for more cpu or memory than it was granted. */
export function asksForMore(pod: Pod, allocated: Pod): boolean {
  const before = podRequests(allocated);
  const wanted = podRequests(pod);
  return COMPUTE.some((name) => (wanted[name] ?? 0) > (before[name] ?? 0));
}

export type ResizeOperation = "add" | "remove" | "increase" | "decrease";
export interface RequestedResize {
  readonly resource: Compute;
  readonly requirement: "requests" | "limits";
  readonly operation: ResizeOperation;
}

/** What an update of the spec changes in its containers' resources. */
export function requestedResizes(old: Pod, pod: Pod): readonly RequestedResize[] {
  const all = (one: Pod) => [...initContainers(one), ...one.spec.containers];
  return all(old).flatMap((container) => {
    const next = all(pod).find(({ name }) => name === container.name);
    if (next === undefined || next.resources === container.resources) return [];
    return (["memory", "cpu"] as const).flatMap((resource) =>
      (["requests", "limits"] as const).flatMap((requirement) => {
        const from = container.resources?.[requirement]?.[resource];
        const to = next.resources?.[requirement]?.[resource];
        const operation = operationOf(from, to);
        return operation === undefined ? [] : [{ resource, requirement, operation }];
      }),
    );
  });
}

function operationOf(from: string | undefined, to: string | undefined): ResizeOperation | undefined {
  if (isZero(to)) return isZero(from) ? undefined : "remove";
  if (isZero(from)) return "add";
  const order = compareText(to, from);
  return order < 0 ? "decrease" : order > 0 ? "increase" : undefined;
}

/** Requests with what the status says the pod holds: while a resize is under way the larger counts. */
export function heldRequests(allocated: Pod, status: Pod["status"]): Readonly<Record<Compute, number>> {
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  const held = (container: Container): Container => {
    const found = statuses.find(({ name }) => name === container.name);
    if (found?.resources === undefined) return container;
    const requests: Record<string, string> = { ...container.resources?.requests };
    for (const list of [found.resources.requests, found.allocatedResources])
      for (const name in list) if (compareText(list[name], requests[name]) > 0) requests[name] = list[name]!;
    return { ...container, resources: { ...container.resources, requests } };
  };
  const sum = podRequests({
    ...allocated,
    spec: { ...allocated.spec, containers: allocated.spec.containers.map(held) },
  });
  return { cpu: sum["cpu"] ?? 0, memory: sum["memory"] ?? 0 };
}
