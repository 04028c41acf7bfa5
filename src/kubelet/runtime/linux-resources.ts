/** Requests and limits as cgroup parameters. Upstream: pkg/kubelet/kuberuntime/kuberuntime_container_linux.go, pkg/kubelet/cm/helpers_linux.go */
import { qosClassOf, isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Pod, ResourceRequirements } from "../../api/generated/core.v1.ts";
import type { LinuxContainerResources } from "../../protocols/cri/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { initContainers, isNodeCritical } from "../pod.ts";
import type { AnyContainer } from "../pod.ts";
import { milliOf, valueOf } from "../quantity.ts";
import { podLimits, podRequests } from "./pod-resources.ts";

const SHARES_MIN = 2;
const SHARES_MAX = 262_144;
const QUOTA_MIN_US = 1000;
export const CPU_PERIOD_US = 100_000;

export interface ResourceSettings {
  readonly cpuCfsQuota: boolean;
  readonly memoryCapacityBytes: number;
  readonly cgroupVersion: 1 | 2;
  /** The kernel counts swap. */
  readonly swapController: boolean;
}

export function sharesOf(milliCpu: number): number {
  if (milliCpu === 0) return SHARES_MIN;
  return Math.min(SHARES_MAX, Math.max(SHARES_MIN, Math.floor((milliCpu * 1024) / 1000)));
}

/** 0 is no limit. */
export function quotaOf(milliCpu: number, periodUs = CPU_PERIOD_US): number {
  return milliCpu === 0 ? 0 : Math.max(QUOTA_MIN_US, Math.floor((milliCpu * periodUs) / 1000));
}

function linuxResources(
  amounts: { readonly cpuRequest: number | undefined; readonly cpuLimit: number; readonly memoryLimit: number },
  settings: ResourceSettings,
): Init<LinuxContainerResources> {
  return {
    cpu_shares: sharesOf(amounts.cpuRequest ?? amounts.cpuLimit),
    ...(settings.cpuCfsQuota && { cpu_period: CPU_PERIOD_US, cpu_quota: quotaOf(amounts.cpuLimit) }),
    memory_limit_in_bytes: amounts.memoryLimit,
  };
}

export function containerResources(
  pod: Pod,
  container: AnyContainer,
  settings: ResourceSettings,
): Init<LinuxContainerResources> {
  const { requests, limits } = container.resources ?? ({} as ResourceRequirements);
  const podLevel = pod.spec.resources?.limits;
  const cpuLimit = milliOf(limits?.["cpu"] ?? podLevel?.["cpu"]);
  const memoryLimit = valueOf(limits?.["memory"] ?? podLevel?.["memory"]);
  return {
    ...linuxResources(
      { cpuRequest: requests?.["cpu"] === undefined ? undefined : milliOf(requests["cpu"]), cpuLimit, memoryLimit },
      settings,
    ),
    oom_score_adj: oomScoreAdjust(pod, container, settings.memoryCapacityBytes),
    // No swap for containers: in version 1 memory and swap together get the limit of memory.
    ...(settings.cgroupVersion === 1
      ? settings.swapController && { memory_swap_limit_in_bytes: memoryLimit }
      : { unified: { ...(settings.swapController && { "memory.swap.max": "0" }), "memory.oom.group": "1" } }),
  };
}

/** The pod's own share, for the sandbox (without overhead) and for the pod's cgroup (with it). */
export function podResources(
  pod: Pod,
  settings: ResourceSettings,
  options: { readonly overhead: boolean },
): Init<LinuxContainerResources> {
  const requests = podRequests(pod, options);
  const limits = podLimits(pod, options);
  const all = [...pod.spec.containers, ...initContainers(pod)];
  const limited = (resource: string) =>
    pod.spec.resources?.limits?.[resource] !== undefined ||
    all.every(({ resources }) => milliOf(resources?.limits?.[resource]) > 0);
  return linuxResources(
    {
      cpuRequest: requests["cpu"] ?? 0,
      cpuLimit: limited("cpu") ? (limits["cpu"] ?? 0) : 0,
      memoryLimit: limited("memory") ? (limits["memory"] ?? 0) : 0,
    },
    settings,
  );
}

export function overheadResources(pod: Pod, settings: ResourceSettings): Init<LinuxContainerResources> {
  const { overhead } = pod.spec;
  if (overhead === undefined) return {};
  const cpu = milliOf(overhead["cpu"]);
  return linuxResources({ cpuRequest: cpu, cpuLimit: cpu, memoryLimit: valueOf(overhead["memory"]) }, settings);
}

/** Who dies first when memory runs out: the further above its request, the higher. Upstream: pkg/kubelet/qos/policy.go */
function oomScoreAdjust(pod: Pod, container: AnyContainer, capacityBytes: number): number {
  if (isNodeCritical(pod)) return -997;
  const qos = qosClassOf(pod.spec);
  if (qos === "Guaranteed") return -997;
  if (qos === "BestEffort") return 1000;
  const all = [...pod.spec.containers, ...initContainers(pod)];
  const podLevel = valueOf(pod.spec.resources?.requests?.["memory"]);
  const spread =
    podLevel === 0
      ? 0
      : Math.floor((podLevel - all.reduce((sum, each) => sum + requestOf(each), 0)) / Math.max(1, all.length));
  const score = (request: number) => 1000 - Math.floor((1000 * (request + spread)) / capacityBytes);
  let adjust = score(requestOf(container));
  if (isSidecar(container) && initContainers(pod).some(({ name }) => name === container.name)) {
    adjust = Math.min(adjust, score(Math.min(...pod.spec.containers.map(requestOf))));
  }
  if (adjust < 3) return 3;
  return adjust === 1000 ? 999 : adjust;
}

const requestOf = (container: AnyContainer): number =>
  valueOf(container.resources?.requests?.["memory"] ?? container.resources?.limits?.["memory"]);
