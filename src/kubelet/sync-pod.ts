/** What the worker of a pod does: brings it up, keeps it up, stops it and cleans up after it. Upstream: pkg/kubelet/kubelet.go SyncPod, SyncTerminatingPod, SyncTerminatedPod */
import type { Pod } from "../api/generated/core.v1.ts";
import { resizeCompleted, resizeFailed } from "./allocation/messages.ts";
import { fullName, podText, secondsSince } from "./format.ts";
import { forgetPod, prune } from "./housekeeping.ts";
import { holdsResources } from "./intake.ts";
import { isStatic, isTerminalPhase } from "./pod.ts";
import { RetryLater } from "./pod-workers/worker.ts";
import { errorText, podReference } from "./runtime/context.ts";
import { killPod } from "./runtime/kill.ts";
import { isResizeInProgress } from "./runtime/resize-plan.ts";
import type { RuntimePod } from "./runtime/state.ts";
import { syncPod } from "./runtime/sync.ts";
import { createMirror, deleteMirror, isMirrorOf } from "./sources/mirror.ts";
import type { KubeletState } from "./state.ts";
import { readCgroup, readMessages, setStatus } from "./status/pod-status.ts";

const NETWORK_RETRY_MS = 1000;

export async function syncOnce(
  kubelet: KubeletState,
  asked: Pod,
  signal: AbortSignal,
): Promise<"running" | "completed"> {
  const { uid } = asked.metadata;
  await kubelet.allocated.flush();
  const pod = kubelet.allocator.allocated(asked);
  const runtime = await prune(kubelet, kubelet.pleg.get(uid));
  await readMessages(kubelet, runtime, pod);
  checkDeadline(kubelet, pod);
  followResize(kubelet, pod, runtime);
  await readCgroup(kubelet, pod);
  const status = setStatus(kubelet, pod, runtime, { finished: false });
  if (isTerminalPhase(status.phase) || kubelet.verdicts.has(uid)) return "completed";

  const network = kubelet.nodeManager.networkProblem;
  if (network !== undefined && pod.spec.hostNetwork !== true) {
    const message = `network is not ready: ${network}`;
    kubelet.events.event(podReference(pod), "Warning", "NetworkNotReady", message);
    throw new RetryLater(message, NETWORK_RETRY_MS);
  }
  if (isStatic(pod)) await ensureMirror(kubelet, pod);
  try {
    const made = await kubelet.cgroups?.ensure(pod);
    const whole = pod.spec.resources;
    if (whole !== undefined && made !== false && (made || kubelet.actuated.get(uid)?.PodLevelResources == null)) {
      kubelet.actuated.setPod(uid, whole);
      await kubelet.actuated.flush();
    }
  } catch (error) {
    const message = `unable to ensure pod container exists: ${errorText(error)}`;
    kubelet.events.event(podReference(pod), "Warning", "FailedCreatePodContainer", message);
    throw error;
  }
  if (kubelet.cri.usesFiles) {
    for (const dir of [
      kubelet.paths.pod(uid),
      `${kubelet.paths.pod(uid)}/volumes`,
      `${kubelet.paths.pod(uid)}/plugins`,
    ])
      await kubelet.world.fs.mkdir(dir, { recursive: true, mode: 0o750 });
  }
  await kubelet.volumes.ensure(pod);
  signal.throwIfAborted();
  kubelet.probes.add(pod);
  kubelet.probes.observe(uid);

  const { acted, failure, resizeError } = await syncPod(kubelet.context, kubelet.pulls, pod, runtime, (ips) =>
    onSandbox(kubelet, pod, runtime, ips),
  );
  if (resizeError !== undefined) resizeHasFailed(kubelet, pod, resizeError);
  const after = acted ? await kubelet.pleg.refresh(uid) : runtime;
  if (acted) {
    kubelet.probes.observe(uid);
    await readCgroup(kubelet, pod);
    await readMessages(kubelet, after, pod);
  }
  if (acted || failure !== undefined) {
    if (kubelet.workers.stateOf(uid)?.phase === "syncing") setStatus(kubelet, pod, after, { finished: false });
  }
  if (failure !== undefined) throw failure;
  if (acted) kubelet.workers.wake(uid); // Until a look finds nothing to do.
  return "running";
}

export async function stopPod(
  kubelet: KubeletState,
  pod: Pod,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  const { uid } = pod.metadata;
  kubelet.deadlines.get(uid)?.[Symbol.dispose]();
  const runtime = await kubelet.pleg.refresh(uid);
  await readMessages(kubelet, runtime, pod);
  setStatus(kubelet, pod, runtime, { finished: false });
  kubelet.probes.stopLivenessAndStartup(uid);
  try {
    await killPod(kubelet.context, pod, runtime, { graceSeconds, signal });
  } catch (error) {
    if (!signal.aborted)
      kubelet.events.event(podReference(pod), "Warning", "FailedKillPod", `error killing pod: ${errorText(error)}`);
    throw error;
  }
  kubelet.probes.remove(uid);
  const after = await kubelet.pleg.refresh(uid);
  if (after.containers.some(({ state }) => state === "running"))
    throw new Error("detected running containers after a successful KillPod, CRI violation");
  await readMessages(kubelet, after, pod);
  setStatus(kubelet, pod, after, { finished: false });
}

export async function cleanUpPod(kubelet: KubeletState, pod: Pod): Promise<void> {
  const { uid } = pod.metadata;
  await kubelet.volumes.tearDown(uid);
  await kubelet.cgroups?.remove(pod);
  kubelet.resizes.forget(uid);
  setStatus(kubelet, pod, kubelet.pleg.get(uid), { finished: true });
  await balance(kubelet);
}

export function podFinished(kubelet: KubeletState, pod: Pod): void {
  const { uid } = pod.metadata;
  const current = kubelet.pods.get(uid);
  if (current === undefined) void forgetPod(kubelet, pod);
  else kubelet.status.finish(current);
}

/** A resize is under way as long as a container has something else than its pod was granted. */
function followResize(kubelet: KubeletState, pod: Pod, runtime: RuntimePod): void {
  const { uid, generation = 0 } = pod.metadata;
  if (isResizeInProgress(pod, runtime, kubelet.actuated.get(uid))) {
    kubelet.resizes.setInProgress(uid, generation);
    return;
  }
  const done = kubelet.resizes.clearInProgress(uid);
  if (done === undefined) return;
  kubelet.events.event(podReference(pod), "Normal", "ResizeCompleted", resizeCompleted(pod, done));
  void balance(kubelet);
}

function resizeHasFailed(kubelet: KubeletState, pod: Pod, error: string): void {
  const { uid, generation = 0 } = pod.metadata;
  const set = kubelet.resizes.setInProgress(uid, generation, error);
  if (set.changed)
    kubelet.events.event(podReference(pod), "Warning", "ResizeError", resizeFailed(pod, set.generation, error));
}

/** The pod can start containers: told at once, without waiting for the next look. */
function onSandbox(kubelet: KubeletState, pod: Pod, runtime: RuntimePod, ips: readonly string[]): void {
  const now = kubelet.world.clock.now();
  const sandbox = {
    id: "",
    attempt: 0,
    ready: true,
    createdAtMs: now,
    ips,
    hostNetwork: pod.spec.hostNetwork === true,
  };
  setStatus(kubelet, pod, { ...runtime, sandboxes: [sandbox] }, { finished: false });
  void balance(kubelet);
}

async function balance(kubelet: KubeletState): Promise<void> {
  if (kubelet.cgroups === undefined) return;
  const running = [...kubelet.pods.values()].filter((pod) => holdsResources(kubelet, pod));
  await kubelet.cgroups.balance(running.map((pod) => kubelet.allocator.allocated(pod)));
}

async function ensureMirror(kubelet: KubeletState, pod: Pod): Promise<void> {
  const node = kubelet.nodeManager.node;
  if (node === undefined || node.metadata.deletionTimestamp !== undefined) return;
  const mirror = kubelet.mirrors.get(fullName(pod));
  if (mirror !== undefined && isMirrorOf(mirror, pod) && mirror.metadata.deletionTimestamp === undefined) return;
  try {
    if (mirror !== undefined) await deleteMirror(kubelet.client, mirror);
    else if (kubelet.podInformer.synced) await createMirror(kubelet.client, pod, node);
  } catch (error) {
    kubelet.log.error("Failed creating a mirror pod", error, { pod: podText(pod) });
  }
}

function checkDeadline(kubelet: KubeletState, pod: Pod): void {
  const { uid } = pod.metadata;
  const limit = pod.spec.activeDeadlineSeconds;
  const start = kubelet.status.get(uid)?.startTime ?? pod.status?.startTime;
  if (limit === undefined || start === undefined || kubelet.verdicts.has(uid)) return;
  const leftMs = (limit - secondsSince(start, kubelet.world.clock.now())) * 1000;
  if (leftMs <= 0) {
    const message = "Pod was active on the node longer than the specified deadline";
    kubelet.verdicts.set(uid, { reason: "DeadlineExceeded", message });
    kubelet.events.event(podReference(pod), "Normal", "DeadlineExceeded", message);
    return;
  }
  kubelet.deadlines.get(uid)?.[Symbol.dispose]();
  kubelet.deadlines.set(
    uid,
    kubelet.world.clock.after(leftMs, () => kubelet.workers.wake(uid)),
  );
}
