/** Pods come to the node, change and leave: from the API server and from manifests. Upstream: pkg/kubelet/kubelet.go HandlePodAdditions, HandlePodUpdates, HandlePodRemoves */
import type { Pod } from "../api/generated/core.v1.ts";
import { allocationOf } from "./allocation/resources.ts";
import { fullName } from "./format.ts";
import { forgetPod, housekeeping, ORPHAN_GRACE_SECONDS } from "./housekeeping.ts";
import { METRICS } from "./metrics.ts";
import { isMirror, isStatic, isTerminalPhase } from "./pod.ts";
import { podReference } from "./runtime/context.ts";
import type { KubeletState } from "./state.ts";
import { isOwnedCondition } from "./status/conditions.ts";
import { setStatus } from "./status/pod-status.ts";

export function onApiPod(kubelet: KubeletState, pod: Pod): void {
  if (isMirror(pod)) {
    kubelet.mirrors.set(fullName(pod), pod);
    const uid = kubelet.uids.get(fullName(pod));
    if (uid !== undefined) {
      kubelet.status.reconcile(uid);
      kubelet.workers.wake(uid);
    }
    return;
  }
  take(kubelet, pod);
}

export function onApiDelete(kubelet: KubeletState, pod: Pod): void {
  if (!isMirror(pod)) return release(kubelet, pod.metadata.uid);
  const name = fullName(pod);
  if (kubelet.mirrors.get(name)?.metadata.uid !== pod.metadata.uid) return;
  kubelet.mirrors.delete(name);
  const uid = kubelet.uids.get(name);
  if (uid !== undefined) kubelet.workers.wake(uid); // It is made again.
}

export function onStaticPods(kubelet: KubeletState, source: string, pods: readonly Pod[]): void {
  const listed = new Set(pods.map(({ metadata }) => metadata.uid));
  for (const pod of kubelet.pods.values()) {
    if (pod.metadata.annotations?.["kubernetes.io/config.source"] === source && !listed.has(pod.metadata.uid))
      release(kubelet, pod.metadata.uid);
  }
  for (const pod of pods) if (kubelet.pods.get(pod.metadata.uid) !== pod) take(kubelet, pod);
  const first = !kubelet.sourcesReady.has(source);
  kubelet.sourcesReady.add(source);
  if (first && kubelet.sourcesReady.has("api")) void housekeeping(kubelet);
}

function take(kubelet: KubeletState, pod: Pod): void {
  const { uid } = pod.metadata;
  const known = kubelet.pods.get(uid);
  kubelet.pods.set(uid, pod);
  kubelet.uids.set(fullName(pod), uid);
  if (kubelet.workers.stateOf(uid)?.phase === "finished") return kubelet.status.finish(pod);
  if (kubelet.workers.has(uid)) {
    const changed = known === undefined || known.spec !== pod.spec || known.metadata !== pod.metadata;
    if (changed && !onlyStatusChanged(known, pod)) {
      if (known !== undefined && kubelet.admitted.has(uid)) kubelet.allocator.updated(known, pod);
      kubelet.workers.update(pod);
    } else if (known !== undefined && foreignConditionsChanged(known, pod)) kubelet.workers.wake(uid);
    if (known !== undefined) {
      kubelet.allocator.reconciled(known, pod);
      kubelet.status.reconcile(uid);
    }
    return;
  }
  // Admitted together, the oldest first: a node that restarts must not prefer a younger pod by chance.
  kubelet.arrivals.set(uid, pod);
  if (kubelet.arrivalsWaiting) return;
  kubelet.arrivalsWaiting = true;
  kubelet.world.clock.soon(() => {
    kubelet.arrivalsWaiting = false;
    if (kubelet.stopping) return;
    const arrivals = [...kubelet.arrivals.values()];
    kubelet.arrivals.clear();
    arrivals.sort((a, b) => ((a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? -1 : 1));
    for (const arrival of arrivals) admitPod(kubelet, arrival);
    kubelet.allocator.added(arrivals.filter(({ metadata }) => kubelet.admitted.has(metadata.uid)));
  });
}

function admitPod(kubelet: KubeletState, pod: Pod): void {
  const { uid } = pod.metadata;
  const terminal = isTerminalPhase(pod.status?.phase);
  if (!terminal && pod.metadata.deletionTimestamp === undefined) {
    adoptResources(kubelet, pod);
    const rejection = kubelet.allocator.add(pod);
    if (rejection !== undefined) {
      kubelet.events.event(podReference(pod), "Warning", rejection.reason, rejection.message);
      kubelet.metrics.add(METRICS.admissionRejections, { reason: rejection.reason });
      kubelet.verdicts.set(uid, { reason: rejection.reason, message: `Pod was rejected: ${rejection.message}` });
      setStatus(kubelet, pod, kubelet.pleg.get(uid), { finished: false });
      return;
    }
    kubelet.admitted.add(uid);
  }
  const runtime = kubelet.pleg.get(uid);
  if (runtime.containers.length > 0) kubelet.probes.adopt(pod, runtime);
  kubelet.workers.update(pod);
}

/** A container that runs without a record of what it has was given what its status says, else what its pod asks for. */
function adoptResources(kubelet: KubeletState, pod: Pod): void {
  const { uid } = pod.metadata;
  if (kubelet.pleg.get(uid).containers.every(({ state }) => state !== "running")) return;
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  const info = allocationOf(pod);
  const had = Object.fromEntries(
    Object.entries(info.ContainerResources).map(([name, resources]) => [
      name,
      statuses.find((status) => status.name === name)?.resources ?? resources,
    ]),
  );
  const found = { ...info, ContainerResources: had };
  if (kubelet.allocated.get(uid) === undefined) kubelet.allocated.set(uid, found);
  if (kubelet.actuated.get(uid) === undefined) kubelet.actuated.set(uid, found);
}

export function activePods(kubelet: KubeletState): readonly Pod[] {
  const pods: Pod[] = [];
  for (const uid of kubelet.admitted) {
    const found = kubelet.pods.get(uid);
    if (found !== undefined && holdsResources(kubelet, found)) pods.push(found);
  }
  return pods;
}

export function holdsResources(kubelet: KubeletState, pod: Pod): boolean {
  if (isTerminalPhase(kubelet.status.get(pod.metadata.uid)?.phase ?? pod.status?.phase)) return false;
  return kubelet.workers.stateOf(pod.metadata.uid)?.phase !== "finished";
}

/** The pod left its source: it is stopped, and then forgotten. */
function release(kubelet: KubeletState, uid: string): void {
  const pod = kubelet.pods.get(uid);
  kubelet.arrivals.delete(uid);
  if (pod === undefined) return;
  kubelet.pods.delete(uid);
  if (kubelet.uids.get(fullName(pod)) === uid) kubelet.uids.delete(fullName(pod));
  kubelet.allocator.removed(uid);
  const state = kubelet.workers.stateOf(uid);
  if (state === undefined || state.phase === "finished") void forgetPod(kubelet, pod);
  else kubelet.workers.kill(uid, isStatic(pod) ? undefined : ORPHAN_GRACE_SECONDS);
}

/** Our own patches come back as updates: they are no news. */
function onlyStatusChanged(old: Pod | undefined, pod: Pod): boolean {
  if (old === undefined) return false;
  return (
    old.metadata.generation === pod.metadata.generation &&
    old.metadata.deletionTimestamp === pod.metadata.deletionTimestamp &&
    old.metadata.deletionGracePeriodSeconds === pod.metadata.deletionGracePeriodSeconds &&
    JSON.stringify(old.metadata.labels) === JSON.stringify(pod.metadata.labels) &&
    JSON.stringify(old.metadata.annotations) === JSON.stringify(pod.metadata.annotations) &&
    (old.spec === pod.spec || JSON.stringify(old.spec) === JSON.stringify(pod.spec)) &&
    isTerminalPhase(old.status?.phase) === isTerminalPhase(pod.status?.phase)
  );
}

function foreignConditionsChanged(old: Pod, pod: Pod): boolean {
  const foreign = ({ status }: Pod) => (status?.conditions ?? []).filter(({ type }) => !isOwnedCondition(type));
  return JSON.stringify(foreign(old)) !== JSON.stringify(foreign(pod));
}
