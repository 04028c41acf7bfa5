/**
 * What must be told the runtime so that running containers have what their pod was granted. Pure.
 * Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodResizeAction
 */
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Container, Pod, ResourceRequirements } from "../../api/generated/core.v1.ts";
import { actuatedResources, COMPUTE, compareText, sameQuantity, sameRequirements } from "../allocation/resources.ts";
import type { Compute, PodResourceInfo } from "../allocation/resources.ts";
import { initContainers } from "../pod.ts";
import { newestOf } from "./state.ts";
import type { RuntimeContainer, RuntimePod } from "./state.ts";

export interface ContainerUpdate {
  readonly container: Container;
  readonly containerId: string;
  /** What the runtime was told last. */
  readonly current: ResourceRequirements;
  readonly desired: ResourceRequirements;
}

export interface ResizePlan {
  /** By resource, those that shrink first. */
  readonly updates: Readonly<Record<Compute, readonly ContainerUpdate[]>>;
  /** Names of containers that are started anew with their resources. */
  readonly restart: ReadonlySet<string>;
  /** The pod's own resources differ from what was told last. */
  readonly podLevel: boolean;
}

export const NO_RESIZE: ResizePlan = { updates: { cpu: [], memory: [] }, restart: new Set(), podLevel: false };

export function resizePlan(pod: Pod, runtime: RuntimePod, actuated: PodResourceInfo | undefined): ResizePlan {
  const updates: Record<Compute, ContainerUpdate[]> = { cpu: [], memory: [] };
  const restart = new Set<string>();
  for (const container of [...initContainers(pod), ...pod.spec.containers]) {
    const running = newestOf(runtime, container.name);
    if (running?.state !== "running") continue;
    const one = updateOf(pod, container, running, actuated);
    const changed = COMPUTE.filter((resource) => !sameCompute(one.current, one.desired, resource));
    if (changed.some((resource) => restartsFor(container, resource))) restart.add(container.name);
    else for (const resource of changed) insert(updates[resource], one, resource);
  }
  const podLevel = COMPUTE.some(
    (resource) => !sameCompute(actuated?.PodLevelResources ?? undefined, pod.spec.resources, resource),
  );
  if (restart.size === 0 && !podLevel && COMPUTE.every((resource) => updates[resource].length === 0)) return NO_RESIZE;
  return { updates, restart, podLevel };
}

function updateOf(
  pod: Pod,
  container: Container,
  { id }: RuntimeContainer,
  actuated: PodResourceInfo | undefined,
): ContainerUpdate {
  return {
    container,
    containerId: id,
    current: actuated?.ContainerResources[container.name] ?? {},
    desired: actuatedResources(pod, container.resources),
  };
}

function sameCompute(
  a: ResourceRequirements | undefined,
  b: ResourceRequirements | undefined,
  resource: Compute,
): boolean {
  return (
    sameQuantity(a?.requests?.[resource], b?.requests?.[resource]) &&
    sameQuantity(a?.limits?.[resource], b?.limits?.[resource])
  );
}

function restartsFor(container: Container, resource: Compute): boolean {
  const policy = container.resizePolicy?.find(({ resourceName }) => resourceName === resource);
  return policy?.restartPolicy === "RestartContainer";
}

/** What shrinks makes room for what grows. The limit tells which it is; the request where the limit stays. */
function insert(list: ContainerUpdate[], update: ContainerUpdate, resource: Compute): void {
  const { current, desired } = update;
  const byLimit = compareText(desired.limits?.[resource], current.limits?.[resource]);
  const order = byLimit === 0 ? compareText(desired.requests?.[resource], current.requests?.[resource]) : byLimit;
  if (order < 0) list.unshift(update);
  else list.push(update);
}

/** What a container has between two updates: one resource as told last, the other as it shall be. */
export function mixed(current: ResourceRequirements, desired: ResourceRequirements, resource: Compute) {
  const pick = (what: "requests" | "limits") => {
    const list: Record<string, string> = {};
    for (const name of COMPUTE) {
      const quantity = (name === resource ? desired : current)[what]?.[name];
      if (quantity !== undefined) list[name] = quantity;
    }
    return list;
  };
  return { requests: pick("requests"), limits: pick("limits") };
}

/** Containers that run with other resources than those granted. */
export function isResizeInProgress(pod: Pod, runtime: RuntimePod, actuated: PodResourceInfo | undefined): boolean {
  const containers = [...initContainers(pod).filter(isSidecar), ...pod.spec.containers];
  const differs = containers.some((container) => {
    const running = newestOf(runtime, container.name);
    if (running?.state !== "running") return false;
    const { current, desired } = updateOf(pod, container, running, actuated);
    return COMPUTE.some((resource) => !sameCompute(current, desired, resource));
  });
  if (differs || pod.spec.resources === undefined || actuated?.PodLevelResources == null) return differs;
  const whole = actuated.PodLevelResources;
  return (
    !sameRequirements(whole, pod.spec.resources) &&
    COMPUTE.some((resource) => !sameCompute(whole, pod.spec.resources, resource))
  );
}
