/**
 * Looks every 10 s whether the node runs short of memory, disk or processes, and ends one pod at a time until it doesn't. Images that nobody uses go
 * before any pod. Upstream: pkg/kubelet/eviction/eviction_manager.go
 */
import { toleratesTaint } from "../../api/core/v1/node/taints.ts";
import { qosClassOf } from "../../api/core/v1/pod/resources.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { EventRecorder, ObjectReferenceLike } from "../../client/events.ts";
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import type { Rejection } from "../admission/admit.ts";
import { podText } from "../format.ts";
import { METRICS } from "../metrics.ts";
import { isCritical } from "../pod.ts";
import { hasStorageLimits, storageOverrun } from "./local-storage.ts";
import { mostUrgent, nextPressure, NO_PRESSURE, thresholdsMet } from "./pressure.ts";
import type { Observations, PressureState } from "./pressure.ts";
import { evictionMessage, rankForEviction } from "./rank.ts";
import type { PodUse } from "./rank.ts";
import { MEANINGS } from "./thresholds.ts";
import type { Pressure, Signal, Threshold } from "./thresholds.ts";

export interface EvictionSettings {
  readonly thresholds: readonly Threshold[];
  readonly transitionMs: number;
  readonly maxPodGraceSeconds: number;
}

export interface EvictionDeps {
  readonly clock: World["clock"];
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  readonly node: ObjectReferenceLike;
  observe(): Promise<Observations>;
  /** With the resources that they were granted. */
  pods(): readonly Pod[];
  useOf(pods: readonly Pod[], signal: Signal): Promise<ReadonlyMap<string, PodUse>>;
  /** Deletes images that no container uses. */
  freeImages(): Promise<void>;
  /** `disruption`: for the sake of others, not for what the pod itself did. */
  evict(pod: Pod, message: string, graceSeconds: number, disruption: boolean): void;
  isGone(pod: Pod): boolean;
  /** The node's conditions changed. */
  changed(): void;
}

/** At once: a second is the least that a container is given. */
const HARD_GRACE_SECONDS = 1;
const INTERVAL_MS = 10_000;
const CLEAN_UP_MS = 30_000;
const CLEAN_UP_POLL_MS = 1000;

export class EvictionManager {
  readonly #deps: EvictionDeps;
  readonly #settings: EvictionSettings;
  #state: PressureState = NO_PRESSURE;

  constructor(settings: EvictionSettings, deps: EvictionDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  get pressures(): ReadonlySet<Pressure> {
    return this.#state.pressures;
  }

  /** Under pressure a node takes no pod that would be the first to go. */
  admit(pod: Pod): Rejection | undefined {
    const { pressures } = this.#state;
    if (pressures.size === 0 || isCritical(pod)) return undefined;
    if (pressures.size === 1 && pressures.has("MemoryPressure")) {
      const taint = { key: "node.kubernetes.io/memory-pressure", effect: "NoSchedule" };
      if (qosClassOf(pod.spec) !== "BestEffort" || toleratesTaint(pod.spec.tolerations, taint)) return undefined;
    }
    return { reason: "Evicted", message: `The node had condition: [${[...pressures].join(" ")}]. ` };
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      let evicted: Pod | undefined;
      try {
        evicted = await this.synchronize();
      } catch (error) {
        if (!signal.aborted) log.error("Eviction manager: failed to synchronize", error);
      }
      if (evicted === undefined) await pause(clock, INTERVAL_MS, signal);
      else await this.#untilGone(evicted, signal);
    }
  }

  async #untilGone(pod: Pod, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    for (let waitedMs = 0; waitedMs < CLEAN_UP_MS && !signal.aborted; waitedMs += CLEAN_UP_POLL_MS) {
      await pause(clock, CLEAN_UP_POLL_MS, signal);
      if (this.#deps.isGone(pod)) return;
    }
    log.info("Eviction manager: timed out waiting for pods to be cleaned up", { pod: podText(pod) });
  }

  /** One look. The pod that was evicted, if one had to be. */
  async synchronize(): Promise<Pod | undefined> {
    const { clock, log, events, metrics } = this.#deps;
    const { thresholds, transitionMs } = this.#settings;
    const observations = await this.#deps.observe();
    const before = [...this.#state.pressures].sort().join();
    this.#state = nextPressure(this.#state, observations, thresholds, clock.monotonic(), transitionMs);
    if ([...this.#state.pressures].sort().join() !== before) this.#deps.changed();
    const overrun = await this.#evictForStorage();
    if (overrun !== undefined) return overrun;
    const { met } = this.#state;
    const urgent = mostUrgent(met);
    if (urgent === undefined) return undefined;
    const { pressure, resource } = MEANINGS[urgent.signal];
    events.event(this.#deps.node, "Warning", "EvictionThresholdMet", `Attempting to reclaim ${resource}`);
    if (pressure === "DiskPressure") {
      await this.#deps.freeImages();
      if (thresholdsMet(await this.#deps.observe(), thresholds, true).length === 0) return undefined;
    }
    const pods = this.#deps.pods();
    if (pods.length === 0) {
      log.info("Eviction manager: eviction thresholds have been met, but no pods are active to evict");
      return undefined;
    }
    const uses = await this.#deps.useOf(pods, urgent.signal);
    for (const pod of rankForEviction(pods, resource, ({ metadata }) => uses.get(metadata.uid))) {
      if (isCritical(pod)) {
        log.info("Eviction manager: cannot evict a critical pod", { pod: podText(pod) });
        continue;
      }
      const message = evictionMessage(pod, resource, uses.get(pod.metadata.uid), met, observations);
      this.#deps.evict(pod, message, this.#graceFor(pod, urgent), true);
      metrics.add(METRICS.evictions, { eviction_signal: urgent.signal });
      return pod;
    }
    log.info("Eviction manager: unable to evict any pods from the node");
    return undefined;
  }

  /** Pods that fill more than they may go whether the disk is full or not. */
  async #evictForStorage(): Promise<Pod | undefined> {
    const limited = this.#deps.pods().filter((pod) => hasStorageLimits(pod) && !isCritical(pod));
    if (limited.length === 0) return undefined;
    const uses = await this.#deps.useOf(limited, "nodefs.available");
    let first: Pod | undefined;
    for (const pod of limited) {
      const use = uses.get(pod.metadata.uid);
      const overrun = use && storageOverrun(pod, use);
      if (overrun === undefined) continue;
      this.#deps.evict(pod, overrun.message, HARD_GRACE_SECONDS, false);
      this.#deps.metrics.add(METRICS.evictions, { eviction_signal: overrun.signal });
      first ??= pod;
    }
    return first;
  }

  #graceFor(pod: Pod, { graceMs }: Threshold): number {
    if (graceMs === 0) return HARD_GRACE_SECONDS;
    const { maxPodGraceSeconds } = this.#settings;
    return Math.min(maxPodGraceSeconds, pod.spec.terminationGracePeriodSeconds ?? maxPodGraceSeconds);
  }
}
