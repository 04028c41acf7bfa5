/**
 * How much of a quota an object uses, for the controller that counts and the admission plugin that charges. Pure.
 * Upstream: pkg/quota/v1/evaluator/core
 */
import { peakOf, QUANTITIES } from "../pod/resources.ts";
import type { ResourceClaim } from "../../../generated/resource.v1.ts";
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

interface Named {
  readonly group: string;
  readonly plural: string;
}

export function countName({ group, plural }: Named): string {
  return group === "" ? `count/${plural}` : `count/${plural}.${group}`;
}

export function usageOf(resource: Named, object: unknown, now: number): Usage {
  const usage: Record<string, Quantity> = { [countName(resource)]: ONE };
  if (resource.group === "resource.k8s.io" && resource.plural === "resourceclaims")
    return { ...usage, ...devicesOf(object as ResourceClaim) };
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

export const DEVICES_OF_CLASS = ".deviceclass.resource.k8s.io/devices";
/** As many devices as a claim for all of them may get at most. */
const ALL_DEVICES = 32;

/** Devices by their class; of alternatives the one that takes most. */
function devicesOf({ spec }: ResourceClaim): Usage {
  const amount = ({ allocationMode, count = 0 }: { readonly allocationMode?: string; readonly count?: number }) =>
    allocationMode === "All" ? ALL_DEVICES : allocationMode === "ExactCount" ? count : 0;
  const total = new Map<string, number>();
  const add = (name: string, devices: number) => total.set(name, (total.get(name) ?? 0) + devices);
  for (const { firstAvailable = [], exactly } of spec.devices?.requests ?? []) {
    const most = new Map<string, number>();
    for (const one of firstAvailable)
      most.set(one.deviceClassName, Math.max(most.get(one.deviceClassName) ?? 0, amount(one)));
    for (const [name, devices] of most) add(name, devices);
    if (firstAvailable.length === 0 && exactly !== undefined) add(exactly.deviceClassName, amount(exactly));
  }
  return Object.fromEntries([...total].map(([name, devices]) => [`${name}${DEVICES_OF_CLASS}`, quantityOf(devices)]));
}

/** Whether the quota's scopes take in this object: scopes are about pods and claims, other objects are in scope of quotas without any. */
export function inScope({ spec }: ResourceQuota, resource: Named, object: unknown): boolean {
  const wanted = [
    ...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists", values: [] as readonly string[] })),
    ...(spec?.scopeSelector?.matchExpressions ?? []),
  ];
  return wanted.every((scope) => meetsScope(scope, resource, object));
}

export interface Scope {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** Whether an object is what one scope is about. */
export function meetsScope(scope: Scope, { group, plural }: Named, object: unknown): boolean {
  if (group !== "") return false;
  if (plural === "pods") return podMeets(scope, (object as Pod).spec);
  return plural === "persistentvolumeclaims" && claimMeets(scope, object as PersistentVolumeClaim);
}

/** While it changes, a claim is of both classes. */
export function attributesClassesOf({ spec, status }: PersistentVolumeClaim): readonly string[] {
  return [
    spec.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ].filter((name): name is string => (name ?? "") !== "");
}

function claimMeets({ scopeName, operator, values = [] }: Scope, claim: PersistentVolumeClaim): boolean {
  if (scopeName !== "VolumeAttributesClass") return false;
  const names = attributesClassesOf(claim);
  if (operator === "Exists") return names.length > 0;
  if (operator === "DoesNotExist") return names.length === 0;
  if (operator === "In") return names.some((name) => values.includes(name));
  return names.length === 0 || names.some((name) => !values.includes(name));
}

function podMeets({ scopeName, operator, values = [] }: Scope, spec: PodSpec): boolean {
  switch (scopeName) {
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
