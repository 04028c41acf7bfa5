/** How far the resizes of pods have come, as their conditions say it. Upstream: pkg/kubelet/status/status_manager.go */
import type { Pod, PodCondition } from "../../api/generated/core.v1.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { World } from "../../world/world.ts";
import { METRICS } from "../metrics.ts";

const PENDING = "PodResizePending";
const IN_PROGRESS = "PodResizeInProgress";
const TYPES = [PENDING, IN_PROGRESS] as const;
type ResizeType = (typeof TYPES)[number];

export const isResizeCondition = (type: string): boolean => (TYPES as readonly string[]).includes(type);

export class ResizeConditions {
  readonly #clock: World["clock"];
  readonly #metrics: Metrics;
  readonly #pods = new Map<string, Partial<Record<ResizeType, PodCondition>>>();
  readonly #pendingReasons = new Set<string>();

  constructor(clock: World["clock"], metrics: Metrics) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** Pending before in progress. */
  of(uid: string): readonly PodCondition[] {
    const conditions = this.#pods.get(uid);
    return TYPES.flatMap((type) => conditions?.[type] ?? []);
  }
  pending(uid: string): PodCondition | undefined {
    return this.#pods.get(uid)?.[PENDING];
  }
  isDeferred(uid: string): boolean {
    return this.pending(uid)?.reason === "Deferred";
  }
  isInfeasible(uid: string): boolean {
    return this.pending(uid)?.reason === "Infeasible";
  }

  /** All that isn't infeasible is deferred. True where that is news. */
  setPending(uid: string, why: string, message: string, generation: number): boolean {
    const reason = why === "Infeasible" ? why : "Deferred";
    const before = this.pending(uid);
    this.#set(uid, PENDING, reason, message, generation);
    return before === undefined || before.reason !== reason || before.observedGeneration !== generation;
  }

  /** Keeps the generation, and without a new reason the reason, of a resize that is under way already. */
  setInProgress(
    uid: string,
    generation: number,
    failure?: string,
  ): { readonly generation: number; readonly changed: boolean } {
    const before = this.#pods.get(uid)?.[IN_PROGRESS];
    const reason = failure === undefined ? (before?.reason ?? "") : "Error";
    const message = failure ?? before?.message ?? "";
    const observed = before?.observedGeneration ?? generation;
    const changed = before === undefined || (before.reason ?? "") !== reason || (before.message ?? "") !== message;
    if (changed) this.#set(uid, IN_PROGRESS, reason, message, observed);
    return { generation: observed, changed };
  }

  clearPending(uid: string): void {
    this.#clear(uid, PENDING);
  }
  /** The generation that the resize was for, where one was under way. */
  clearInProgress(uid: string): number | undefined {
    return this.#clear(uid, IN_PROGRESS)?.observedGeneration;
  }

  /** After a restart: what the API server was told. */
  backfill(pod: Pod): void {
    for (const { type, reason = "", message = "", observedGeneration = 0 } of pod.status?.conditions ?? [])
      if (isResizeCondition(type)) this.#set(pod.metadata.uid, type as ResizeType, reason, message, observedGeneration);
  }

  forget(uid: string): void {
    if (this.#pods.delete(uid)) this.#count();
  }

  #set(uid: string, type: ResizeType, reason: string, message: string, observedGeneration: number): void {
    const conditions = this.#pods.get(uid) ?? {};
    const before = conditions[type];
    const now = formatTime(this.#clock.now());
    conditions[type] = {
      type,
      ...(observedGeneration !== 0 && { observedGeneration }),
      status: "True",
      lastProbeTime: now,
      lastTransitionTime: before !== undefined && (before.reason ?? "") === reason ? before.lastTransitionTime! : now,
      ...(reason !== "" && { reason }),
      ...(message !== "" && { message }),
    };
    this.#pods.set(uid, conditions);
    this.#count();
  }

  #clear(uid: string, type: ResizeType): PodCondition | undefined {
    const conditions = this.#pods.get(uid);
    const before = conditions?.[type];
    if (before === undefined) return undefined;
    delete conditions![type];
    this.#count();
    return before;
  }

  #count(): void {
    const pending = new Map<string, number>();
    for (const reason of this.#pendingReasons) pending.set(reason, 0);
    let inProgress = 0;
    for (const conditions of this.#pods.values()) {
      const reason = conditions[PENDING]?.reason?.toLowerCase();
      if (reason !== undefined) pending.set(reason, (pending.get(reason) ?? 0) + 1);
      if (conditions[IN_PROGRESS] !== undefined) inProgress++;
    }
    for (const [reason, count] of pending) {
      this.#pendingReasons.add(reason);
      this.#metrics.set(METRICS.pendingResizes, { reason }, count);
    }
    this.#metrics.set(METRICS.inProgressResizes, {}, inProgress);
  }
}
