/**
 * What the endpoints controllers have in common: relevant changes of pods, ports, IP families, trigger times.
 * Upstream: staging/src/k8s.io/endpointslice, pkg/controller/endpoint
 */
import { conditionOf } from "../../machinery/meta/conditions.ts";
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Pod, Service, ServicePort } from "../../api/generated/core.v1.ts";
import type { Trigger } from "../../client/controller.ts";
import { pods, services } from "../../client/resources.ts";
import { keyOf } from "../../machinery/meta/object.ts";
import { semanticallyEqual } from "./equality.ts";
import { isReady } from "./pods.ts";
import { matchesLabels } from "./selector.ts";

/** Wakes the services that select the pod, before or after the change. */
export const servicesOfPod: Trigger<Pod> = {
  resource: pods,
  changed: (old, pod) => podChanged(old, pod) || labelsChanged(old, pod),
  keys: (pod, informers) =>
    informers
      .of(services)
      .list(pod.metadata.namespace)
      .filter(({ spec }) => spec.selector !== undefined && matchesLabels(spec.selector, pod.metadata.labels))
      .map(keyOf),
};

function podChanged(old: Pod, pod: Pod): boolean {
  return (
    old.metadata.deletionTimestamp !== pod.metadata.deletionTimestamp ||
    isReady(old) !== isReady(pod) ||
    old.status.phase !== pod.status.phase ||
    old.spec.nodeName !== pod.spec.nodeName ||
    !semanticallyEqual(old.status.podIPs, pod.status.podIPs) ||
    old.status.podIP !== pod.status.podIP
  );
}

function labelsChanged(old: Pod, pod: Pod): boolean {
  return (
    !semanticallyEqual(old.metadata.labels, pod.metadata.labels) ||
    old.spec.hostname !== pod.spec.hostname ||
    old.spec.subdomain !== pod.spec.subdomain
  );
}

export type Family = "IPv4" | "IPv6";
export const familyOf = (ip: string): Family => (ip.includes(":") ? "IPv6" : "IPv4");

export function familiesOf({ spec }: Service): readonly Family[] {
  if ((spec.ipFamilies ?? []).length > 0) return spec.ipFamilies as readonly Family[];
  if (spec.clusterIP !== undefined && spec.clusterIP !== "" && spec.clusterIP !== "None")
    return [familyOf(spec.clusterIP)];
  // A headless service from before there were families.
  return ["IPv4", "IPv6"];
}

export function addressesOf({ status }: Pod, family: Family): readonly string[] {
  const all = status.podIPs?.map(({ ip }) => ip) ?? (status.podIP === undefined ? [] : [status.podIP]);
  return all.filter((ip) => ip !== undefined && ip !== "" && familyOf(ip) === family) as string[];
}

export function hasIp({ status }: Pod): boolean {
  return (status.podIP ?? "") !== "" || (status.podIPs ?? []).length > 0;
}

/** The number behind a service's port in this pod; undefined where the pod has no port of that name. */
export function targetPort(pod: Pod, { targetPort: target, port, protocol = "TCP" }: ServicePort): number | undefined {
  if (typeof target === "number") return target === 0 ? port : target;
  if (target === undefined || target === "") return port;
  const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar);
  for (const container of [...(pod.spec.containers ?? []), ...sidecars])
    for (const each of container.ports ?? [])
      if (each.name === target && (each.protocol ?? "TCP") === protocol) return each.containerPort;
  return undefined;
}

export function hostnameOf(pod: Pod, service: Service): string | undefined {
  const { hostname, subdomain } = pod.spec;
  return hostname !== undefined && hostname !== "" && subdomain === service.metadata.name ? hostname : undefined;
}

export const isHeadless = ({ spec }: Service) => spec.clusterIP === "None" || (spec.clusterIP ?? "") === "";
export const HEADLESS_LABEL = "service.kubernetes.io/headless";
export const TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time";

/** Remembers, for each service, which of its pods' changes were answered, to say when the oldest unanswered one happened. */
export class TriggerTimes {
  readonly #known = new Map<string, { readonly service: string; readonly pods: ReadonlyMap<string, string> }>();

  next(key: string, service: Service, selected: readonly Pod[]): string | undefined {
    const known = this.#known.get(key);
    const times = new Map<string, string>();
    const changes: string[] = [];
    for (const pod of selected) {
      const at = conditionOf(pod.status, "Ready")?.lastTransitionTime;
      if (at === undefined) continue;
      times.set(pod.metadata.name, at);
      if (known !== undefined && at > (known.pods.get(pod.metadata.name) ?? "")) changes.push(at);
    }
    const made = service.metadata.creationTimestamp;
    this.#known.set(key, { service: made, pods: times });
    if (known === undefined) return made;
    if (made > known.service) changes.push(made);
    return changes.sort()[0];
  }

  forget(key: string): void {
    this.#known.delete(key);
  }
}
