/**
 * Carries out what `computePodActions` decided, in upstream's order: kill, sandbox, ephemeral, init and regular containers, one after another.
 * Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go SyncPod
 */
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { StartError } from "../images/ensure.ts";
import type { PullQueue } from "../images/ensure.ts";
import { goDuration, podText } from "../format.ts";
import { findContainer, initContainers } from "../pod.ts";
import type { AnyContainer, ContainerType } from "../pod.ts";
import { RetryLater } from "../pod-workers/worker.ts";
import { computePodActions } from "./actions.ts";
import type { PodActions } from "./actions.ts";
import { containerReference, errorText, podReference } from "./context.ts";
import type { RuntimeContext } from "./context.ts";
import { dnsOf } from "./dns.ts";
import { killContainer, killPod } from "./kill.ts";
import { resizeFailure, resizePod } from "./resize.ts";
import { podLogDir, sandboxConfig } from "./sandbox-config.ts";
import { startContainer } from "./start.ts";
import type { RuntimePod } from "./state.ts";

export interface SyncOutcome {
  /** Something was done: what the runtime has is no longer what is known. */
  readonly acted: boolean;
  /** Thrown by the caller after the status was brought up to date. */
  readonly failure: RetryLater | undefined;
  /** Why running containers could not be given other resources. */
  readonly resizeError?: string;
}

const RESIZE_RETRY_MS = 10_000;

export async function syncPod(
  context: RuntimeContext,
  queue: PullQueue,
  pod: Pod,
  runtime: RuntimePod,
  onSandbox: (ips: readonly string[]) => void,
): Promise<SyncOutcome> {
  const actions = computePodActions(pod, runtime, context.probes, context.actuated.get(pod.metadata.uid));
  const { resize } = actions;
  const restarts = actions.kill.some(({ container }) => resize.restart.has(container.name));
  const resizes = restarts || resize.podLevel || resize.updates.cpu.length + resize.updates.memory.length > 0;
  let acted = false;

  if (actions.killPod) {
    if (actions.createSandbox && runtime.sandboxes.length > 0) {
      context.events.event(
        podReference(pod),
        "Normal",
        "SandboxChanged",
        "Pod sandbox changed, it will be killed and re-created.",
      );
    }
    if (runtime.sandboxes.some(({ ready }) => ready) || runtime.containers.some(({ state }) => state === "running")) {
      await killPod(context, pod, runtime);
      acted = true;
    }
    if (!actions.createSandbox) return { acted, failure: undefined };
    acted = (await removeInitContainers(context, pod, runtime, "all")) || acted;
  } else {
    for (const { container, message, reason } of actions.kill) {
      await killContainer(context, pod, runtime, container, { message, reason });
      acted = true;
    }
    if (actions.init.length > 0) acted = (await removeInitContainers(context, pod, runtime, "old")) || acted;
  }
  const starts = actions.ephemeral.length + actions.init.length + actions.regular.length;
  if (!actions.createSandbox && starts === 0 && !resizes) return { acted, failure: undefined };

  const { sandboxId, podIPs, config, created } = await ensureSandbox(context, pod, runtime, actions);
  if (created) {
    acted = true;
    onSandbox(podIPs);
  }
  // A new sandbox was made of nothing that the old status still shows.
  const known: RuntimePod =
    created && runtime.containers.length > 0 ? { ...runtime, containers: runtime.containers } : runtime;

  let retryMs = Infinity;
  const failures: string[] = [];
  const start = async (type: ContainerType, name: string): Promise<boolean> => {
    const container = findContainer(pod, name)!.container;
    try {
      if (type !== "ephemeral") checkCrashBackOff(context, pod, type, container, known);
      await startContainer(context, queue, {
        pod,
        type,
        container,
        runtime: known,
        sandboxId,
        sandboxConfig: config,
        podIPs,
      });
      context.startErrors.clear(pod.metadata.uid, name);
      acted = true;
      return true;
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      context.startErrors.set(pod.metadata.uid, name, { reason: error.reason, message: error.message });
      failures.push(
        error.reason === "CrashLoopBackOff" || error.reason === "ImagePullBackOff"
          ? `failed to "StartContainer" for "${name}" with ${error.reason}: "${error.message}"`
          : `failed to "StartContainer" for "${name}" with ${error.reason}: ${JSON.stringify(error.message)}`,
      );
      // What failed after its creation left a container behind, whose end is an event of its own: upstream's PLEG sees it within a second.
      const left = ["RunContainerError", "PostStartHookError"].includes(error.reason);
      retryMs = Math.min(retryMs, error.retryMs ?? (left ? 1000 : 10_000));
      acted ||= left;
      return false;
    }
  };
  for (const name of actions.ephemeral) await start("ephemeral", name);
  let initFailed = false;
  for (const name of actions.init) {
    const sidecar = isSidecar(initContainers(pod).find((each) => each.name === name)!);
    if (!(await start("init", name)) && !sidecar) {
      initFailed = true;
      break;
    }
  }
  let resizeError: string | undefined;
  if (!initFailed) {
    if (resizes) {
      acted = true;
      try {
        await resizePod(context, { pod, plan: resize, sandboxId, restarts });
      } catch (error) {
        resizeError = errorText(error);
        failures.push(resizeFailure(pod, error));
        retryMs = Math.min(retryMs, RESIZE_RETRY_MS);
      }
    }
    for (const name of actions.regular) await start("regular", name);
  }
  return {
    acted,
    failure: failures.length === 0 ? undefined : new RetryLater(failures.join("; "), retryMs),
    ...(resizeError !== undefined && { resizeError }),
  };
}

async function ensureSandbox(context: RuntimeContext, pod: Pod, runtime: RuntimePod, actions: PodActions) {
  const { dns, warnings } = dnsOf(pod, await context.dns());
  const about = podReference(pod);
  const config = sandboxConfig(pod, actions.attempt, dns, context.cgroupParent(pod), context.settings);
  if (!actions.createSandbox) {
    const sandbox = runtime.sandboxes[0]!;
    return { sandboxId: sandbox.id, podIPs: sandbox.ips, config, created: false };
  }
  for (const { reason, message } of warnings) context.events.event(about, "Warning", reason, message);
  let sandboxId: string;
  try {
    if (context.cri.usesFiles)
      await context.world.fs.mkdir(podLogDir(context.settings.podLogsDir, pod), { recursive: true, mode: 0o755 });
    const runtime_handler = await context.runtimeHandler(pod);
    sandboxId = (await context.cri.runtime.RunPodSandbox({ config, runtime_handler }, { timeoutMs: 240_000 }))
      .pod_sandbox_id;
  } catch (error) {
    const text =
      error instanceof RpcError ? `rpc error: code = ${error.code} desc = ${error.message}` : errorText(error);
    context.events.event(about, "Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${text}`);
    throw error;
  }
  const { status } = await context.cri.runtime.PodSandboxStatus({ pod_sandbox_id: sandboxId, verbose: false });
  const ips =
    pod.spec.hostNetwork === true
      ? []
      : [status?.network?.ip ?? "", ...(status?.network?.additional_ips ?? []).map(({ ip }) => ip)].filter(
          (ip) => ip !== "",
        );
  return { sandboxId, podIPs: ips, config, created: true };
}

/** Throws while a container that ended too often has to wait. */
function checkCrashBackOff(
  context: RuntimeContext,
  pod: Pod,
  type: ContainerType,
  container: AnyContainer,
  runtime: RuntimePod,
): void {
  // Of a container that a probe has just killed, the one before counts.
  const last = runtime.containers.find(({ name, state }) => name === container.name && state === "exited");
  if (last === undefined) return;
  const key = `${pod.metadata.uid}/${container.name}/${container.image ?? ""}`;
  const now = context.world.clock.now();
  const { crashBackOff, events } = context;
  const remainingMs = crashBackOff.remainingMs(key, last.finishedAtMs, now);
  if (remainingMs > 0) {
    const text = podText(pod);
    events.event(
      containerReference(pod, type, container.name),
      "Warning",
      "BackOff",
      `Back-off restarting failed container ${container.name} in pod ${text}`,
    );
    throw new StartError(
      "CrashLoopBackOff",
      `back-off ${goDuration(crashBackOff.delayMs(key))} restarting failed container=${container.name} pod=${text}`,
      remainingMs,
    );
  }
  crashBackOff.next(key, last.finishedAtMs, now);
}

/** Before a start, one dead init container of each name is enough; a new sandbox starts from the first and wants none. */
async function removeInitContainers(
  context: RuntimeContext,
  pod: Pod,
  runtime: RuntimePod,
  which: "all" | "old",
): Promise<boolean> {
  const names = new Set(initContainers(pod).map(({ name }) => name));
  const seen = new Set<string>();
  let removed = false;
  for (const container of runtime.containers) {
    if (!names.has(container.name) || container.state === "running") continue;
    const newest = !seen.has(container.name);
    seen.add(container.name);
    if (which === "old" && newest) continue;
    await context.cri.runtime.RemoveContainer({ container_id: container.id });
    removed = true;
  }
  return removed;
}
