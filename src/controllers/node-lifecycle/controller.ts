/**
 * Monitors the heartbeats of nodes. A node that stops sending them becomes Unknown and is tainted, and its pods are marked not ready. When too many
 * nodes stop at once the network is the more likely cause, and taints are added slowly or not at all.
 * Upstream: pkg/controller/nodelifecycle
 */
import { conditionOf } from "../../machinery/meta/conditions.ts";
import type { Lease } from "../../api/generated/coordination.v1.ts";
import type { Node } from "../../api/generated/core.v1.ts";
import { type ControllerContext, defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { leases, nodes, pods } from "../../client/resources.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { hasReason } from "../../machinery/status.ts";
import { every, sleep } from "../../world/time.ts";
import { changeTaints, hasTaint } from "../shared/node-taints.ts";
import {
  type Rates,
  type ZoneState,
  noExecuteFor,
  notReadyTaint,
  planLabels,
  planNoScheduleTaints,
  rateOf,
  readiness,
  silentConditions,
  unreachableTaint,
  zoneOf,
  zoneState,
} from "./plan.ts";

const LEASE_NAMESPACE = "kube-node-lease";
const EXCLUDED = "node.kubernetes.io/exclude-disruption";
const STATUS_TRIES = 5;
const STATUS_RETRY_MS = 20;

export const nodeLifecycleController = defineController({
  name: "node-lifecycle-controller",
  aliases: ["nodelifecycle"],
  eventsAs: "node-controller",
  workers: { default: 8 },
  triggers: [itself(nodes)],
  reads: [leases, pods],
  create(context) {
    const lifecycle = new Lifecycle(context);
    return {
      async reconcile(name, signal, client) {
        const node = context.informers.of(nodes).get(name);
        if (node === undefined) return done;
        await changeTaints(
          { ...context, client },
          node,
          planNoScheduleTaints(node, formatTime(context.clock.now())),
          signal,
        );
        const labels = planLabels(node);
        if (Object.keys(labels).length > 0)
          await client.patch(
            nodes,
            { name },
            "application/strategic-merge-patch+json",
            { metadata: { labels } },
            { signal },
          );
        return done;
      },
      background: (signal) => every(context.clock, lifecycle.monitorPeriodMs, signal, () => lifecycle.monitor(signal)),
    };
  },
});

interface Health {
  /** When we last saw a sign of life, by our own clock. */
  probeAt: number;
  heartbeat: string | undefined;
  renewed: string | undefined;
  ready: string | undefined;
}

class Lifecycle {
  readonly monitorPeriodMs: number;
  readonly #context: ControllerContext;
  readonly #graceMs: number;
  readonly #startupGraceMs: number;
  readonly #unhealthyThreshold: number;
  readonly #rates: Rates;
  readonly #health = new Map<string, Health>();
  /** Nodes whose NoExecute taint is due, by zone, in order; and when the zone may taint its next one. */
  readonly #queues = new Map<string, Set<string>>();
  readonly #nextAt = new Map<string, number>();
  /** Nodes whose pods still have to be marked. */
  readonly #unmarked = new Set<string>();
  #allDown = false;

  constructor(context: ControllerContext) {
    const option = (name: string, standard: number) =>
      typeof context.options[name] === "number" ? context.options[name] : standard;
    this.#context = context;
    this.monitorPeriodMs = option("node-monitor-period", 5_000);
    this.#graceMs = option("node-monitor-grace-period", 50_000);
    this.#startupGraceMs = option("node-startup-grace-period", 60_000);
    this.#unhealthyThreshold = option("unhealthy-zone-threshold", 0.55);
    this.#rates = {
      primary: option("node-eviction-rate", 0.1),
      secondary: option("secondary-node-eviction-rate", 0.01),
      largeCluster: option("large-cluster-size-threshold", 50),
    };
    context.informers
      .of(pods)
      .addIndex("spec.nodeName", ({ spec }) => (spec.nodeName === undefined ? [] : [spec.nodeName]));
  }

  async monitor(signal: AbortSignal): Promise<void> {
    const { informers, events, log } = this.#context;
    const all = informers.of(nodes).list();
    const names = new Set(all.map(({ metadata }) => metadata.name));
    for (const name of this.#health.keys())
      if (!names.has(name)) {
        this.#health.delete(name);
        this.#unmarked.delete(name);
        for (const queue of this.#queues.values()) queue.delete(name);
        events.event(
          nodeReference(name),
          "Normal",
          "RemovingNode",
          `Node ${name} event: Removing Node ${name} from Controller`,
        );
      }
    const zones = new Map<string, { ready: number; notReady: number }>();
    await Promise.all(
      all.map(async (cached) => {
        try {
          const ready = await this.#check(cached, signal);
          if (cached.metadata.labels?.[EXCLUDED] !== undefined) return;
          const zone = zones.get(zoneOf(cached)) ?? { ready: 0, notReady: 0 };
          zones.set(zoneOf(cached), zone);
          if (ready === "True") zone.ready++;
          else zone.notReady++;
        } catch (error) {
          if (!signal.aborted) log.error("Failed to monitor node health", error, { node: cached.metadata.name });
        }
      }),
    );
    await this.#disrupt(zones, all, signal);
    await this.#taint(zones, signal);
  }

  /** Looks at one node; the answer is its readiness, now. */
  async #check(cached: Node, signal: AbortSignal): Promise<string> {
    const { informers, clock, events } = this.#context;
    const { name, uid } = cached.metadata;
    const known = this.#health.get(name);
    const health = known ?? this.#enroll(cached);
    if (known === undefined) {
      events.event(
        nodeReference(name, uid),
        "Normal",
        "RegisteredNode",
        `Node ${name} event: Registered Node ${name} in Controller`,
      );
      await changeTaints(
        this.#context,
        cached,
        readiness(cached) === "True" ? noExecuteFor("True") : { add: [], remove: [] },
        signal,
      );
    }
    const lease = informers.of(leases).get(`${LEASE_NAMESPACE}/${name}`);
    this.#listen(health, cached, lease);

    const before = health.ready;
    let node = cached;
    const grace = conditionOf(cached.status, "Ready") === undefined ? this.#startupGraceMs : this.#graceMs;
    if (clock.now() > health.probeAt + grace) node = await this.#silence(cached, signal);
    const ready = readiness(node);
    health.ready = ready;

    this.#enqueueTaint(node, ready);
    if (before === "True" && ready !== "True") {
      events.event(nodeReference(name, uid), "Normal", "NodeNotReady", `Node ${name} status is now: NodeNotReady`);
      this.#unmarked.add(name);
    }
    if (ready === "True") this.#unmarked.delete(name);
    // Pods that come to a node that isn't ready are marked as well.
    else if (conditionOf(cached.status, "Ready") !== undefined) this.#unmarked.add(name);
    if (this.#unmarked.has(name)) await this.#markPods(name, signal);
    return ready;
  }

  #enroll(node: Node): Health {
    const ready = conditionOf(node.status, "Ready");
    // A node that never spoke counts from its creation, any other from now: we may have been away ourselves.
    const probeAt = ready === undefined ? Date.parse(node.metadata.creationTimestamp) : this.#context.clock.now();
    const health = { probeAt, heartbeat: ready?.lastHeartbeatTime, renewed: undefined, ready: ready?.status };
    this.#health.set(node.metadata.name, health);
    return health;
  }

  #listen(health: Health, node: Node, lease: Lease | undefined): void {
    const heartbeat = conditionOf(node.status, "Ready")?.lastHeartbeatTime;
    const renewed = lease?.spec?.renewTime;
    const spoke = heartbeat !== health.heartbeat && heartbeat !== undefined;
    const leased = renewed !== undefined && renewed > (health.renewed ?? "");
    if (!spoke && !leased) return;
    // What we did ourselves to its conditions is no sign of life: it leaves the heartbeat alone.
    health.probeAt = this.#context.clock.now();
    health.heartbeat = heartbeat;
    health.renewed = renewed;
  }

  /** Writes Unknown into the conditions of a silent node. */
  async #silence(cached: Node, signal: AbortSignal): Promise<Node> {
    const { client, clock } = this.#context;
    let node = cached;
    for (let attempt = 1; ; attempt++) {
      const conditions = silentConditions(node, formatTime(clock.now()));
      const ready = conditions.find(({ type }) => type === "Ready");
      if (ready?.status === conditionOf(node.status, "Ready")?.status) return node;
      try {
        return await client.updateStatus(nodes, { ...node, status: { ...node.status, conditions } }, { signal });
      } catch (error) {
        if (attempt >= STATUS_TRIES || signal.aborted) throw error;
        await sleep(clock, STATUS_RETRY_MS, signal);
        node = await client.get(nodes, { name: node.metadata.name }, { signal });
      }
    }
  }

  #enqueueTaint(node: Node, ready: string): void {
    const { name } = node.metadata;
    const zone = zoneOf(node);
    const queue = this.#queues.get(zone) ?? new Set<string>();
    this.#queues.set(zone, queue);
    const { add } = noExecuteFor(ready);
    const other = ready === "False" ? unreachableTaint : notReadyTaint;
    const tainted = hasTaint(node, notReadyTaint) || hasTaint(node, unreachableTaint);
    if (ready === "True" ? tainted : add.some((taint) => !hasTaint(node, taint))) {
      // One that only changes its mind, or is well again, doesn't wait in line.
      if (ready === "True" || hasTaint(node, other)) queue.delete(name);
      queue.add(name);
    } else queue.delete(name);
  }

  async #disrupt(
    zones: ReadonlyMap<string, { ready: number; notReady: number }>,
    all: readonly Node[],
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#context;
    const states = [...zones.values()].map(({ ready, notReady }) =>
      zoneState(ready, notReady, this.#unhealthyThreshold),
    );
    const allDown = states.length > 0 && states.every((state) => state === "FullDisruption");
    if (allDown && !this.#allDown) {
      // Nobody is heard: more likely we are the ones cut off.
      for (const node of all)
        await changeTaints(this.#context, node, noExecuteFor("True"), signal).catch((error: unknown) =>
          this.#warn(error, signal),
        );
    }
    if (!allDown && this.#allDown) for (const health of this.#health.values()) health.probeAt = clock.now();
    this.#allDown = allDown;
  }

  async #taint(zones: ReadonlyMap<string, { ready: number; notReady: number }>, signal: AbortSignal): Promise<void> {
    const { informers, clock } = this.#context;
    for (const [zone, queue] of this.#queues) {
      const { ready = 0, notReady = 0 } = zones.get(zone) ?? {};
      const state: ZoneState = zoneState(ready, notReady, this.#unhealthyThreshold);
      const rate = this.#allDown ? 0 : rateOf(state, ready + notReady, this.#rates);
      for (const name of queue) {
        const node = informers.of(nodes).get(name);
        if (node === undefined) {
          queue.delete(name);
          continue;
        }
        const readyNow = this.#health.get(name)?.ready ?? readiness(node);
        const change = noExecuteFor(readyNow);
        const swap = readyNow !== "True" && change.remove.some((taint) => hasTaint(node, taint));
        if (readyNow !== "True" && !swap) {
          const now = clock.monotonic();
          if (rate === 0 || now < (this.#nextAt.get(zone) ?? 0)) continue;
          this.#nextAt.set(zone, now + 1000 / rate);
        }
        try {
          const timeAdded = formatTime(clock.now());
          await changeTaints(
            this.#context,
            node,
            { ...change, add: change.add.map((taint) => ({ ...taint, timeAdded })) },
            signal,
          );
          queue.delete(name);
        } catch (error) {
          this.#warn(error, signal);
        }
      }
    }
  }

  async #markPods(name: string, signal: AbortSignal): Promise<void> {
    const { informers, client, events, clock } = this.#context;
    let failed = false;
    for (const pod of informers.of(pods).byIndex("spec.nodeName", name)) {
      const ready = conditionOf(pod.status, "Ready");
      if (ready === undefined || ready.status !== "True") continue;
      const conditions = [{ type: "Ready", status: "False", lastTransitionTime: formatTime(clock.now()) }];
      const { namespace = "", name: podName, uid } = pod.metadata;
      try {
        const patch = { metadata: { uid }, status: { conditions } };
        await client.patch(pods, { namespace, name: podName }, "application/strategic-merge-patch+json", patch, {
          subresource: "status",
          signal,
        });
        events.event(pod, "Warning", "NodeNotReady", "Node is not ready");
      } catch (error) {
        if (hasReason(error, "NotFound")) continue;
        failed = true;
        this.#warn(error, signal);
      }
    }
    if (!failed) this.#unmarked.delete(name);
  }

  #warn(error: unknown, signal: AbortSignal): void {
    if (!signal.aborted) this.#context.log.error("Failed to update a node or its pods", error);
  }
}

/** Events about nodes carry the node's name as uid, as upstream's do when the node is gone. */
function nodeReference(name: string, uid = name) {
  return { apiVersion: "v1", kind: "Node", name, uid };
}
