/**
 * Gives running containers, and the cgroup of their pod, other resources. Memory first, then cpu; the pod's cgroup before its containers where it
 * grows, and after them where it shrinks. What fails ends it: the next look goes on from there.
 * Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go doPodResizeAction
 */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { LinuxContainerResources } from "../../protocols/cri/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import type { Compute } from "../allocation/resources.ts";
import { CONTAINER_NAME } from "../keys.ts";
import { METRICS } from "../metrics.ts";
import { podText } from "../format.ts";
import { valueOf } from "../quantity.ts";
import type { RuntimeContext } from "./context.ts";
import { errorText } from "./context.ts";
import { containerResources, CPU_PERIOD_US, overheadResources } from "./linux-resources.ts";
import { mixed } from "./resize-plan.ts";
import type { ContainerUpdate, ResizePlan } from "./resize-plan.ts";

/** A pod's cgroup, in the units of version 1; no limit is -1. */
export interface PodCgroupValues {
  readonly cpuShares: number;
  readonly cpuQuotaUs: number;
  readonly memoryLimitBytes: number;
}

/** What a resize does with the cgroup of a pod; where there are none, containers alone are told. */
export interface PodCgroups {
  read(pod: Pod): Promise<PodCgroupValues>;
  /** What the pod shall have; undefined where it has no limit of its own. */
  wanted(pod: Pod): { readonly [K in keyof PodCgroupValues]: number | undefined };
  /** Throws where the kernel refuses. */
  write(pod: Pod, values: Partial<PodCgroupValues>): Promise<void>;
  memoryUsageBytes(pod: Pod): Promise<number | undefined>;
}

export interface ResizeInput {
  readonly pod: Pod;
  readonly plan: ResizePlan;
  readonly sandboxId: string;
  /** Containers are restarted with other resources, for which the pod's cgroup has to be right. */
  readonly restarts: boolean;
}

/** Throws what stands in the way: the words of the condition's message. */
export async function resizePod(context: RuntimeContext, input: ResizeInput): Promise<void> {
  const startedMs = context.world.clock.monotonic();
  let success = false;
  try {
    await act(context, input);
    success = true;
  } finally {
    await context.actuated.flush();
    const tookMs = context.world.clock.monotonic() - startedMs;
    context.metrics.observe(METRICS.resizeDuration, { success: String(success) }, Math.floor(tookMs));
  }
}

async function act(context: RuntimeContext, { pod, plan, sandboxId, restarts }: ResizeInput): Promise<void> {
  const cgroups = context.podCgroups;
  const before = await cgroups?.read(pod);
  const wanted = before && cgroups!.wanted(pod);
  // Without a limit of its own the pod keeps what it has: upstream takes no limit away.
  const after: PodCgroupValues | undefined = before && {
    cpuShares: wanted!.cpuShares ?? before.cpuShares,
    cpuQuotaUs: wanted!.cpuQuotaUs ?? before.cpuQuotaUs,
    memoryLimitBytes: wanted!.memoryLimitBytes ?? before.memoryLimitBytes,
  };
  if (plan.updates.memory.length > 0 || restarts) await checkMemory(context, pod, plan, sandboxId, before, after);

  // What was told of each container before this update and so far in it.
  const told = new Map<string, ContainerUpdate["current"]>();
  let known = before;
  const set = async (values: Partial<PodCgroupValues>) => {
    if (known === undefined) return;
    const merged = { ...known, ...values };
    await tellSandbox(context, pod, sandboxId, merged);
    try {
      await cgroups!.write(pod, values);
    } catch (error) {
      await tellSandbox(context, pod, sandboxId, known).catch((again: unknown) =>
        context.log.error("Failed to notify runtime to rollback UpdatePodSandboxResources", again, {
          pod: podText(pod),
        }),
      );
      throw error;
    }
    known = merged;
  };
  const update = async (resource: Compute) => {
    for (const each of plan.updates[resource]) {
      const { container, containerId, desired } = each;
      const resources = mixed(told.get(containerId) ?? each.current, desired, resource);
      const linux = containerResources(pod, { ...container, resources }, context.settings);
      await context.cri.runtime.UpdateContainerResources({ container_id: containerId, linux });
      told.set(containerId, resources);
      context.actuated.setContainer(pod.metadata.uid, container.name, resources);
    }
  };
  const setMemory = () => set({ memoryLimitBytes: after!.memoryLimitBytes });
  const setQuota = () => set({ cpuQuotaUs: after!.cpuQuotaUs });
  const setShares = () => set({ cpuShares: after!.cpuShares });
  const order = (key: keyof PodCgroupValues) => (before === undefined ? 0 : unlimited(after![key]) - unlimited(before[key])); // prettier-ignore

  if (plan.updates.memory.length > 0 || restarts || plan.podLevel) {
    if (order("memoryLimitBytes") > 0) await setMemory();
    await update("memory");
    if (order("memoryLimitBytes") < 0) await setMemory();
    if (plan.podLevel) tellPodLevel(context, pod, "memory");
  }
  if (plan.updates.cpu.length > 0 || restarts || plan.podLevel) {
    // Requests stay below limits all the time.
    if (order("cpuQuotaUs") > 0) await setQuota();
    if (order("cpuShares") > 0) await setShares();
    await update("cpu");
    if (order("cpuShares") < 0) await setShares();
    if (order("cpuQuotaUs") < 0) await setQuota();
    if (plan.podLevel) tellPodLevel(context, pod, "cpu");
  }
}

const unlimited = (value: number): number => (value === -1 ? Number.MAX_SAFE_INTEGER : value);

/** The runtime has a say before the cgroup is written; one that doesn't know the call is not asked. */
async function tellSandbox(context: RuntimeContext, pod: Pod, sandboxId: string, values: PodCgroupValues) {
  const resources: Init<LinuxContainerResources> = {
    cpu_shares: values.cpuShares,
    cpu_period: CPU_PERIOD_US,
    cpu_quota: values.cpuQuotaUs,
    memory_limit_in_bytes: values.memoryLimitBytes,
  };
  const overhead = overheadResources(pod, context.settings);
  try {
    await context.cri.runtime.UpdatePodSandboxResources({ pod_sandbox_id: sandboxId, overhead, resources });
  } catch (error) {
    const unknown =
      error instanceof RpcError && (error.code === "Unimplemented" || error.message.includes("not implemented"));
    if (!unknown) throw error;
  }
}

function tellPodLevel({ actuated }: RuntimeContext, pod: Pod, resource: Compute): void {
  const { uid } = pod.metadata;
  const wanted = pod.spec.resources ?? {};
  actuated.setPod(uid, mixed(actuated.get(uid)?.PodLevelResources ?? {}, wanted, resource));
}

/** A limit below what is used would kill: it is not even tried. */
async function checkMemory(
  context: RuntimeContext,
  pod: Pod,
  plan: ResizePlan,
  sandboxId: string,
  before: PodCgroupValues | undefined,
  after: PodCgroupValues | undefined,
): Promise<void> {
  const podLimit = after?.memoryLimitBytes ?? -1;
  const podShrinks = podLimit !== -1 && podLimit < unlimited(before!.memoryLimitBytes);
  const limits = new Map<string, number>();
  for (const { container, current, desired } of plan.updates.memory) {
    const from = valueOf(current.limits?.["memory"]);
    const to = valueOf(desired.limits?.["memory"]);
    if (to !== 0 && (from === 0 || to < from)) limits.set(container.name, to);
  }
  if (!podShrinks && limits.size === 0) return;

  const problems: string[] = [];
  let podUsage: number | undefined;
  let stats;
  try {
    podUsage = await context.podCgroups?.memoryUsageBytes(pod);
    stats = (await context.cri.runtime.ListContainerStats({ filter: { pod_sandbox_id: sandboxId } })).stats;
  } catch (error) {
    context.log.error("unable to read memory usage", error, { pod: podText(pod) });
    throw new Error(`unable to read memory usage for pod ${JSON.stringify(podText(pod))}`, { cause: error });
  }
  if (podShrinks) {
    if (podUsage === undefined) problems.push("missing pod memory usage");
    else if (podUsage >= podLimit)
      problems.push(`attempting to set pod memory limit (${podLimit}) below current usage (${podUsage})`);
  }
  for (const { attributes, memory } of stats) {
    const name = attributes?.labels[CONTAINER_NAME] ?? attributes?.metadata?.name ?? "";
    const limit = limits.get(name);
    if (limit === undefined) continue;
    const usage = memory?.usage_bytes?.value ?? memory?.working_set_bytes?.value;
    if (usage === undefined) problems.push(`missing container ${JSON.stringify(name)} memory usage`);
    else if (usage >= limit)
      problems.push(
        `attempting to set container ${JSON.stringify(name)} memory limit (${limit}) below current usage (${podUsage ?? usage})`,
      );
  }
  if (problems.length === 0) return;
  throw new Error(
    `cannot decrease memory limits: ${problems.length === 1 ? problems[0]! : `[${problems.join(", ")}]`}`,
  );
}

/** As upstream words a sync in which the resize failed. */
export const resizeFailure = (pod: Pod, error: unknown): string =>
  `failed to "ResizePodInPlace" for "${podText(pod)}" with ResizePodInPlaceError: ${JSON.stringify(errorText(error))}`;
