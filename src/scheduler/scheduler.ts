/**
 * kube-scheduler: takes pods without a node one by one, decides where each goes, and writes the decision as a binding. A decision is synchronous and
 * made against the cache, which counts the pod on its node at once; the binding travels meanwhile, and is taken back if it fails.
 *
 *     informers -> queue -> cycle (filter, score) -> assume -> bind
 *                    ^         | fits nowhere
 *                    +- retry -+-> preempt, event, condition on the pod
 *
 * Upstream: pkg/scheduler/{scheduler,schedule_one,eventhandlers}.go
 */
import type { Node, Pod } from "../api/generated/core.v1.ts";
import type { Component } from "../base/component-group.ts";
import type { Client } from "../client/client.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informer, Informers } from "../client/informer/informer.ts";
import { namespaces, nodes, pods } from "../client/resources.ts";
import { keyOf } from "../machinery/meta/object.ts";
import { formatTime } from "../machinery/meta/time.ts";
import { jsonEqual } from "../machinery/patch/json-value.ts";
import { hasReason } from "../machinery/status.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { every } from "../world/time.ts";
import type { Clock, Random } from "../world/world.ts";
import { Cache, sameToPlugins } from "./cache/cache.ts";
import type { PodInfo } from "./cache/pod-info.ts";
import { Cycle } from "./cycle.ts";
import { ADD, DELETE, clusterEvent, nodeChanges, podChanges } from "./events.ts";
import { NO_NODES, fitErrorText, type FitFailure } from "./fit-error.ts";
import { listersOf } from "./listers.ts";
import * as metric from "./metrics.ts";
import { planPreemption, type Preemption } from "./preemption.ts";
import { Profile, type ProfileConfiguration } from "./profile.ts";
import { Nominator } from "./queue/nominator.ts";
import type { QueuedPod } from "./queue/queued-pod.ts";
import { FLUSH_UNSCHEDULABLE_MS, SchedulingQueue, requestsShrank } from "./queue/scheduling-queue.ts";

export interface SchedulerOptions extends ProfileConfiguration {
  readonly podInitialBackoffSeconds?: number;
  readonly podMaxBackoffSeconds?: number;
  readonly podMaxInUnschedulablePodsSeconds?: number;
}

export interface SchedulerDeps {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Of the component `default-scheduler`. */
  readonly events: EventRecorder;
  readonly options?: SchedulerOptions;
}

/** What events the queue hears of. */
const NODE_ADD = clusterEvent("Node", ADD);
const NODE_DELETE = clusterEvent("Node", DELETE);
const POD_ADD = clusterEvent("AssignedPod", ADD);
const POD_DELETE = clusterEvent("AssignedPod", DELETE);

/** Cycles in a row before others get their turn. */
const BATCH = 32;
/** Bindings and status patches under way. More would only queue up elsewhere: the next decision waits instead. */
const CALLS_MAX = 256;
const NOTE_BYTES_MAX = 1024;
const STATUS = { subresource: "status", fieldManager: "kube-scheduler" };

/** Subscribes at once: create it before the informers run. Leader election is the caller's. */
export function createScheduler(deps: SchedulerDeps): Component {
  const scheduler = new Scheduler(deps);
  return { name: "kube-scheduler", run: (signal, ready) => scheduler.run(signal, ready) };
}

class Scheduler {
  readonly #deps: SchedulerDeps;
  readonly #cache = new Cache();
  readonly #nominator = new Nominator();
  readonly #profile: Profile;
  readonly #queue: SchedulingQueue;
  readonly #cycle: Cycle;
  readonly #listers: ReturnType<typeof listersOf>;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #calls = new Set<Promise<void>>();
  #signal: AbortSignal | undefined;
  #turnAsked = false;
  /** Too many calls are under way: the end of one asks for the next turn. */
  #blocked = false;

  constructor(deps: SchedulerDeps) {
    const { clock, informers, metrics, options = {}, random } = deps;
    this.#deps = deps;
    this.#pods = informers.of(pods, { fieldSelector: "status.phase!=Succeeded,status.phase!=Failed" });
    this.#nodes = informers.of(nodes);
    this.#listers = listersOf(informers);
    this.#profile = new Profile({ cache: this.#cache, listers: this.#listers, client: deps.client }, options);
    this.#queue = new SchedulingQueue({
      clock,
      metrics,
      profile: this.#profile,
      podInfo: (pod) => this.#cache.podInfo(pod),
      initialBackoffMs: (options.podInitialBackoffSeconds ?? 1) * 1000,
      maxBackoffMs: (options.podMaxBackoffSeconds ?? 10) * 1000,
      maxUnschedulableMs: (options.podMaxInUnschedulablePodsSeconds ?? 300) * 1000,
      wake: () => this.#askForTurn(),
    });
    this.#cycle = new Cycle(this.#cache, this.#profile, this.#nominator, random);
    this.#subscribe();
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { clock } = this.#deps;
    await Promise.all([this.#pods, this.#nodes, this.#listers].map((source) => source.waitForSync(signal)));
    if (signal.aborted) return;
    this.#signal = signal;
    ready();
    this.#askForTurn();
    await every(clock, FLUSH_UNSCHEDULABLE_MS, signal, () => {
      this.#queue.flushUnschedulable();
      this.#reportSizes();
    });
    this.#queue.close();
    await Promise.all(this.#calls);
  }

  // What happens in the cluster.

  #subscribe(): void {
    this.#nodes.subscribe({
      add: (node) => {
        this.#cache.addNode(node);
        this.#queue.moveAll(NODE_ADD, undefined, node);
      },
      update: (old, node) => {
        this.#cache.updateNode(node);
        for (const change of nodeChanges(old, node)) this.#queue.moveAll(change, old, node);
      },
      delete: (node) => {
        this.#queue.moveAll(NODE_DELETE, node, undefined);
        this.#cache.removeNode(node.metadata.name);
      },
    });
    this.#deps.informers.of(namespaces).subscribe({
      add: () => this.#cache.groups.namespaceLabelsChanged(),
      update: (old, namespace) => {
        if (!jsonEqual(old.metadata.labels, namespace.metadata.labels)) this.#cache.groups.namespaceLabelsChanged();
      },
    });
    this.#pods.subscribe({
      add: (pod) => this.#podAdded(pod),
      update: (old, pod) => this.#podUpdated(old, pod),
      delete: (pod) => this.#podDeleted(pod),
    });
  }

  #podAdded(pod: Pod): void {
    if (isAssigned(pod)) {
      this.#cache.setPod(pod);
      this.#queue.moveAll(POD_ADD, undefined, pod);
    } else if (this.#isOurs(pod)) {
      this.#queue.add(pod);
      this.#noteNomination(pod);
    }
  }

  #podUpdated(old: Pod, pod: Pod): void {
    if (isAssigned(pod)) {
      if (!isAssigned(old)) {
        this.#cache.setPod(pod);
        this.#queue.delete(pod.metadata.uid);
        this.#nominator.delete(pod.metadata.uid);
        this.#queue.moveAll(POD_ADD, undefined, pod);
        return;
      }
      if (sameToPlugins(old, pod)) return void this.#cache.setPod(pod);
      const before = this.#cache.podInfo(old);
      const after = this.#cache.setPod(pod);
      for (const change of podChanges("AssignedPod", old, pod, requestsShrank(before, after))) {
        this.#queue.moveAll(change, old, pod);
      }
      return;
    }
    if (!this.#isOurs(old) || old.metadata.resourceVersion === pod.metadata.resourceVersion) return;
    if (this.#cache.isAssumed(pod)) {
      if (pod.metadata.deletionTimestamp !== undefined) this.#forget(pod);
      return;
    }
    this.#queue.update(old, pod);
    this.#noteNomination(pod);
    if (
      (old.status?.nominatedNodeName ?? "") !== (pod.status?.nominatedNodeName ?? "") &&
      old.status?.nominatedNodeName
    ) {
      this.#queue.moveAll(POD_DELETE, old, undefined);
    }
  }

  #podDeleted(pod: Pod): void {
    const { uid } = pod.metadata;
    this.#nominator.delete(uid);
    this.#queue.delete(uid);
    const was = this.#cache.isPlaced(uid);
    this.#cache.removePod(uid);
    if (was || isAssigned(pod) || pod.status?.nominatedNodeName) this.#queue.moveAll(POD_DELETE, pod, undefined);
  }

  #noteNomination(pod: Pod): void {
    const nodeName = pod.status?.nominatedNodeName;
    if (nodeName !== undefined && nodeName !== "") this.#nominator.nominate(this.#cache.podInfo(pod), nodeName);
  }

  #isOurs({ spec }: Pod): boolean {
    return (spec.schedulerName ?? "default-scheduler") === this.#profile.schedulerName;
  }

  #forget(pod: Pod): void {
    this.#cache.forget(pod.metadata.uid);
    this.#queue.moveAll(POD_DELETE, pod, undefined);
  }

  // The loop.

  #askForTurn(): void {
    if (this.#turnAsked || this.#signal === undefined || this.#signal.aborted) return;
    this.#turnAsked = true;
    this.#deps.clock.soon(() => {
      this.#turnAsked = false;
      if (!this.#signal!.aborted) this.#turn();
    });
  }

  #turn(): void {
    for (let i = 0; i < BATCH; i++) {
      if (this.#calls.size >= CALLS_MAX) {
        this.#blocked = true;
        return;
      }
      const queued = this.#queue.pop();
      if (queued === undefined) return this.#reportSizes();
      this.#schedule(queued);
    }
    this.#askForTurn();
  }

  #schedule(queued: QueuedPod): void {
    const { clock, events, log, metrics } = this.#deps;
    const { pod } = queued.info;
    const start = clock.monotonic();
    if (pod.metadata.deletionTimestamp !== undefined) {
      events.event(pod, "Warning", "FailedScheduling", `skip schedule deleting pod: ${keyOf(pod)}`);
      return this.#queue.done(queued);
    }
    if (this.#cache.isPlaced(pod.metadata.uid)) return this.#queue.done(queued);
    let decision: ReturnType<Cycle["decide"]>;
    try {
      decision = this.#cycle.decide(queued.info);
    } catch (error) {
      log.error("Error selecting node for pod", error, { pod: keyOf(pod) });
      return this.#failed(queued, "SchedulerError", (error as Error).message, new Set(), "", start);
    }
    metrics.observe(metric.algorithmDuration, {}, (clock.monotonic() - start) / 1000);
    if ("node" in decision) {
      log.v(3).info("Attempting to bind pod to node", { pod: keyOf(pod), node: decision.node.name });
      this.#cache.assume(queued.info, decision.node.name);
      this.#nominator.delete(pod.metadata.uid);
      this.#call(this.#bind(queued, queued.info, decision.node.name, start));
      return;
    }
    if (decision.total === 0) {
      return this.#failed(queued, "Unschedulable", NO_NODES, decision.rejectors, "", start);
    }
    const { message, nominate } = this.#postFilter(queued.info, decision);
    this.#failed(queued, "Unschedulable", fitErrorText(decision, message), decision.rejectors, nominate, start);
  }

  /** What can be done for a pod that fits nowhere: its claims have nothing to give back, so others may have to go. */
  #postFilter(info: PodInfo, failure: FitFailure): { readonly message: string; readonly nominate: string | undefined } {
    const { metrics, random } = this.#deps;
    // Upstream's plugin for claims looks for what it noted when it looked at the pod, which it never did: these are its words for that.
    if (failure.refused !== undefined) return { message: "not found", nominate: undefined };
    metrics.add(metric.preemptionAttempts, {});
    const plan = planPreemption(info, failure, {
      cache: this.#cache,
      random,
      verdictOn: (pod, node) => this.#cycle.verdictOn(pod, node),
      disruptionBudgets: (namespace) => this.#listers.disruptionBudgets(namespace),
    });
    if (typeof plan === "string") {
      const eligible = !plan.startsWith("not eligible");
      return { message: `no new claims to deallocate, preemption: ${plan}`, nominate: eligible ? "" : undefined };
    }
    metrics.observe(metric.preemptionVictims, {}, plan.victims.length);
    this.#call(this.#preempt(info, plan));
    return { message: "", nominate: plan.node.name };
  }

  async #bind(queued: QueuedPod, info: PodInfo, nodeName: string, start: number): Promise<void> {
    const { clock, events, log, metrics } = this.#deps;
    const { pod } = info;
    const profile = this.#profile.schedulerName;
    this.#queue.done(queued);
    try {
      await this.#profile.bind(pod, nodeName, this.#signal!);
    } catch (error) {
      if (this.#signal!.aborted) return;
      log.error("Error scheduling pod; retrying", error, { pod: keyOf(pod) });
      this.#forget(pod);
      const message = `running Bind plugin "DefaultBinder": ${(error as Error).message}`;
      this.#failed(queued, "SchedulerError", message, new Set(), "", start);
      return;
    }
    events.event(pod, "Normal", "Scheduled", `Successfully assigned ${keyOf(pod)} to ${nodeName}`);
    const seconds = (clock.monotonic() - start) / 1000;
    metrics.add(metric.scheduleAttempts, { result: "scheduled", profile });
    metrics.observe(metric.attemptDuration, { result: "scheduled", profile }, seconds);
    metrics.observe(metric.schedulingAttempts, {}, queued.attempts);
    const attempts = queued.attempts >= 15 ? "15+" : String(queued.attempts);
    metrics.observe(metric.schedulingSli, { attempts }, (clock.now() - queued.addedAt) / 1000);
    if (queued.flushed) metrics.add(metric.scheduledAfterFlush, {});
  }

  /** Back into the queue, with an event and a condition that say why. `nominate` undefined leaves a nomination as it is. */
  #failed(
    queued: QueuedPod,
    reason: "Unschedulable" | "SchedulerError",
    message: string,
    rejectors: ReadonlySet<string>,
    nominate: string | undefined,
    start: number,
  ): void {
    const { clock, events, metrics } = this.#deps;
    const labels = {
      result: reason === "Unschedulable" ? "unschedulable" : "error",
      profile: this.#profile.schedulerName,
    };
    metrics.add(metric.scheduleAttempts, labels);
    metrics.observe(metric.attemptDuration, labels, (clock.monotonic() - start) / 1000);
    const { pod } = queued.info;
    const fresh = this.#pods.get(keyOf(pod));
    if (fresh !== undefined && fresh.metadata.uid !== pod.metadata.uid) return this.#queue.done(queued);
    if (fresh === undefined || isAssigned(fresh)) this.#queue.done(queued);
    else this.#queue.requeue(queued, fresh, rejectors);
    if (nominate !== undefined) this.#nominator.nominate(queued.info, nominate);
    events.event(pod, "Warning", "FailedScheduling", shortened(message));
    if (fresh !== undefined) this.#call(this.#reportFailure(fresh, reason, message, nominate));
  }

  async #reportFailure(pod: Pod, reason: string, message: string, nominate: string | undefined): Promise<void> {
    const { client, clock, log } = this.#deps;
    const old = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
    const observedGeneration = pod.metadata.generation;
    const sameCondition =
      old?.status === "False" &&
      old.reason === reason &&
      old.message === message &&
      old.observedGeneration === observedGeneration;
    const sameNomination = nominate === undefined || nominate === (pod.status?.nominatedNodeName ?? "");
    if (sameCondition && sameNomination) return;
    const condition = {
      type: "PodScheduled",
      status: "False",
      reason,
      message,
      ...(observedGeneration !== undefined && { observedGeneration }),
      lastProbeTime: null,
      lastTransitionTime: old?.status === "False" ? old.lastTransitionTime : formatTime(clock.now()),
    };
    const status = {
      ...(!sameCondition && { conditions: [condition] }),
      ...(!sameNomination && { nominatedNodeName: nominate === "" ? null : nominate }),
    };
    const { namespace = "", name } = pod.metadata;
    try {
      await client.patch(pods, { namespace, name }, "application/strategic-merge-patch+json", { status }, STATUS);
    } catch (error) {
      if (!hasReason(error, "NotFound")) log.error("Error updating pod", error, { pod: keyOf(pod) });
    }
  }

  /** Evicts the victims. The pod comes back to the queue when they are gone. */
  async #preempt({ pod: preemptor, priority }: PodInfo, { node, victims }: Preemption): Promise<void> {
    const { client, clock, events, log } = this.#deps;
    const outranked = [...this.#nominator.on(node.name)].filter((other) => other.priority < priority);
    for (const other of outranked) this.#nominator.delete(other.pod.metadata.uid);
    for (const { pod: victim } of victims) {
      const { namespace = "", name, deletionTimestamp } = victim.metadata;
      if (deletionTimestamp !== undefined) continue;
      const condition = {
        type: "DisruptionTarget",
        status: "True",
        reason: "PreemptionByScheduler",
        message: `${this.#profile.schedulerName}: preempting to accommodate a higher priority pod`,
        lastTransitionTime: formatTime(clock.now()),
      };
      try {
        const patch = { status: { conditions: [condition] } };
        await client.patch(pods, { namespace, name }, "application/strategic-merge-patch+json", patch, STATUS);
        await client.delete(pods, { namespace, name });
        events.event(victim, "Normal", "Preempted", `Preempted by pod ${preemptor.metadata.uid} on node ${node.name}`);
      } catch (error) {
        if (hasReason(error, "NotFound")) continue;
        log.error("Error occurred during async preemption", error, { pod: keyOf(preemptor), victim: keyOf(victim) });
        this.#queue.activate([preemptor.metadata.uid]);
        return;
      }
    }
  }

  #call(call: Promise<void>): void {
    this.#calls.add(call);
    void call.finally(() => {
      this.#calls.delete(call);
      if (!this.#blocked) return;
      this.#blocked = false;
      this.#askForTurn();
    });
  }

  #reportSizes(): void {
    const { metrics } = this.#deps;
    this.#queue.reportSizes();
    metrics.set(metric.cacheSize, { type: "nodes" }, this.#cache.nodes.length);
    metrics.set(metric.cacheSize, { type: "pods" }, this.#cache.podCount);
    metrics.set(metric.cacheSize, { type: "assumed_pods" }, this.#cache.assumedCount);
  }
}

const isAssigned = ({ spec }: Pod): boolean => spec.nodeName !== undefined && spec.nodeName !== "";

function shortened(note: string): string {
  if (Buffer.byteLength(note) <= NOTE_BYTES_MAX) return note;
  return `${Buffer.from(note)
    .subarray(0, NOTE_BYTES_MAX - 4)
    .toString("utf8")
    .replace(/\ufffd+$/, "")} ...`;
}
