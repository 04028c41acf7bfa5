/** The CRI configuration of a pod's sandbox. Pure. Upstream: pkg/kubelet/kuberuntime/kuberuntime_sandbox.go */
import type { Container, Pod } from "../../api/generated/core.v1.ts";
import type { PodSandboxConfig, PortMapping, Protocol } from "../../protocols/cri/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { POD_NAME, POD_NAMESPACE, POD_UID } from "../keys.ts";
import { allContainers } from "../pod.ts";
import type { Resolver } from "./dns.ts";
import { kernelHostname } from "./hostname.ts";
import { overheadResources, podResources } from "./linux-resources.ts";
import type { ResourceSettings } from "./linux-resources.ts";
import { namespaceOptions, seLinux, supplementalGroups } from "./security-context.ts";

export interface SandboxSettings extends ResourceSettings {
  readonly podLogsDir: string;
  readonly clusterDomain: string;
}

export function podLogDir(podLogsDir: string, pod: Pick<Pod, "metadata">): string {
  return `${podLogsDir}/${pod.metadata.namespace ?? ""}_${pod.metadata.name}_${pod.metadata.uid}`;
}

export function podLabels(pod: Pick<Pod, "metadata">): Readonly<Record<string, string>> {
  return {
    [POD_NAME]: pod.metadata.name,
    [POD_NAMESPACE]: pod.metadata.namespace ?? "",
    [POD_UID]: pod.metadata.uid,
  };
}

export function sandboxConfig(
  pod: Pod,
  attempt: number,
  dns: Resolver,
  cgroupParent: string,
  settings: SandboxSettings,
): Init<PodSandboxConfig> {
  const security = pod.spec.securityContext;
  return {
    metadata: { name: pod.metadata.name, namespace: pod.metadata.namespace ?? "", uid: pod.metadata.uid, attempt },
    hostname: pod.spec.hostNetwork === true ? "" : kernelHostname(pod, settings.clusterDomain),
    log_directory: podLogDir(settings.podLogsDir, pod),
    dns_config: dns,
    port_mappings: pod.spec.containers.flatMap((container) => portMappings(container)),
    labels: { ...pod.metadata.labels, ...podLabels(pod) },
    annotations: pod.metadata.annotations ?? {},
    linux: {
      cgroup_parent: cgroupParent,
      sysctls: Object.fromEntries((security?.sysctls ?? []).map(({ name, value }) => [dotted(name), value])),
      overhead: overheadResources(pod, settings),
      resources: podResources(pod, settings, { overhead: false }),
      security_context: {
        privileged: [...allContainers(pod)].some(({ container }) => container.securityContext?.privileged === true),
        // The pause process's own profile, whatever the pod asks for its containers.
        seccomp: { profile_type: "RuntimeDefault" },
        namespace_options: namespaceOptions(pod),
        ...(security?.runAsUser !== undefined && { run_as_user: { value: security.runAsUser } }),
        ...(security?.runAsGroup !== undefined && { run_as_group: { value: security.runAsGroup } }),
        ...(security?.seLinuxOptions && { selinux_options: seLinux(security.seLinuxOptions) }),
        supplemental_groups: supplementalGroups(pod),
        supplemental_groups_policy: security?.supplementalGroupsPolicy === "Strict" ? "Strict" : "Merge",
      },
    },
  };
}

/** Ports without a host port are listed too; a port that is named twice, or is the same twice, counts once. */
export function portMappings(container: Container): readonly Init<PortMapping>[] {
  const seen = new Set<string>();
  const mappings: Init<PortMapping>[] = [];
  for (const port of container.ports ?? []) {
    const hostIp = port.hostIP ?? "";
    const family = hostIp === "" ? "any" : hostIp.includes(":") ? "v6" : "v4";
    const key =
      port.name !== undefined && port.name !== ""
        ? port.name
        : `${family}-${port.protocol}-${hostIp}:${port.containerPort}:${port.hostPort ?? 0}`;
    if (seen.has(key)) continue;
    seen.add(key);
    mappings.push({
      protocol: protocolOf(port.protocol),
      container_port: port.containerPort,
      host_port: port.hostPort ?? 0,
      host_ip: hostIp,
    });
  }
  return mappings;
}

const protocolOf = (name: string): Protocol => (name === "UDP" || name === "SCTP" ? name : "TCP");

/** Slashes become dots, unless the first separator is a dot already. */
function dotted(name: string): string {
  const first = name.search(/[./]/);
  if (first < 0 || name[first] === ".") return name;
  return name.replace(/[./]/g, (separator) => (separator === "/" ? "." : "/"));
}
