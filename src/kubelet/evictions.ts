/** Puts together what keeps the node from running short: the eviction of pods and the removal of images. */
import { EvictionManager } from "./eviction/manager.ts";
import { observe, podUses } from "./eviction/observe.ts";
import { parseThresholds } from "./eviction/thresholds.ts";
import { ImageCollector } from "./images/collector.ts";
import { activePods } from "./intake.ts";
import { podReference } from "./runtime/context.ts";
import type { KubeletState } from "./state.ts";

const nodeOf = ({ settings }: KubeletState) => ({ kind: "Node", name: settings.nodeName, uid: settings.nodeName });

export function imageCollectorOf(kubelet: KubeletState): ImageCollector {
  const { world, log, events, cri, settings } = kubelet;
  const policy = {
    highPercent: settings.imageGcHighPercent,
    lowPercent: settings.imageGcLowPercent,
    minAgeMs: settings.imageMinimumGcAgeMs,
  };
  return new ImageCollector(policy, { world, log, events, cri, node: nodeOf(kubelet) });
}

export function evictionsOf(kubelet: KubeletState, images: ImageCollector): EvictionManager {
  const { world, log, events, metrics, cri, settings, paths } = kubelet;
  const thresholds = parseThresholds({
    hard: settings.evictionHard,
    soft: settings.evictionSoft,
    softGracePeriod: settings.evictionSoftGracePeriod,
    minimumReclaim: settings.evictionMinimumReclaim,
  });
  const { evictionPressureTransitionMs: transitionMs, evictionMaxPodGraceSeconds: maxPodGraceSeconds } = settings;
  return new EvictionManager(
    { thresholds, transitionMs, maxPodGraceSeconds },
    {
      clock: world.clock,
      log,
      events,
      metrics,
      node: nodeOf(kubelet),
      observe: () => observe(world, cri, settings.rootDir),
      pods: () =>
        activePods(kubelet)
          .filter(({ metadata }) => kubelet.workers.stateOf(metadata.uid)?.phase === "syncing")
          .map((pod) => kubelet.allocator.allocated(pod)),
      useOf: (pods, signal) => {
        const withDisk = signal.startsWith("nodefs") || signal.startsWith("imagefs");
        return podUses(world, cri, pods, { paths, podLogsDir: settings.podLogsDir, withDisk });
      },
      freeImages: () => images.removeUnused(),
      evict: (pod, message, graceSeconds, disruption) => {
        const { uid } = pod.metadata;
        kubelet.verdicts.set(uid, { reason: "Evicted", message, disruption });
        events.event(podReference(pod), "Warning", "Evicted", message);
        kubelet.workers.kill(uid, graceSeconds);
      },
      isGone: ({ metadata }) => (kubelet.workers.stateOf(metadata.uid)?.phase ?? "finished") === "finished",
      changed: () => kubelet.nodeManager.poke(),
    },
  );
}
