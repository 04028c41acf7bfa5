/** The /etc/hosts of a pod. Upstream: pkg/kubelet/kubelet_pods.go ensureHostsFile */
import type { HostAlias } from "../../api/generated/core.v1.ts";

export function renderHosts(pod: {
  readonly ips: readonly string[];
  readonly hostname: string;
  readonly domain: string;
  readonly aliases: readonly HostAlias[];
}): string {
  const lines = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
  ];
  for (const ip of pod.ips) {
    lines.push(pod.domain === "" ? `${ip}\t${pod.hostname}` : `${ip}\t${pod.hostname}.${pod.domain}\t${pod.hostname}`);
  }
  return `${lines.join("\n")}\n${renderAliases(pod.aliases)}`;
}

/** A pod on the host network sees the node's file. */
export function renderNodeHosts(nodeFile: string, aliases: readonly HostAlias[]): string {
  return `# Kubernetes-managed hosts file (host network).\n${nodeFile}${renderAliases(aliases)}`;
}

function renderAliases(aliases: readonly HostAlias[]): string {
  if (aliases.length === 0) return "";
  const lines = aliases.map(({ ip, hostnames }) => [ip, ...(hostnames ?? [])].join("\t"));
  return `\n# Entries added by HostAliases.\n${lines.join("\n")}\n`;
}
