/**
 * Pods that wait for a node: those to be tried now (active), those that failed recently (backoff), and those that wait for a change in the cluster
 * (unschedulable). On an event, the plugins that rejected a pod decide whether it is worth another attempt.
 *
 * A cycle never awaits anything, so no event can occur between a pod's failure and its return to the queue: upstream's list of in-flight events is
 * not needed here.
 *
 * Upstream: pkg/scheduler/backend/queue/scheduling_queue.go
 */
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import { Heap } from "../../base/heap.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { Clock } from "../../world/world.ts";
import type { PodInfo } from "../cache/pod-info.ts";
import { FORCE_ACTIVATE, UNSCHEDULABLE_TIMEOUT, clusterEvent, podChanges, ADD, type ClusterEvent } from "../events.ts";
import { pendingPods, queueIncomingPods } from "../metrics.ts";
import type { Profile } from "../profile.ts";
import type { QueuedPod } from "./queued-pod.ts";

export interface QueueOptions {
  readonly clock: Clock;
  readonly profile: Profile;
  readonly metrics?: Metrics;
  readonly podInfo: (pod: Pod) => PodInfo;
  readonly initialBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** How long a pod waits for events before it is tried anyhow. */
  readonly maxUnschedulableMs?: number;
  /** Called whenever there may be something to pop. */
  readonly wake?: () => void;
}

interface Entry {
  readonly queued: QueuedPod;
  readonly ticket: number;
}

const FLUSH_BACKOFF_MS = 1000;
export const FLUSH_UNSCHEDULABLE_MS = 30_000;
/** Stands for no plugin at all. */
const NOBODY = "";
const ADDED = clusterEvent("UnschedulablePod", ADD);

export class SchedulingQueue {
  readonly #options: QueueOptions;
  readonly #initialBackoffMs: number;
  readonly #maxBackoffMs: number;
  readonly #pods = new Map<string, QueuedPod>();
  readonly #unschedulable = new Set<QueuedPod>();
  readonly #gatedPods = new Set<QueuedPod>();
  /** The same pods by the plugins that refused them: an event looks only at those it may help. */
  readonly #byRejector = new Map<string, Set<QueuedPod>>();
  readonly #active: Heap<Entry>;
  readonly #backoff: Heap<Entry>;
  readonly #errorBackoff: Heap<Entry>;
  readonly #sizes = { active: 0, backoff: 0, "error backoff": 0 };
  #flush: Disposable | undefined;
  #tickets = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#initialBackoffMs = options.initialBackoffMs ?? 1000;
    this.#maxBackoffMs = options.maxBackoffMs ?? 10_000;
    const before = (a: Entry, b: Entry): boolean => {
      if (options.profile.before(a.queued, b.queued)) return true;
      return !options.profile.before(b.queued, a.queued) && a.ticket < b.ticket;
    };
    const earlier = (a: Entry, b: Entry): boolean =>
      a.queued.backoffUntil < b.queued.backoffUntil ||
      (a.queued.backoffUntil === b.queued.backoffUntil && before(a, b));
    this.#active = new Heap(before);
    this.#backoff = new Heap(earlier);
    this.#errorBackoff = new Heap(earlier);
  }

  /** Pods by where they wait, as `scheduler_pending_pods` has them. */
  get sizes(): Readonly<Record<"active" | "backoff" | "unschedulable" | "gated", number>> {
    const gated = this.#gatedPods.size;
    const { active, backoff, "error backoff": errors } = this.#sizes;
    return { active, backoff: backoff + errors, unschedulable: this.#unschedulable.size - gated, gated };
  }

  has(uid: string): boolean {
    return this.#pods.has(uid);
  }

  add(pod: Pod): void {
    const now = this.#options.clock.now();
    const queued: QueuedPod = {
      info: this.#options.podInfo(pod),
      timestamp: now,
      attempts: 0,
      addedAt: now,
      backoffUntil: 0,
      unschedulableCount: 0,
      consecutiveErrors: 0,
      rejectors: new Set(),
      gate: undefined,
      place: "gone",
      ticket: 0,
      flushed: false,
    };
    this.#pods.set(pod.metadata.uid, queued);
    this.#activate(queued, ADDED.label);
  }

  /** A newer state of a pod that has no node yet. */
  update(old: Pod, pod: Pod): void {
    const queued = this.#pods.get(pod.metadata.uid);
    if (queued === undefined) return this.add(pod);
    const before = queued.info;
    queued.info = this.#options.podInfo(pod);
    if (queued.place !== "unschedulable") return;
    for (const event of podChanges("UnschedulablePod", old, pod, requestsShrank(before, queued.info))) {
      if (!this.#worthIt(queued, event, old, pod)) continue;
      this.#retry(queued, event);
      return;
    }
  }

  delete(uid: string): void {
    const queued = this.#pods.get(uid);
    if (queued === undefined) return;
    this.#move(queued, "gone");
    this.#pods.delete(uid);
  }

  /** The next pod to schedule. With nothing else to do, one that is still backing off. */
  pop(): QueuedPod | undefined {
    const queued = this.#take(this.#active, "active") ?? this.#take(this.#backoff, "backoff");
    if (queued === undefined) return undefined;
    this.#move(queued, "being scheduled");
    queued.attempts++;
    queued.backoffUntil = 0;
    return queued;
  }

  /** The pod has a node, or nobody wants one for it any more. */
  done({ info }: QueuedPod): void {
    this.delete(info.pod.metadata.uid);
  }

  /** A pod that failed: refused by plugins, it waits for events; failed by an error, it is tried again after a while. */
  requeue(queued: QueuedPod, pod: Pod, rejectors: ReadonlySet<string>): void {
    const { clock } = this.#options;
    if (queued.info.pod !== pod) queued.info = this.#options.podInfo(pod);
    this.#pods.set(pod.metadata.uid, queued);
    queued.timestamp = clock.now();
    queued.rejectors = rejectors;
    queued.flushed = false;
    if (rejectors.size === 0) queued.consecutiveErrors++;
    else {
      queued.unschedulableCount++;
      queued.consecutiveErrors = 0;
    }
    queued.backoffUntil = this.#backoffEnd(queued);
    if (rejectors.size > 0) {
      this.#move(queued, "unschedulable");
      return;
    }
    this.#move(queued, "error backoff");
    this.#incoming("backoff", "ScheduleAttemptFailure");
    this.#scheduleFlush();
  }

  /** Something changed: pods for which it may matter are tried again. `old` is undefined for what was added, `object` for what is gone. */
  moveAll(event: ClusterEvent, old?: Node | Pod, object?: Node | Pod): void {
    if (this.#unschedulable.size === 0) return;
    for (const queued of this.#waitingFor(event)) {
      if (this.#worthIt(queued, event, old, object)) this.#retry(queued, event);
    }
  }

  /** Tries pods at once, whatever refused them and however long they should still wait. */
  activate(uids: Iterable<string>): void {
    for (const uid of uids) {
      const queued = this.#pods.get(uid);
      if (queued === undefined || queued.place === "active" || queued.place === "being scheduled") continue;
      this.#activate(queued, FORCE_ACTIVATE.label);
    }
  }

  /** Pods that have waited for events for too long. Call it every `FLUSH_UNSCHEDULABLE_MS`. */
  flushUnschedulable(): void {
    const { clock, maxUnschedulableMs = 300_000 } = this.#options;
    const waiting = [...this.#unschedulable];
    for (const queued of waiting) {
      if (clock.now() - queued.timestamp <= maxUnschedulableMs) continue;
      queued.flushed = true;
      this.#retry(queued, UNSCHEDULABLE_TIMEOUT);
    }
  }

  close(): void {
    this.#flush?.[Symbol.dispose]();
    this.#flush = undefined;
  }

  reportSizes(): void {
    const { metrics } = this.#options;
    for (const [queue, size] of Object.entries(this.sizes)) metrics?.set(pendingPods, { queue }, size);
  }

  /** Pods that were refused by a plugin that wants to hear of the event; a copy, since a retry takes pods out and may put them back. */
  #waitingFor(event: ClusterEvent): Iterable<QueuedPod> {
    const waiting = new Set<QueuedPod>(this.#byRejector.get(NOBODY));
    for (const { plugin } of this.#options.profile.retriesOn(event)) {
      for (const queued of this.#byRejector.get(plugin) ?? []) waiting.add(queued);
    }
    return waiting;
  }

  #worthIt(
    queued: QueuedPod,
    event: ClusterEvent,
    old: Node | Pod | undefined,
    object: Node | Pod | undefined,
  ): boolean {
    if (event.resource === "*") return true;
    const { profile } = this.#options;
    const gated = queued.gate !== undefined;
    if (!gated && queued.rejectors.size === 0) return true;
    for (const { plugin, retry } of profile.retriesOn(event)) {
      if (gated ? plugin !== queued.gate : !queued.rejectors.has(plugin)) continue;
      if (retry.hint === undefined || retry.hint(queued.info.pod, old, object) === "queue") return true;
    }
    return false;
  }

  #retry(queued: QueuedPod, event: ClusterEvent): void {
    if (queued.backoffUntil <= this.#options.clock.now()) return this.#activate(queued, event.label);
    if (this.#gated(queued)) return;
    this.#move(queued, "backoff");
    this.#incoming("backoff", event.label);
    this.#scheduleFlush();
    this.#options.wake?.();
  }

  #activate(queued: QueuedPod, event: string): void {
    if (this.#gated(queued)) return;
    this.#move(queued, "active");
    this.#incoming("active", event);
    this.#options.wake?.();
  }

  /** Whether a plugin keeps the pod out of the queue; then it waits for that plugin's events. */
  #gated(queued: QueuedPod): boolean {
    const gate = this.#options.profile.gateOf(queued.info.pod);
    queued.gate = gate;
    if (gate === undefined) return false;
    queued.rejectors = new Set([gate]);
    if (queued.place !== "unschedulable") this.#incoming("unschedulable", ADDED.label);
    this.#move(queued, "unschedulable");
    return true;
  }

  #move(queued: QueuedPod, place: QueuedPod["place"]): void {
    if (queued.place === "unschedulable") {
      this.#unschedulable.delete(queued);
      this.#gatedPods.delete(queued);
      for (const pods of this.#byRejector.values()) pods.delete(queued);
    } else if (isSized(queued.place)) this.#sizes[queued.place]--;
    queued.place = place;
    queued.ticket = ++this.#tickets;
    const entry = { queued, ticket: queued.ticket };
    if (place === "unschedulable") {
      this.#unschedulable.add(queued);
      if (queued.gate !== undefined) this.#gatedPods.add(queued);
      for (const rejector of queued.rejectors.size === 0 ? [NOBODY] : queued.rejectors) {
        const pods = this.#byRejector.get(rejector);
        if (pods === undefined) this.#byRejector.set(rejector, new Set([queued]));
        else pods.add(queued);
      }
    } else if (place === "active") this.#active.push(entry);
    else if (place === "backoff") this.#backoff.push(entry);
    else if (place === "error backoff") this.#errorBackoff.push(entry);
    if (isSized(place)) this.#sizes[place]++;
  }

  #take(heap: Heap<Entry>, place: QueuedPod["place"], until = Infinity): QueuedPod | undefined {
    for (let top = heap.peek(); top !== undefined; top = heap.peek()) {
      const { queued, ticket } = top;
      const alive = queued.ticket === ticket && queued.place === place;
      if (alive && queued.backoffUntil > until) return undefined;
      heap.pop();
      if (alive) return queued;
    }
    return undefined;
  }

  /** Cut to whole seconds, so that pods of one second are tried in the order of their priority. */
  #backoffEnd({ timestamp, unschedulableCount, consecutiveErrors }: QueuedPod): number {
    const failures = consecutiveErrors > 0 ? consecutiveErrors : unschedulableCount;
    if (failures === 0 || this.#maxBackoffMs === 0) return 0;
    const wait = Math.min(this.#maxBackoffMs, this.#initialBackoffMs * 2 ** (failures - 1));
    return Math.floor((timestamp + wait) / 1000) * 1000;
  }

  #scheduleFlush(): void {
    if (this.#flush !== undefined) return;
    const { clock } = this.#options;
    const toNextSecond = FLUSH_BACKOFF_MS - (clock.now() % FLUSH_BACKOFF_MS);
    this.#flush = clock.after(toNextSecond, () => {
      this.#flush = undefined;
      const now = clock.now();
      for (const [heap, place] of [
        [this.#backoff, "backoff"],
        [this.#errorBackoff, "error backoff"],
      ] as const) {
        for (let queued = this.#take(heap, place, now); queued !== undefined; queued = this.#take(heap, place, now)) {
          this.#move(queued, "active");
          this.#incoming("active", "BackoffComplete");
        }
      }
      if (this.#sizes.backoff + this.#sizes["error backoff"] > 0) this.#scheduleFlush();
      this.#options.wake?.();
    });
  }

  #incoming(queue: string, event: string): void {
    this.#options.metrics?.add(queueIncomingPods, { queue, event });
  }
}

const isSized = (place: QueuedPod["place"]): place is "active" | "backoff" | "error backoff" =>
  place === "active" || place === "backoff" || place === "error backoff";

/** Whether any request got smaller. */
export function requestsShrank({ requests: old }: PodInfo, { requests }: PodInfo): boolean {
  if (old === requests) return false;
  if (requests.cpu < old.cpu || requests.memory < old.memory || requests.ephemeralStorage < old.ephemeralStorage)
    return true;
  return [...old.scalars].some(([name, amount]) => (requests.scalars.get(name) ?? 0) < amount);
}
