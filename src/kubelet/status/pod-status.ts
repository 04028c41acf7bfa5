/** Gathers what a pod's status is made of, and hands it to those who tell the API server. */
import type { Pod, PodStatus } from "../../api/generated/core.v1.ts";
import { fullName } from "../format.ts";
import { isStatic } from "../pod.ts";
import { podLogDir } from "../runtime/sandbox-config.ts";
import type { RuntimePod } from "../runtime/state.ts";
import { isMirrorOf } from "../sources/mirror.ts";
import type { KubeletState } from "../state.ts";
import { isOwnedCondition } from "./conditions.ts";
import { generateStatus } from "./generate.ts";
import { terminationMessage } from "./termination-message.ts";

export function setStatus(
  kubelet: KubeletState,
  asked: Pod,
  runtime: RuntimePod,
  { finished }: { readonly finished: boolean },
): PodStatus {
  const pod = kubelet.allocator.allocated(asked);
  const { uid } = pod.metadata;
  const phase = kubelet.workers.stateOf(uid)?.phase;
  const status = generateStatus({
    pod,
    runtime,
    previous: previousStatus(kubelet, pod),
    runtimeName: kubelet.runtimeName,
    hostIPs: kubelet.nodeManager.hostIPs,
    nowMs: kubelet.world.clock.now(),
    finished,
    stopping: phase !== undefined && phase !== "syncing",
    isReady: (container, spec) => kubelet.probes.isReady(container, spec),
    isStarted: (container, spec) => kubelet.probes.isStarted(container, spec),
    startError: (name) => kubelet.context.startErrors.get(uid, name),
    terminationMessage: (container) => kubelet.messages.get(container.id) ?? container.message,
    verdict: kubelet.verdicts.get(uid),
    resizeConditions: kubelet.resizes.of(uid),
    actuated: kubelet.actuated.get(uid),
    cgroup: kubelet.podCgroups.get(uid),
  });
  kubelet.status.set(pod, status);
  return status;
}

/** The status we gave last, with the conditions that others have set since. */
function previousStatus(kubelet: KubeletState, pod: Pod): PodStatus {
  const api = apiPodOf(kubelet, pod)?.status;
  const own = kubelet.status.get(pod.metadata.uid);
  if (own === undefined) return api ?? {};
  const foreign = (api?.conditions ?? []).filter(({ type }) => !isOwnedCondition(type));
  return { ...own, conditions: [...foreign, ...(own.conditions ?? []).filter(({ type }) => isOwnedCondition(type))] };
}

export async function readMessages(kubelet: KubeletState, runtime: RuntimePod, pod: Pod): Promise<void> {
  for (const container of runtime.containers) {
    if (container.state !== "exited" || kubelet.messages.has(container.id)) continue;
    const logFile = `${podLogDir(kubelet.settings.podLogsDir, pod)}/${container.name}/${container.restartCount}.log`;
    const text = kubelet.cri.usesFiles
      ? await terminationMessage(kubelet.world.fs, container, logFile)
      : container.message;
    kubelet.messages.set(container.id, text);
  }
}

export async function readCgroup(kubelet: KubeletState, pod: Pod): Promise<void> {
  const { uid } = pod.metadata;
  const values = await kubelet.cgroups?.read(pod).catch(() => undefined); // Not there yet, or no more.
  if (values === undefined) kubelet.podCgroups.delete(uid);
  else kubelet.podCgroups.set(uid, values);
}

export function apiPodOf(kubelet: KubeletState, pod: Pod): Pod | undefined {
  if (!isStatic(pod)) return kubelet.pods.get(pod.metadata.uid);
  const mirror = kubelet.mirrors.get(fullName(pod));
  return mirror !== undefined && isMirrorOf(mirror, pod) ? mirror : undefined;
}
