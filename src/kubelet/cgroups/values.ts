/** The files to write in a pod's cgroup, in both versions. Pure. Upstream: pkg/kubelet/cm/helpers_linux.go ResourceConfigForPod */
import { qosClassOf } from "../../api/core/v1/pod/resources.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { CPU_PERIOD_US, podResources, sharesOf } from "../runtime/linux-resources.ts";
import type { ResourceSettings } from "../runtime/linux-resources.ts";
import type { PodCgroupValues } from "../runtime/resize.ts";

export interface CgroupValues {
  readonly cpuShares: number;
  /** Undefined: no limit. */
  readonly cpuQuotaUs: number | undefined;
  readonly memoryLimitBytes: number | undefined;
  readonly pidsMax: number | undefined;
}

/** A file below the cgroup; in version 1 `controller` says which hierarchy. */
export interface CgroupFile {
  readonly controller: "cpu" | "memory" | "pids";
  readonly name: string;
  readonly value: string;
}

export function podCgroupValues(
  pod: Pod,
  settings: ResourceSettings & { readonly podPidsLimit: number },
): CgroupValues {
  const pids = settings.podPidsLimit > 0 ? settings.podPidsLimit : undefined;
  if (qosClassOf(pod.spec) === "BestEffort")
    return { cpuShares: 2, cpuQuotaUs: undefined, memoryLimitBytes: undefined, pidsMax: pids };
  const whole = podResources(pod, settings, { overhead: true });
  return {
    cpuShares: whole.cpu_shares ?? 2,
    cpuQuotaUs: (whole.cpu_quota ?? 0) > 0 ? whole.cpu_quota : undefined,
    memoryLimitBytes: (whole.memory_limit_in_bytes ?? 0) > 0 ? whole.memory_limit_in_bytes : undefined,
    pidsMax: pids,
  };
}

/** cgroup v1's shares as v2's weight: upstream's conversion, integers throughout. */
export function weightOf(shares: number): number {
  return shares >= 262_144 ? 10_000 : 1 + Math.floor(((shares - 2) * 9999) / 262_142);
}

export function cgroupFiles(values: CgroupValues, version: 1 | 2): readonly CgroupFile[] {
  const { cpuShares, cpuQuotaUs, memoryLimitBytes, pidsMax } = values;
  if (version === 2) {
    return [
      { controller: "cpu", name: "cpu.weight", value: String(weightOf(cpuShares)) },
      { controller: "cpu", name: "cpu.max", value: `${cpuQuotaUs ?? "max"} ${CPU_PERIOD_US}` },
      { controller: "memory", name: "memory.max", value: String(memoryLimitBytes ?? "max") },
      { controller: "pids", name: "pids.max", value: String(pidsMax ?? "max") },
    ];
  }
  return [
    { controller: "cpu", name: "cpu.shares", value: String(cpuShares) },
    { controller: "cpu", name: "cpu.cfs_period_us", value: String(CPU_PERIOD_US) },
    { controller: "cpu", name: "cpu.cfs_quota_us", value: String(cpuQuotaUs ?? -1) },
    { controller: "memory", name: "memory.limit_in_bytes", value: String(memoryLimitBytes ?? -1) },
    { controller: "pids", name: "pids.max", value: String(pidsMax ?? "max") },
  ];
}

/** The files that tell what `PodCgroupValues` has, in an order that `readValues` knows. */
export function readFiles(version: 1 | 2): readonly Omit<CgroupFile, "value">[] {
  return version === 2
    ? [
        { controller: "cpu", name: "cpu.weight" },
        { controller: "cpu", name: "cpu.max" },
        { controller: "memory", name: "memory.max" },
      ]
    : [
        { controller: "cpu", name: "cpu.shares" },
        { controller: "cpu", name: "cpu.cfs_quota_us" },
        { controller: "memory", name: "memory.limit_in_bytes" },
      ];
}

/** What version 1 says where there is no limit: the largest number of whole pages. */
const V1_UNLIMITED = 2 ** 62;

export function readValues([cpu, quota, memory]: readonly string[], version: 1 | 2): PodCgroupValues {
  const memoryLimitBytes = memory === "max" || Number(memory) > V1_UNLIMITED ? -1 : Number(memory);
  if (version === 1) return { cpuShares: Number(cpu), cpuQuotaUs: Number(quota), memoryLimitBytes };
  const [max = "max", period = String(CPU_PERIOD_US)] = (quota ?? "").split(" ");
  return {
    cpuShares: Math.floor(((Number(cpu) - 1) * 262_142) / 9999) + 2,
    cpuQuotaUs: max === "max" ? -1 : Math.floor((Number(max) * CPU_PERIOD_US) / Number(period)),
    memoryLimitBytes,
  };
}

/** Only what a resize sets. */
export function resizeFiles(values: Partial<PodCgroupValues>, version: 1 | 2): readonly CgroupFile[] {
  const { cpuShares, cpuQuotaUs, memoryLimitBytes } = values;
  const files = cgroupFiles(
    {
      cpuShares: cpuShares ?? 2,
      cpuQuotaUs: cpuQuotaUs === -1 ? undefined : cpuQuotaUs,
      memoryLimitBytes: memoryLimitBytes === -1 ? undefined : memoryLimitBytes,
      pidsMax: undefined,
    },
    version,
  );
  return files.filter(({ controller, name }) => {
    if (controller === "memory") return memoryLimitBytes !== undefined;
    if (name === "cpu.shares" || name === "cpu.weight") return cpuShares !== undefined;
    return controller === "cpu" && cpuQuotaUs !== undefined;
  });
}

/** The shares of all burstable pods together. */
export function burstableShares(pods: readonly Pod[]): number {
  const milli = pods
    .filter((pod) => qosClassOf(pod.spec) === "Burstable")
    .reduce((sum, pod) => sum + (podResources(pod, NO_SETTINGS, { overhead: true }).cpu_shares ?? 0), 0);
  return sharesOf(Math.floor((milli * 1000) / 1024));
}
const NO_SETTINGS: ResourceSettings = {
  cpuCfsQuota: true,
  memoryCapacityBytes: 1,
  cgroupVersion: 2,
  swapController: false,
};
