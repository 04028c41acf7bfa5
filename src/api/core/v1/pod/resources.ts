/**
 * Sums over the containers of a pod, and the quality of service that follows from them.
 * Upstream: pkg/api/v1/resource/helpers.go, pkg/apis/core/v1/helper/qos/qos.go
 */
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
} from "../../../../machinery/meta/quantity.ts";
import type { Container, PodSpec } from "../../../generated/core.v1.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";
type Amounts = Map<string, Quantity>;
type ResourceList = Readonly<Record<string, string>>;

/** An init container that keeps running beside the others. */
export function isSidecar(container: { readonly restartPolicy?: string }): boolean {
  return container.restartPolicy === "Always";
}

/** What a pod needs at its peak: the running containers together, or an init container with the sidecars before it. */
export function sumOfContainers(spec: Partial<PodSpec>, kind: "requests" | "limits"): ResourceList {
  const running: Amounts = new Map();
  for (const container of spec.containers ?? []) addAll(running, container.resources?.[kind]);
  const peak: Amounts = new Map();
  const sidecars: Amounts = new Map();
  for (const container of spec.initContainers ?? []) {
    if (isSidecar(container)) {
      addAll(running, container.resources?.[kind]);
      addAll(sidecars, container.resources?.[kind]);
      atLeast(peak, sidecars);
    } else {
      const together: Amounts = new Map(sidecars);
      addAll(together, container.resources?.[kind]);
      atLeast(peak, together);
    }
  }
  atLeast(running, peak);
  return Object.fromEntries([...running].map(([name, quantity]) => [name, formatQuantity(quantity)]));
}

function addAll(sum: Amounts, list: ResourceList | undefined): void {
  for (const [name, text] of Object.entries(list ?? {})) {
    const quantity = parseQuantity(text);
    const before = sum.get(name);
    if (quantity !== undefined) sum.set(name, before === undefined ? quantity : addQuantities(before, quantity));
  }
}

function atLeast(sum: Amounts, floor: Amounts): void {
  for (const [name, quantity] of floor) {
    const before = sum.get(name);
    if (before === undefined || compareQuantities(before, quantity) < 0) sum.set(name, quantity);
  }
}

const COMPUTE: readonly string[] = ["cpu", "memory"];

export function qosClassOf(spec: Partial<PodSpec>): QosClass {
  const requests: Amounts = new Map();
  const limits: Amounts = new Map();
  let guaranteed = true;
  const count = ({ resources }: { readonly resources?: Container["resources"] | undefined }) => {
    addAll(requests, computeOnly(resources?.requests));
    const own = computeOnly(resources?.limits);
    addAll(limits, own);
    if (!COMPUTE.every((name) => name in own)) guaranteed = false;
  };
  if (spec.resources !== undefined) count(spec);
  else for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) count(container);
  if (requests.size === 0 && limits.size === 0) return "BestEffort";
  const equal = [...requests].every(([name, request]) => {
    const limit = limits.get(name);
    return limit !== undefined && compareQuantities(limit, request) === 0;
  });
  return guaranteed && equal && requests.size === limits.size ? "Guaranteed" : "Burstable";
}

function computeOnly(list: ResourceList | undefined): ResourceList {
  return Object.fromEntries(
    Object.entries(list ?? {}).filter(
      ([name, text]) => COMPUTE.includes(name) && (parseQuantity(text)?.nano ?? 0n) > 0n,
    ),
  );
}
