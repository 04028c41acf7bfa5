/**
 * What containers and pods have by now, as their status tells it: what the runtime and the cgroups say, else what the runtime was told. Pure.
 * Upstream: pkg/kubelet/kubelet_pods.go convertContainerStatusResources, convertToAPIPodLevelResourcesStatus
 */
import { sumOfContainers } from "../../api/core/v1/pod/resources.ts";
import type { ContainerStatus, Pod, PodStatus, ResourceRequirements } from "../../api/generated/core.v1.ts";
import type { LinuxContainerResources } from "../../protocols/cri/generated.ts";
import {
  addQuantities,
  formatQuantity,
  milliQuantityOf,
  parseQuantity,
  quantityOf,
} from "../../machinery/meta/quantity.ts";
import type { AnyContainer } from "../pod.ts";
import { milliOf } from "../quantity.ts";
import type { PodCgroupValues } from "../runtime/resize.ts";
import { CPU_PERIOD_US } from "../runtime/linux-resources.ts";
import type { RuntimeContainer } from "../runtime/state.ts";

/** Below these the kernel can't tell amounts apart: what was granted is shown. */
const SHARES_MIN = 2;
const LIMIT_MIN_MILLI = 10;

interface Actual {
  readonly cpuRequest?: string | undefined;
  readonly cpuLimit?: string | undefined;
  readonly memoryRequest?: string | undefined;
  readonly memoryLimit?: string | undefined;
}

const cores = (milli: number): string | undefined => (milli > 0 ? formatQuantity(milliQuantityOf(milli)) : undefined);
const bytes = (count: number): string | undefined =>
  count > 0 ? formatQuantity(quantityOf(count, "BinarySI")) : undefined;
const milliOfShares = (shares: number): number => (shares < SHARES_MIN ? 0 : Math.ceil((shares * 1000) / 1024));
const milliOfQuota = (quota: number, period: number): number =>
  quota === -1 || period <= 0 ? 0 : Math.floor((quota * 1000) / period);
const given = (quantity: string | undefined): string | undefined =>
  (parseQuantity(quantity ?? "0")?.nano ?? 0n) === 0n ? undefined : quantity;

function actualOf(told: LinuxContainerResources | undefined, actuated: ResourceRequirements | undefined): Actual {
  const memoryRequest = given(actuated?.requests?.["memory"]);
  const { cpu_shares = 0, cpu_quota = 0, cpu_period = 0, memory_limit_in_bytes = 0 } = told ?? {};
  if (cpu_shares > 0 || cpu_quota > 0 || memory_limit_in_bytes > 0) {
    return {
      cpuRequest: cores(milliOfShares(cpu_shares)),
      cpuLimit: cores(milliOfQuota(cpu_quota, cpu_period)),
      memoryRequest,
      memoryLimit: bytes(memory_limit_in_bytes),
    };
  }
  return {
    cpuRequest: given(actuated?.requests?.["cpu"]),
    cpuLimit: given(actuated?.limits?.["cpu"]),
    memoryRequest,
    memoryLimit: given(actuated?.limits?.["memory"]),
  };
}

/** `old`: the status before, whose amounts stay where nobody tells them any more. */
export function resourcesOf(
  container: AnyContainer,
  seen: RuntimeContainer,
  actuated: ResourceRequirements | undefined,
  old: ContainerStatus | undefined,
): ResourceRequirements {
  const granted = container.resources ?? {};
  if (seen.state !== "running") return granted;
  const actual = actualOf(seen.resources, actuated);
  const same = old?.state.running !== undefined && old.containerID?.endsWith(`//${seen.id}`) === true;
  return settled(granted, actual, same ? old.resources : undefined);
}

function settled(granted: ResourceRequirements, actual: Actual, old: ResourceRequirements | undefined) {
  const { requests, limits } = granted;
  const cpuRequest = showsCpu(actual.cpuRequest, requests?.["cpu"], SHARES_MIN);
  const cpuLimit = showsCpu(actual.cpuLimit, limits?.["cpu"], LIMIT_MIN_MILLI);
  return {
    ...granted,
    ...(limits && {
      limits: merged(limits, {
        cpu: cpuLimit ?? old?.limits?.["cpu"],
        memory: actual.memoryLimit ?? old?.limits?.["memory"],
      }),
    }),
    ...(requests && {
      requests: merged(requests, {
        cpu: cpuRequest ?? old?.requests?.["cpu"],
        memory: actual.memoryRequest ?? old?.requests?.["memory"],
      }),
    }),
  };
}

function showsCpu(actual: string | undefined, granted: string | undefined, min: number): string | undefined {
  if (actual === undefined) return undefined;
  return milliOf(actual) > min || milliOf(granted) > min ? actual : granted;
}

type Draft = Readonly<Record<string, string | undefined>>;
const merged = (list: Readonly<Record<string, string>>, over: Draft): Record<string, string> => {
  const result = { ...list };
  for (const name in over) if (over[name] !== undefined) result[name] = over[name];
  return result;
};

/** The whole pod's: `allocatedResources` and `resources` of its status. */
export function podResourcesOf(
  pod: Pod,
  cgroup: PodCgroupValues | undefined,
  previous: PodStatus,
): Pick<PodStatus, "allocatedResources" | "resources"> {
  const requests = totalOf(pod, "requests");
  const shown = (resources: ResourceRequirements) => ({
    ...(Object.keys(requests).length > 0 && { allocatedResources: requests }),
    resources,
  });
  const granted = pod.spec.resources ?? {};
  // Nobody tells of a pod that doesn't run yet, and where there are no cgroups: what was granted is what it has.
  if (previous.phase !== "Running" || cgroup === undefined)
    return shown(withoutEmpty({ ...granted, requests, limits: totalOf(pod, "limits") }));
  const actual: Actual = {
    cpuRequest: cores(milliOfShares(cgroup.cpuShares)),
    cpuLimit: cores(milliOfQuota(cgroup.cpuQuotaUs, CPU_PERIOD_US)),
    memoryLimit: bytes(cgroup.memoryLimitBytes),
  };
  const memory = granted.requests?.["memory"] ?? requests["memory"];
  const whole = {
    ...granted,
    requests: { ...granted.requests, ...(memory !== undefined && { memory }) },
    limits: { ...granted.limits },
  };
  return shown(withoutEmpty(settled(whole, actual, undefined)));
}

function withoutEmpty({ requests = {}, limits = {}, ...rest }: ResourceRequirements): ResourceRequirements {
  return {
    ...rest,
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(Object.keys(requests).length > 0 && { requests }),
  };
}

/** Containers' sums with the pod's own word over them, and the overhead on top. */
function totalOf(pod: Pod, what: "requests" | "limits"): Readonly<Record<string, string>> {
  const total: Record<string, string> = { ...sumOfContainers(pod.spec, what), ...pod.spec.resources?.[what] };
  for (const [name, text] of Object.entries(pod.spec.overhead ?? {})) {
    const before = parseQuantity(total[name] ?? "0")!;
    const more = parseQuantity(text);
    if (more !== undefined && (what === "requests" || before.nano > 0n))
      total[name] = formatQuantity(addQuantities(before, more));
  }
  return total;
}
