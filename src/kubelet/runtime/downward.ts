/**
 * Fields of a pod and resources of its containers as text, for environment variables and downward API volumes.
 * Upstream: pkg/fieldpath, pkg/api/v1/resource
 */
import type { Pod, ResourceFieldSelector } from "../../api/generated/core.v1.ts";
import type { AnyContainer } from "../pod.ts";
import { milliOf, valueOf } from "../quantity.ts";

export interface DownwardContext {
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  /** The node's, by resource: what a missing limit stands for. */
  readonly allocatable: Readonly<Record<string, string>>;
}

export function fieldValue(pod: Pod, path: string, context: DownwardContext): string {
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (subscript !== null) return pod.metadata[subscript[1] as "labels" | "annotations"]?.[subscript[2]!] ?? "";
  switch (path) {
    case "metadata.name":
      return pod.metadata.name;
    case "metadata.namespace":
      return pod.metadata.namespace ?? "";
    case "metadata.uid":
      return pod.metadata.uid;
    case "metadata.labels":
      return formatMap(pod.metadata.labels);
    case "metadata.annotations":
      return formatMap(pod.metadata.annotations);
    case "spec.nodeName":
      return pod.spec.nodeName ?? "";
    case "spec.serviceAccountName":
      return pod.spec.serviceAccountName ?? "";
    case "status.hostIP":
      return context.hostIPs[0] ?? "";
    case "status.hostIPs":
      return context.hostIPs.join(",");
    case "status.podIP":
      return context.podIPs[0] ?? "";
    case "status.podIPs":
      return context.podIPs.join(",");
    default:
      throw new Error(`unsupported fieldPath: ${path}`);
  }
}

/** Sorted `key="value"` lines, the value quoted as Go's %q does. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.keys(map ?? {})
    .sort()
    .map((key) => `${key}=${JSON.stringify(map![key])}`)
    .join("\n");
}

export function resourceValue(
  pod: Pod,
  container: AnyContainer,
  reference: ResourceFieldSelector,
  context: DownwardContext,
): string {
  const dot = reference.resource.indexOf(".");
  const list = reference.resource.slice(0, dot);
  const resource = reference.resource.slice(dot + 1);
  const { requests, limits } = container.resources ?? {};
  let quantity: string | undefined;
  if (list === "limits") quantity = limits?.[resource] ?? pod.spec.resources?.limits?.[resource];
  else if (list === "requests") quantity = requests?.[resource];
  else throw new Error(`unsupported container resource : ${reference.resource}`);
  if (list === "limits" && (quantity === undefined || quantity === "0")) quantity = context.allocatable[resource];
  const divisor = reference.divisor ?? "0";
  if (resource === "cpu") {
    const milli = milliOf(divisor) || 1000;
    return String(Math.ceil(milliOf(quantity) / milli));
  }
  return String(Math.ceil(valueOf(quantity) / (valueOf(divisor) || 1)));
}
