/** Takes away what the node has and nobody asks for any more. Upstream: pkg/kubelet/kubelet_pods.go HandlePodCleanups, pkg/kubelet/pod_container_deletor.go */
import type { Pod } from "../api/generated/core.v1.ts";
import { fullName, podText } from "./format.ts";
import { isStatic } from "./pod.ts";
import { killPod } from "./runtime/kill.ts";
import { podLogDir } from "./runtime/sandbox-config.ts";
import type { RuntimeContainer, RuntimePod } from "./runtime/state.ts";
import { deleteMirror } from "./sources/mirror.ts";
import type { KubeletState } from "./state.ts";

/** Of a pod that left its source. */
export const ORPHAN_GRACE_SECONDS = 1;

/** Takes away the last traces of a pod. */
export async function forgetPod(kubelet: KubeletState, pod: Pod): Promise<void> {
  const { uid } = pod.metadata;
  kubelet.workers.forget(uid);
  kubelet.status.forget(uid);
  kubelet.admitted.delete(uid);
  kubelet.verdicts.delete(uid);
  kubelet.deadlines.get(uid)?.[Symbol.dispose]();
  kubelet.deadlines.delete(uid);
  kubelet.actuated.remove(uid);
  kubelet.podCgroups.delete(uid);
  kubelet.context.startErrors.forget(uid);
  kubelet.context.crashBackOff.forgetPrefix(`${uid}/`);
  kubelet.context.imageBackOff.forgetPrefix(`${uid}_`);
  for (const key of kubelet.context.pullFailures.keys())
    if (key.startsWith(`${uid}_`)) kubelet.context.pullFailures.delete(key);
  try {
    if (isStatic(pod)) {
      const mirror = kubelet.mirrors.get(fullName(pod));
      if (mirror !== undefined && !kubelet.uids.has(fullName(pod))) await deleteMirror(kubelet.client, mirror);
    }
    await removeFromRuntime(kubelet, await kubelet.pleg.refresh(uid));
    if (kubelet.cri.usesFiles) {
      await kubelet.volumes.tearDown(uid);
      await kubelet.world.fs.remove(kubelet.paths.pod(uid));
      await kubelet.world.fs.remove(podLogDir(kubelet.settings.podLogsDir, pod));
    }
  } catch (error) {
    if (!kubelet.stopping) kubelet.log.error("Failed to clean up after pod", error, { pod: podText(pod) });
  }
}

async function removeFromRuntime(kubelet: KubeletState, runtime: RuntimePod): Promise<void> {
  for (const container of runtime.containers) {
    await kubelet.cri.runtime.RemoveContainer({ container_id: container.id });
    kubelet.messages.delete(container.id);
  }
  for (const { id } of runtime.sandboxes) {
    await kubelet.cri.runtime.StopPodSandbox({ pod_sandbox_id: id });
    await kubelet.cri.runtime.RemovePodSandbox({ pod_sandbox_id: id });
  }
  kubelet.pleg.forget(runtime.uid);
}

/** One dead container of each name is kept. */
export async function prune(kubelet: KubeletState, runtime: RuntimePod): Promise<RuntimePod> {
  const seen = new Set<string>();
  const removed = new Set<string>();
  for (const container of runtime.containers) {
    if (container.state !== "exited") continue;
    if (!seen.has(container.name)) {
      seen.add(container.name);
      continue;
    }
    await kubelet.cri.runtime.RemoveContainer({ container_id: container.id });
    kubelet.messages.delete(container.id);
    await removeLogs(kubelet, runtime, container);
    removed.add(container.id);
  }
  if (removed.size === 0) return runtime;
  return kubelet.pleg.refresh(runtime.uid);
}

async function removeLogs(kubelet: KubeletState, runtime: RuntimePod, container: RuntimeContainer): Promise<void> {
  if (!kubelet.cri.usesFiles || container.logPath === "") return;
  await kubelet.world.fs.remove(container.logPath);
  const { containerLogsDir } = kubelet.settings;
  if (containerLogsDir === "") return;
  const name = `${runtime.name}_${runtime.namespace}_${container.name}-${container.id}`.slice(0, 251);
  await kubelet.world.fs.remove(`${containerLogsDir}/${name}.log`);
}

export async function housekeeping(kubelet: KubeletState): Promise<void> {
  if (!kubelet.sourcesReady.has("api") || kubelet.sources.some(({ name }) => !kubelet.sourcesReady.has(name))) return;
  try {
    const orphans = [...kubelet.pleg.all()].filter(
      ({ uid }) => !kubelet.pods.has(uid) && !kubelet.workers.has(uid) && !kubelet.arrivals.has(uid),
    );
    await Promise.all(orphans.map((orphan) => removeOrphan(kubelet, orphan)));
    for (const checkpoint of [kubelet.allocated, kubelet.actuated]) checkpoint.retain((uid) => isKnown(kubelet, uid));
    for (const [name, mirror] of kubelet.mirrors)
      if (!kubelet.uids.has(name)) await deleteMirror(kubelet.client, mirror);
    if (!kubelet.cri.usesFiles) return;
    for (const uid of await kubelet.world.fs.list(kubelet.paths.pods)) {
      if (isKnown(kubelet, uid)) continue;
      await kubelet.volumes.tearDown(uid);
      await kubelet.world.fs.remove(kubelet.paths.pod(uid));
    }
    for (const [uid, path] of (await kubelet.cgroups?.podUids()) ?? [])
      if (!isKnown(kubelet, uid)) await kubelet.cgroups!.removePath(path);
  } catch (error) {
    if (!kubelet.stopping) kubelet.log.error("Failed cleaning pods", error);
  }
}

async function removeOrphan(kubelet: KubeletState, runtime: RuntimePod): Promise<void> {
  await killPod(kubelet.context, undefined, runtime, { graceSeconds: ORPHAN_GRACE_SECONDS });
  await removeFromRuntime(kubelet, await kubelet.pleg.refresh(runtime.uid));
  const metadata = { name: runtime.name, namespace: runtime.namespace, uid: runtime.uid } as Pod["metadata"];
  if (kubelet.cri.usesFiles) await kubelet.world.fs.remove(podLogDir(kubelet.settings.podLogsDir, { metadata }));
}

function isKnown(kubelet: KubeletState, uid: string): boolean {
  return (
    kubelet.pods.has(uid) || kubelet.workers.has(uid) || kubelet.arrivals.has(uid) || kubelet.pleg.get(uid).uid !== ""
  );
}
