/** What an object uses of a quota, for the controller that counts and the admission that charges. Pure. Upstream: pkg/quota/v1/evaluator/core */
import { peakOf, QUANTITIES } from "../pod/resources.ts";
import type { PersistentVolumeClaim, Pod, PodSpec, ResourceQuota, Service } from "../../../generated/core.v1.ts";
import {
  type Quantity,
  addQuantities,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityOf,
  wholeUnits,
} from "../../../../machinery/meta/quantity.ts";

/** Amounts by name; `cpu`, `pods`, `count/deployments.apps`, … */
export type Usage = Readonly<Record<string, Quantity>>;
type Amounts = Readonly<Record<string, string>>;

const ONE = quantityOf(1);
const ZERO = quantityOf(0);
const PLAIN_COUNTS: ReadonlySet<string> = new Set([
  "configmaps",
  "secrets",
  "replicationcontrollers",
  "resourcequotas",
]);
/** Requests of these count under the bare name as well; a limit has a name of its own always. */
const BARE: ReadonlySet<string> = new Set(["cpu", "memory", "ephemeral-storage"]);
const isHugepages = (name: string) => name.startsWith("hugepages-");

export function countName({ group, plural }: { readonly group: string; readonly plural: string }): string {
  return group === "" ? `count/${plural}` : `count/${plural}.${group}`;
}

export function usageOf(
  resource: { readonly group: string; readonly plural: string },
  object: unknown,
  now: number,
): Usage {
  const usage: Record<string, Quantity> = { [countName(resource)]: ONE };
  if (resource.group !== "") return usage;
  if (PLAIN_COUNTS.has(resource.plural)) usage[resource.plural] = ONE;
  if (resource.plural === "services") return { ...usage, ...serviceUsage(object as Service) };
  if (resource.plural === "persistentvolumeclaims") return { ...usage, ...claimUsage(object as PersistentVolumeClaim) };
  if (resource.plural === "pods" && isCharged(object as Pod, now)) return { ...usage, ...podUsage(object as Pod) };
  return usage;
}

/** Ended pods, and those whose time to end is over, hold nothing any more. */
export function isCharged({ metadata, status }: Pod, now: number): boolean {
  if (status.phase === "Succeeded" || status.phase === "Failed") return false;
  if (metadata.deletionTimestamp === undefined) return true;
  return now <= Date.parse(metadata.deletionTimestamp) + (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
}

function podUsage({ spec }: Pod): Usage {
  const usage: Record<string, Quantity> = { pods: ONE };
  for (const [name, amount] of Object.entries(podTotal(spec, "requests"))) {
    if (BARE.has(name) || isHugepages(name)) usage[name] = amount;
    usage[`requests.${name}`] = amount;
  }
  for (const [name, amount] of Object.entries(podTotal(spec, "limits"))) usage[`limits.${name}`] = amount;
  return usage;
}

/** All containers together, or the most that is needed while the pod starts; the pod's own word overrides; overhead comes on top. */
export function podTotal(spec: PodSpec, field: "requests" | "limits"): Usage {
  const peak = peakOf(spec, ({ resources }) => Object.entries(amountsOf(resources?.[field])), QUANTITIES);
  return sum([{ ...Object.fromEntries(peak), ...amountsOf(spec.resources?.[field]) }, amountsOf(spec.overhead)]);
}

function serviceUsage({ spec }: Service): Usage {
  const ports = spec.ports ?? [];
  const balanced = spec.type === "LoadBalancer";
  const withNodePorts =
    spec.type === "NodePort" || (balanced && spec.allocateLoadBalancerNodePorts !== false)
      ? ports.length
      : balanced
        ? ports.filter(({ nodePort = 0 }) => nodePort !== 0).length
        : 0;
  return {
    services: ONE,
    "services.nodeports": quantityOf(withNodePorts),
    "services.loadbalancers": balanced ? ONE : ZERO,
  };
}

function claimUsage({ spec, status }: PersistentVolumeClaim): Usage {
  const asked = parse(spec.resources?.requests?.["storage"]);
  const given = parse(status?.allocatedResources?.["storage"]);
  const most = compareQuantities(asked, given) >= 0 ? asked : given;
  const storage = { ...most, nano: BigInt(wholeUnits(most)) * 1_000_000_000n };
  const prefix = `${spec.storageClassName}.storageclass.storage.k8s.io`;
  return {
    persistentvolumeclaims: ONE,
    "requests.storage": storage,
    ...((spec.storageClassName ?? "") !== "" && {
      [`${prefix}/persistentvolumeclaims`]: ONE,
      [`${prefix}/requests.storage`]: storage,
    }),
  };
}

/** Whether the quota's scopes take in this pod; other objects are in scope of quotas without any. */
export function inScope({ spec }: ResourceQuota, pod: Pod | undefined): boolean {
  const wanted = [
    ...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists", values: [] as readonly string[] })),
    ...(spec?.scopeSelector?.matchExpressions ?? []),
  ];
  if (wanted.length === 0) return true;
  return (
    pod !== undefined &&
    wanted.every(({ scopeName, operator, values = [] }) => meetsScope(scopeName, operator, values, pod.spec))
  );
}

/** Whether a pod is what one scope is about. */
export function meetsScope(scope: string, operator: string, values: readonly string[], spec: PodSpec): boolean {
  switch (scope) {
    case "Terminating":
      return spec.activeDeadlineSeconds !== undefined;
    case "NotTerminating":
      return spec.activeDeadlineSeconds === undefined;
    case "BestEffort":
      return isBestEffort(spec);
    case "NotBestEffort":
      return !isBestEffort(spec);
    case "PriorityClass": {
      const name = spec.priorityClassName ?? "";
      if (operator === "Exists") return name !== "";
      if (operator === "DoesNotExist") return name === "";
      return values.includes(name) === (operator === "In");
    }
    case "CrossNamespacePodAffinity":
      return crossesNamespaces(spec);
    default:
      return false;
  }
}

function isBestEffort(spec: PodSpec): boolean {
  const amounts = [podTotal(spec, "requests"), podTotal(spec, "limits")];
  return amounts.every((usage) => ["cpu", "memory"].every((name) => (usage[name]?.nano ?? 0n) === 0n));
}

function crossesNamespaces({ affinity }: PodSpec): boolean {
  return [affinity?.podAffinity, affinity?.podAntiAffinity].some((side) =>
    [
      ...(side?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(side?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
    ].some(({ namespaces, namespaceSelector }) => (namespaces ?? []).length > 0 || namespaceSelector !== undefined),
  );
}

export function sum(all: readonly Usage[]): Usage {
  const total: Record<string, Quantity> = {};
  for (const usage of all)
    for (const [name, amount] of Object.entries(usage))
      total[name] = total[name] === undefined ? amount : addQuantities(total[name], amount);
  return total;
}

const parse = (text: string | undefined) => parseQuantity(text ?? "0") ?? ZERO;
export const amountsOf = (amounts: Amounts | undefined): Usage =>
  Object.fromEntries(Object.entries(amounts ?? {}).map(([name, text]) => [name, parse(text)]));

/** The quota's names, each with what is used of it. */
export function masked(hard: Amounts, used: Usage): Amounts {
  return Object.fromEntries(Object.keys(hard).map((name) => [name, formatQuantity(used[name] ?? ZERO)]));
}
