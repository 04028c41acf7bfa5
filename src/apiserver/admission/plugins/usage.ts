/** What objects use of a quota. Upstream: pkg/quota/v1/evaluator/core. */
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityOf,
  subtractQuantities,
} from "../../../machinery/meta/quantity.ts";
import type { AnyObject } from "../framework.ts";

export type Amounts = Readonly<Record<string, string>>;

export function addUp(list: readonly Amounts[]): Record<string, string> {
  const sum: Record<string, string> = {};
  for (const amounts of list)
    for (const [name, text] of Object.entries(amounts))
      sum[name] =
        sum[name] === undefined ? text : formatQuantity(addQuantities(parseQuantity(sum[name])!, parseQuantity(text)!));
  return sum;
}

export function subtract(from: Amounts, what: Amounts): Record<string, string> {
  const rest: Record<string, string> = { ...from };
  for (const [name, text] of Object.entries(what))
    rest[name] = formatQuantity(subtractQuantities(parseQuantity(rest[name] ?? "0")!, parseQuantity(text)!));
  return rest;
}

export function compare(a: string, b: string): number {
  return compareQuantities(parseQuantity(a)!, parseQuantity(b)!);
}

export function numberOf(text: string | undefined): number {
  return text === undefined ? 0 : Number(parseQuantity(text)?.nano ?? 0n) / 1e9;
}

function largest(a: Amounts, b: Amounts): Record<string, string> {
  const most: Record<string, string> = { ...a };
  for (const [name, text] of Object.entries(b))
    if (most[name] === undefined || compare(text, most[name]) > 0) most[name] = text;
  return most;
}

/** Requests and limits of a whole pod: its containers together, or the largest of what runs before them, and the overhead. */
export function podAmounts({ spec }: AnyObject): { readonly requests: Amounts; readonly limits: Amounts } {
  const total = (field: "requests" | "limits") => {
    let running = addUp(spec.containers.map((container: AnyObject) => container.resources?.[field] ?? {}));
    let most: Record<string, string> = {};
    let sidecars: Record<string, string> = {};
    for (const container of spec.initContainers ?? []) {
      const own: Amounts = container.resources?.[field] ?? {};
      if (container.restartPolicy === "Always") {
        sidecars = addUp([sidecars, own]);
        most = largest(most, sidecars);
      } else most = largest(most, addUp([sidecars, own]));
    }
    running = addUp([running, sidecars]);
    running = largest(running, most);
    if (spec.resources?.[field] !== undefined) running = { ...running, ...spec.resources[field] };
    return spec.overhead === undefined ? running : addUp([running, spec.overhead]);
  };
  return { requests: total("requests"), limits: total("limits") };
}

const PLAIN_COUNTS = new Set(["configmaps", "secrets", "replicationcontrollers", "resourcequotas"]);
const BARE = new Set(["cpu", "memory", "ephemeral-storage"]);

/** By quota resource. Nothing for an object that uses nothing any more. */
export function usageOf(
  resource: { readonly group: string; readonly plural: string },
  object: AnyObject,
): Record<string, string> {
  const { group, plural } = resource;
  const one = formatQuantity(quantityOf(1));
  const usage: Record<string, string> = { [`count/${plural}${group === "" ? "" : `.${group}`}`]: one };
  if (group !== "") return usage;
  if (PLAIN_COUNTS.has(plural)) usage[plural] = one;
  if (plural === "services") {
    usage["services"] = one;
    const { type, ports = [] } = object.spec;
    const wantsNodePorts =
      type === "NodePort" || (type === "LoadBalancer" && object.spec.allocateLoadBalancerNodePorts !== false);
    if (wantsNodePorts) usage["services.nodeports"] = String(ports.length);
    if (type === "LoadBalancer") usage["services.loadbalancers"] = one;
  }
  if (plural === "persistentvolumeclaims") {
    usage["persistentvolumeclaims"] = one;
    const storage: string | undefined = object.spec.resources?.requests?.storage;
    const { storageClassName } = object.spec;
    if (storage !== undefined) usage["requests.storage"] = storage;
    if (storageClassName) {
      const prefix = `${storageClassName}.storageclass.storage.k8s.io`;
      usage[`${prefix}/persistentvolumeclaims`] = one;
      if (storage !== undefined) usage[`${prefix}/requests.storage`] = storage;
    }
  }
  if (plural === "pods") {
    // A pod that has ended holds its place in the list and nothing on a node.
    if (["Succeeded", "Failed"].includes(object.status?.phase)) return usage;
    usage["pods"] = one;
    const { requests, limits } = podAmounts(object);
    for (const [name, text] of Object.entries(requests)) {
      if (BARE.has(name)) usage[name] = text;
      usage[`requests.${name}`] = text;
    }
    for (const [name, text] of Object.entries(limits)) usage[`limits.${name}`] = text;
  }
  return usage;
}

/** Whether a quota with these scopes speaks of this object. */
export function inScope(quota: AnyObject, isPod: boolean, object: AnyObject): boolean {
  const scopes: readonly string[] = quota.spec.scopes ?? [];
  const expressions: readonly AnyObject[] = quota.spec.scopeSelector?.matchExpressions ?? [];
  const all = [...scopes.map((scopeName) => ({ scopeName, operator: "Exists" })), ...expressions] as AnyObject[];
  if (all.length === 0) return true;
  if (!isPod) return false;
  return all.every((requirement) => meets(requirement, object));
}

function meets({ scopeName, operator, values = [] }: AnyObject, { spec }: AnyObject): boolean {
  const { requests, limits } = podAmounts({ spec });
  switch (scopeName) {
    case "Terminating":
      return spec.activeDeadlineSeconds !== undefined;
    case "NotTerminating":
      return spec.activeDeadlineSeconds === undefined;
    case "BestEffort":
      return !["cpu", "memory"].some((name) => numberOf(requests[name]) > 0 || numberOf(limits[name]) > 0);
    case "NotBestEffort":
      return ["cpu", "memory"].some((name) => numberOf(requests[name]) > 0 || numberOf(limits[name]) > 0);
    case "PriorityClass": {
      const name: string = spec.priorityClassName ?? "";
      if (operator === "Exists") return name !== "";
      if (operator === "DoesNotExist") return name === "";
      return operator === "In" ? values.includes(name) : !values.includes(name);
    }
    case "CrossNamespacePodAffinity":
      return crossesNamespaces(spec.affinity);
    default:
      return false;
  }
}

function crossesNamespaces(affinity: AnyObject): boolean {
  return ["podAffinity", "podAntiAffinity"].some((kind) => {
    const {
      requiredDuringSchedulingIgnoredDuringExecution = [],
      preferredDuringSchedulingIgnoredDuringExecution = [],
    } = affinity?.[kind] ?? {};
    return [
      ...requiredDuringSchedulingIgnoredDuringExecution,
      ...preferredDuringSchedulingIgnoredDuringExecution.map((term: AnyObject) => term.podAffinityTerm),
    ].some((term: AnyObject) => (term.namespaces ?? []).length > 0 || term.namespaceSelector !== undefined);
  });
}
