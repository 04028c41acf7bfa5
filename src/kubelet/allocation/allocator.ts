/**
 * Grants pods their resources: when they are admitted, and again when a resize asks for other ones. What doesn't fit waits and is tried again
 * whenever something is given back. Upstream: pkg/kubelet/allocation/allocation_manager.go
 */
import { qosClassOf } from "../../api/core/v1/pod/resources.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { World } from "../../world/world.ts";
import type { Rejection } from "../admission/admit.ts";
import { podText } from "../format.ts";
import { METRICS } from "../metrics.ts";
import { isTerminalPhase } from "../pod.ts";
import { podReference } from "../runtime/context.ts";
import type { ResourceCheckpoint } from "./checkpoint.ts";
import type { ResizeConditions } from "./conditions.ts";
import { resizePending, resizeStarted } from "./messages.ts";
import { allocationOf, asksForMore, COMPUTE, heldRequests, requestedResizes, sameRequirements, withAllocation } from "./resources.ts"; // prettier-ignore

export type RetryTrigger =
  | "pod_resized"
  | "pod_updated"
  | "pods_added"
  | "pods_removed"
  | "pod_terminated"
  | "periodic_retry";

export interface AllocatorDeps {
  readonly clock: World["clock"];
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  readonly conditions: ResizeConditions;
  readonly checkpoint: ResourceCheckpoint;
  podOf(uid: string): Pod | undefined;
  /** Pods that hold resources, as their specs have them. */
  activePods(): readonly Pod[];
  admit(pod: Pod, others: readonly Pod[]): Rejection | undefined;
  wake(uid: string): void;
}

const RETRY_MS = 180_000;

export class Allocator {
  readonly #deps: AllocatorDeps;
  /** Uids, in the order of trying. */
  #pending: readonly string[] = [];
  #timer: Disposable | undefined;

  constructor(deps: AllocatorDeps) {
    this.#deps = deps;
  }

  /** The pod with the resources that it was granted, which its spec may be ahead of. */
  allocated(pod: Pod): Pod {
    return withAllocation(pod, this.#deps.checkpoint.get(pod.metadata.uid));
  }

  /** A pod comes to the node, or is found there after a restart: then what it was granted before is what counts. */
  add(pod: Pod): Rejection | undefined {
    const allocated = this.allocated(pod);
    const rejection = this.#admit(allocated);
    if (rejection === undefined) this.#grant(allocated);
    return rejection;
  }

  /** All that came together were admitted: now those may be resized that were asked to before. */
  added(pods: readonly Pod[]): void {
    for (const pod of pods) this.#deps.conditions.backfill(pod);
    const waiting = pods.filter((pod) => this.allocated(pod) !== pod);
    for (const { metadata } of waiting) this.#push(metadata.uid);
    if (waiting.length > 0) this.retry("pods_added");
  }

  updated(old: Pod, pod: Pod): void {
    const resizes = requestedResizes(old, pod);
    for (const { resource, requirement, operation } of resizes)
      this.#deps.metrics.add(METRICS.requestedResizes, { resource, requirement, operation });
    if (resizes.length === 0 && sameRequirements(old.spec.resources, pod.spec.resources)) return;
    if (this.allocated(pod) === pod) return this.#deps.conditions.clearPending(pod.metadata.uid);
    this.#push(pod.metadata.uid);
    this.retry("pod_updated");
  }

  /** Only the status of a pod changed: room that it gave back may be what another waits for. */
  reconciled(old: Pod, pod: Pod): void {
    if (this.#pending.length === 0) return;
    if (isTerminalPhase(pod.status?.phase) && !isTerminalPhase(old.status?.phase)) return this.retry("pod_terminated");
    const allocated = this.allocated(pod);
    const before = heldRequests(allocated, old.status);
    const now = heldRequests(allocated, pod.status);
    if (COMPUTE.some((name) => now[name] < before[name])) this.retry("pod_resized");
  }

  removed(uid: string): void {
    this.#deps.checkpoint.remove(uid);
    this.#deps.conditions.forget(uid);
    if (this.#pending.length > 0) this.retry("pods_removed");
  }

  retry(trigger: RetryTrigger): void {
    const { conditions, podOf, wake, log, metrics } = this.#deps;
    const pending: string[] = [];
    for (const uid of this.#pending) {
      const pod = podOf(uid);
      if (pod === undefined) continue;
      const before = JSON.stringify(conditions.of(uid));
      const wasDeferred = conditions.isDeferred(uid);
      const granted = this.#resize(pod);
      if (conditions.isDeferred(uid)) pending.push(uid);
      else if (!conditions.isInfeasible(uid)) {
        log.v(2).info("Pod resize successfully allocated", { pod: podText(pod), trigger });
        if (wasDeferred) metrics.add(METRICS.deferredAcceptedResizes, { retry_trigger: trigger });
      }
      if (granted || JSON.stringify(conditions.of(uid)) !== before) wake(uid);
    }
    this.#pending = pending;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (pending.length > 0) this.#timer = this.#deps.clock.after(RETRY_MS, () => this.retry("periodic_retry"));
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
  }

  /** True where other resources were granted. */
  #resize(pod: Pod): boolean {
    const { conditions, events } = this.#deps;
    const { uid, generation = 0 } = pod.metadata;
    if (this.allocated(pod) === pod) {
      conditions.clearPending(uid);
      return false;
    }
    const rejection = this.#admit(pod);
    if (rejection === undefined) {
      this.#grant(pod);
      conditions.clearPending(uid);
      // A resize before this one may have failed: this is a new one.
      conditions.clearInProgress(uid);
      conditions.setInProgress(uid, generation);
      events.event(podReference(pod), "Normal", "ResizeStarted", resizeStarted(pod, generation));
      return true;
    }
    const { reason, message } = rejection;
    if (conditions.setPending(uid, reason, message, generation)) {
      const event = reason === "Infeasible" ? "ResizeInfeasible" : "ResizeDeferred";
      events.event(podReference(pod), "Warning", event, resizePending(pod, generation, reason, message));
    }
    return false;
  }

  #admit(pod: Pod): Rejection | undefined {
    const others = this.#deps.activePods().filter(({ metadata }) => metadata.uid !== pod.metadata.uid);
    return this.#deps.admit(
      pod,
      others.map((other) => this.allocated(other)),
    );
  }

  #grant(pod: Pod): void {
    this.#deps.checkpoint.set(pod.metadata.uid, allocationOf(pod));
  }

  #push(uid: string): void {
    if (this.#pending.includes(uid)) return;
    const pods = [...this.#pending, uid].flatMap((each) => this.#deps.podOf(each) ?? []);
    const ranked = pods.map((pod) => ({
      uid: pod.metadata.uid,
      // Those that ask for no more always succeed, and may make room for the others.
      more: asksForMore(pod, this.allocated(pod)) ? 1 : 0,
      priority: pod.spec.priority ?? 0,
      guaranteed: qosClassOf(pod.spec) === "Guaranteed" ? 0 : 1,
      since: this.#deps.conditions.pending(pod.metadata.uid)?.lastTransitionTime,
    }));
    this.#pending = ranked
      .sort(
        (a, b) =>
          a.more - b.more || b.priority - a.priority || a.guaranteed - b.guaranteed || earlierFirst(a.since, b.since),
      )
      .map((each) => each.uid);
  }
}

/** One that hasn't waited yet comes last. */
function earlierFirst(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
  return a < b ? -1 : 1;
}
