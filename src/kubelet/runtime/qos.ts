/** Quality of service, and a pod's requests and limits as a whole. Upstream: pkg/apis/core/v1/helper/qos, component-helpers/resource */
import type { Pod, ResourceRequirements } from "../../api/generated/core.v1.ts";
import { initContainers, isSidecar } from "../pod.ts";
import { milliOf, valueOf } from "../quantity.ts";

export type Qos = "Guaranteed" | "Burstable" | "BestEffort";

export function qosOf(pod: Pod): Qos {
  const podLevel = pod.spec.resources;
  const parts: readonly (ResourceRequirements | undefined)[] =
    podLevel !== undefined && (podLevel.requests !== undefined || podLevel.limits !== undefined)
      ? [podLevel]
      : [...pod.spec.containers, ...initContainers(pod)].map(({ resources }) => resources);
  let guaranteed = true;
  let any = false;
  for (const part of parts) {
    for (const name of ["cpu", "memory"]) {
      const limit = milliOf(part?.limits?.[name]);
      const request = milliOf(part?.requests?.[name]);
      if (limit > 0 || request > 0) any = true;
      if (limit === 0 || (request !== 0 && request !== limit)) guaranteed = false;
    }
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

/** A resource in the unit it is counted in: millicores for cpu, whole units for the rest. */
export const amountOf = (resource: string, quantity: string | undefined): number =>
  resource === "cpu" ? milliOf(quantity) : valueOf(quantity);

type Amounts = Record<string, number>;

function amounts(list: Readonly<Record<string, string>> | undefined): Amounts {
  const result: Amounts = {};
  for (const [name, quantity] of Object.entries(list ?? {})) result[name] = amountOf(name, quantity);
  return result;
}
function add(to: Amounts, more: Amounts): void {
  for (const name in more) to[name] = (to[name] ?? 0) + more[name]!;
}
function raise(to: Amounts, least: Amounts): void {
  for (const name in least) to[name] = Math.max(to[name] ?? 0, least[name]!);
}

/**
 * What the pod needs at its largest: all regular containers and sidecars at once, or any init container together with the sidecars that were
 * started before it; and the overhead.
 */
export function podRequests(pod: Pod, options: { readonly overhead?: boolean } = {}): Amounts {
  return total(pod, "requests", options.overhead ?? true);
}
export function podLimits(pod: Pod, options: { readonly overhead?: boolean } = {}): Amounts {
  return total(pod, "limits", options.overhead ?? true);
}

function total(pod: Pod, what: "requests" | "limits", withOverhead: boolean): Amounts {
  const result: Amounts = {};
  for (const container of pod.spec.containers) add(result, of(container.resources, what));
  const sidecars: Amounts = {};
  const largestInit: Amounts = {};
  for (const container of initContainers(pod)) {
    const own = of(container.resources, what);
    if (isSidecar(container)) {
      add(result, own);
      add(sidecars, own);
      raise(largestInit, sidecars);
    } else {
      const together = { ...sidecars };
      add(together, own);
      raise(largestInit, together);
    }
  }
  raise(result, largestInit);
  Object.assign(result, amounts(pod.spec.resources?.[what]));
  if (withOverhead) {
    const overhead = amounts(pod.spec.overhead);
    for (const name in overhead) {
      if (what === "requests" || result[name] !== undefined) result[name] = (result[name] ?? 0) + overhead[name]!;
    }
  }
  return result;
}

/** A missing request is the limit. */
function of(resources: ResourceRequirements | undefined, what: "requests" | "limits"): Amounts {
  if (what === "limits") return amounts(resources?.limits);
  return { ...amounts(resources?.limits), ...amounts(resources?.requests) };
}
