/**
 * Whether this node accepts a pod, decided before anything is created for it. Pure.
 * Upstream: pkg/kubelet/lifecycle/predicate.go, pkg/kubelet/sysctl
 */
import { admitsNode } from "../../api/core/v1/node/affinity.ts";
import { toleratesTaint } from "../../api/core/v1/node/taints.ts";
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import { isStatic } from "../pod.ts";
import { amountOf, podRequests } from "../runtime/pod-resources.ts";

export interface Rejection {
  readonly reason: string;
  readonly message: string;
}

const SAFE_SYSCTLS = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
  "net.ipv4.tcp_rmem",
  "net.ipv4.tcp_wmem",
]);

/** `others`: the pods that the node has taken and that still hold what they asked for. */
export function admit(pod: Pod, node: Node, others: readonly Pod[], os = "linux"): Rejection | undefined {
  return (
    sysctls(pod) ??
    operatingSystem(pod, os) ??
    resources(pod, node, others) ??
    affinity(pod, node) ??
    ports(pod, others) ??
    taints(pod, node)
  );
}

function sysctls(pod: Pod): Rejection | undefined {
  for (const { name } of pod.spec.securityContext?.sysctls ?? []) {
    const dotted = name.replaceAll("/", ".");
    if (!SAFE_SYSCTLS.has(dotted))
      return { reason: "SysctlForbidden", message: `forbidden sysctl: "${dotted}" not allowlisted` };
    if (pod.spec.hostNetwork === true && dotted.startsWith("net."))
      return { reason: "SysctlForbidden", message: `forbidden sysctl: "${dotted}" not allowed with host net enabled` };
  }
  return undefined;
}

function operatingSystem(pod: Pod, os: string): Rejection | undefined {
  const label = pod.metadata.labels?.["kubernetes.io/os"];
  if (label !== undefined && label !== os) {
    return {
      reason: "PodOSSelectorNodeLabelDoesNotMatch",
      message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
    };
  }
  const wanted = pod.spec.os?.name;
  if (wanted !== undefined && wanted !== os)
    return { reason: "PodOSNotSupported", message: `Failed to admit pod as the OS field doesn't match node OS` };
  return undefined;
}

function resources(pod: Pod, node: Node, others: readonly Pod[]): Rejection | undefined {
  const allocatable = node.status?.allocatable ?? {};
  const used: Record<string, number> = { pods: others.length };
  for (const other of others) {
    const requests = podRequests(other);
    for (const name in requests) used[name] = (used[name] ?? 0) + requests[name]!;
  }
  const wanted: Record<string, number> = { pods: 1, ...podRequests(pod) };
  for (const name in wanted) {
    if (wanted[name] === 0) continue;
    const quantity = allocatable[name];
    if (quantity === undefined) continue; // Unknown to this node: the device plugins decide.
    const capacity = amountOf(name, quantity);
    if ((used[name] ?? 0) + wanted[name]! <= capacity) continue;
    return {
      reason: `OutOf${name}`,
      message: `Node didn't have enough resource: ${name}, requested: ${wanted[name]}, used: ${used[name] ?? 0}, capacity: ${capacity}`,
    };
  }
  return undefined;
}

const predicate = (name: string, message: string): Rejection => ({
  reason: name,
  message: `Predicate ${name} failed: ${message}`,
});

function affinity(pod: Pod, node: Node): Rejection | undefined {
  if (pod.spec.nodeName !== undefined && pod.spec.nodeName !== node.metadata.name)
    return predicate("NodeName", "node(s) didn't match the requested node name");
  if (admitsNode(pod.spec, node)) return undefined;
  return predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
}

function ports(pod: Pod, others: readonly Pod[]): Rejection | undefined {
  const taken = others.flatMap(hostPorts);
  const clash = hostPorts(pod).some((port) =>
    taken.some(
      (other) =>
        other.port === port.port &&
        other.protocol === port.protocol &&
        (other.ip === port.ip || other.ip === "0.0.0.0" || port.ip === "0.0.0.0"),
    ),
  );
  return clash ? predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports") : undefined;
}

function hostPorts(pod: Pod) {
  return pod.spec.containers.flatMap(({ ports = [] }) =>
    ports
      .filter(({ hostPort }) => (hostPort ?? 0) > 0)
      .map(({ hostPort, hostIP, protocol }) => ({
        port: hostPort!,
        ip: hostIP === undefined || hostIP === "" ? "0.0.0.0" : hostIP,
        protocol: protocol ?? "TCP",
      })),
  );
}

function taints(pod: Pod, node: Node): Rejection | undefined {
  if (isStatic(pod)) return undefined;
  const untolerated = (node.spec?.taints ?? []).some(
    (taint) => taint.effect === "NoExecute" && !toleratesTaint(pod.spec.tolerations, taint),
  );
  return untolerated ? predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate") : undefined;
}
