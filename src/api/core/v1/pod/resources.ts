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
type ResourceList = Readonly<Record<string, string>>;

/** An init container that keeps running beside the others. */
export function isSidecar(container: { readonly restartPolicy?: string }): boolean {
  return container.restartPolicy === "Always";
}

/** How amounts of one resource are counted: as quantities, or as plain numbers where speed matters more than the last digit. */
export interface Arithmetic<Amount> {
  plus(a: Amount, b: Amount): Amount;
  larger(a: Amount, b: Amount): Amount;
}
export const QUANTITIES: Arithmetic<Quantity> = {
  plus: addQuantities,
  larger: (a, b) => (compareQuantities(a, b) < 0 ? b : a),
};
export const NUMBERS: Arithmetic<number> = { plus: (a, b) => a + b, larger: Math.max };

/**
 * What a pod needs at its peak: the containers and sidecars together, or an init container with the sidecars that were started before it.
 * `of` says what one container needs.
 */
export function peakOf<Amount>(
  spec: Partial<Pick<PodSpec, "containers" | "initContainers">>,
  of: (container: Container) => Iterable<readonly [resource: string, amount: Amount]>,
  arithmetic: Arithmetic<Amount>,
): Map<string, Amount> {
  const running = new Map<string, Amount>();
  for (const container of spec.containers ?? []) add(running, of(container), arithmetic);
  if (spec.initContainers === undefined) return running;
  const starting = new Map<string, Amount>();
  const sidecars = new Map<string, Amount>();
  for (const container of spec.initContainers) {
    const needed = of(container);
    if (isSidecar(container)) {
      add(running, needed, arithmetic);
      add(sidecars, needed, arithmetic);
      raise(starting, sidecars, arithmetic);
    } else {
      const together = new Map(sidecars);
      add(together, needed, arithmetic);
      raise(starting, together, arithmetic);
    }
  }
  raise(running, starting, arithmetic);
  return running;
}

function add<A>(sum: Map<string, A>, more: Iterable<readonly [string, A]>, { plus }: Arithmetic<A>): void {
  for (const [name, amount] of more) {
    const before = sum.get(name);
    sum.set(name, before === undefined ? amount : plus(before, amount));
  }
}

function raise<A>(sum: Map<string, A>, floor: ReadonlyMap<string, A>, { larger }: Arithmetic<A>): void {
  for (const [name, amount] of floor) {
    const before = sum.get(name);
    sum.set(name, before === undefined ? amount : larger(before, amount));
  }
}

/** The peak as the API writes it. */
export function sumOfContainers(spec: Partial<PodSpec>, kind: "requests" | "limits"): ResourceList {
  const peak = peakOf(spec, ({ resources }) => parsed(resources?.[kind]), QUANTITIES);
  return Object.fromEntries([...peak].map(([name, quantity]) => [name, formatQuantity(quantity)]));
}

function parsed(list: ResourceList | undefined): readonly (readonly [string, Quantity])[] {
  return Object.entries(list ?? {}).flatMap(([name, text]) => {
    const quantity = parseQuantity(text);
    return quantity === undefined ? [] : [[name, quantity] as const];
  });
}

const COMPUTE: readonly string[] = ["cpu", "memory"];

export function qosClassOf(spec: Partial<PodSpec>): QosClass {
  const requests = new Map<string, Quantity>();
  const limits = new Map<string, Quantity>();
  let guaranteed = true;
  const count = ({ resources }: { readonly resources?: Container["resources"] | undefined }) => {
    add(requests, compute(resources?.requests), QUANTITIES);
    const own = compute(resources?.limits);
    add(limits, own, QUANTITIES);
    if (own.length < COMPUTE.length) guaranteed = false;
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

function compute(list: ResourceList | undefined): readonly (readonly [string, Quantity])[] {
  return parsed(list).filter(([name, { nano }]) => COMPUTE.includes(name) && nano > 0n);
}
