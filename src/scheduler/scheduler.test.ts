import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../api/generated/core.v1.ts";
import type { Client } from "../client/client.ts";
import type { Informer, InformerHandler, Informers } from "../client/informer/informer.ts";
import { nodes as nodeResource, pods as podResource } from "../client/resources.ts";
import { keyOf, type KubeObject } from "../machinery/meta/object.ts";
import { conflict } from "../machinery/status.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { HandClock, STEADY, node, pod } from "./lab.ts";
import { createScheduler } from "./scheduler.ts";

class FakeInformer<T extends KubeObject> implements Informer<T> {
  readonly synced = true;
  readonly resourceVersion = "1";
  readonly #objects = new Map<string, T>();
  readonly #handlers: InformerHandler<T>[] = [];

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }
  list(): readonly T[] {
    return [...this.#objects.values()];
  }
  byIndex(): readonly T[] {
    return [];
  }
  addIndex(): void {}
  subscribe(handler: InformerHandler<T>): Disposable {
    this.#handlers.push(handler);
    return { [Symbol.dispose]() {} };
  }
  async waitForSync(): Promise<void> {}
  hasSeen(): boolean {
    return true;
  }
  onceSeen(): Disposable {
    return { [Symbol.dispose]() {} };
  }

  put(object: T): void {
    const old = this.#objects.get(keyOf(object));
    this.#objects.set(keyOf(object), object);
    for (const handler of this.#handlers) {
      if (old === undefined) handler.add?.(object, false);
      else handler.update?.(old, object);
    }
  }
  remove(key: string): void {
    const old = this.#objects.get(key)!;
    this.#objects.delete(key);
    for (const handler of this.#handlers) handler.delete?.(old);
  }
}

/** A cluster whose API server binds and patches at once. */
class FakeCluster {
  readonly clock = new HandClock();
  readonly pods = new FakeInformer<Pod>();
  readonly nodes = new FakeInformer<Node>();
  readonly events: string[] = [];
  readonly calls: string[] = [];
  readonly metrics = new Metrics();
  bindFails: Error | undefined;
  #version = 1;
  readonly #abort = new AbortController();
  #done: Promise<void> | undefined;

  async start(...objects: readonly (Pod | Node)[]): Promise<this> {
    const others = new FakeInformer();
    const informers = {
      of: (resource: object) =>
        resource === podResource ? this.pods : resource === nodeResource ? this.nodes : others,
    } as unknown as Informers;
    const client = {
      createSubresource: async (_resource: object, { name }: { name: string }, subresource: string, body: any) => {
        if (this.bindFails !== undefined) throw this.bindFails;
        this.calls.push(`${subresource} ${name} ${body.target.name}`);
        const bound = this.pods.get(`default/${name}`)!;
        this.#store({ ...bound, spec: { ...bound.spec, nodeName: body.target.name } });
        return {};
      },
      patch: async (_resource: object, { name }: { name: string }, _type: string, patch: any) => {
        const old = this.pods.get(`default/${name}`)!;
        const { conditions = [], nominatedNodeName } = patch.status;
        for (const one of conditions) this.calls.push(`condition ${name} ${one.type}=${one.status} ${one.reason}`);
        if (nominatedNodeName) this.calls.push(`nominate ${name} ${nominatedNodeName}`);
        this.#store({ ...old, status: { ...old.status, ...patch.status } });
        return {};
      },
      delete: async (_resource: object, { name }: { name: string }) => {
        this.calls.push(`delete ${name}`);
        this.pods.remove(`default/${name}`);
      },
    } as unknown as Client;
    const events = {
      event: (about: any, type: string, reason: string, message: string) =>
        void this.events.push(`${type} ${reason} ${about.metadata.name}: ${message}`),
    };
    const scheduler = createScheduler({
      client,
      informers,
      clock: this.clock,
      random: STEADY,
      log: silent,
      metrics: this.metrics,
      events,
    });
    for (const object of objects) this.put(object);
    this.#done = scheduler.run(this.#abort.signal, () => {});
    await this.settle();
    return this;
  }
  put(object: Pod | Node): void {
    if (object.kind === "Node") this.nodes.put(object as Node);
    else this.pods.put(object as Pod);
  }
  #store(object: Pod): void {
    this.pods.put({ ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } });
  }
  /** Until nothing is left to do at this instant. */
  async settle(): Promise<void> {
    for (let i = 0; i < 50; i++) await Promise.resolve();
  }
  placeOf(name: string): string | undefined {
    return this.pods.get(`default/${name}`)?.spec.nodeName;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}

test("a pod gets a node, through its binding, and an event says so", async () => {
  await using cluster = await new FakeCluster().start(node("a"), pod("p", { cpu: "1" }));
  assert.equal(cluster.placeOf("p"), "a");
  assert.deepEqual(cluster.calls, ["binding p a"]);
  assert.deepEqual(cluster.events, ["Normal Scheduled p: Successfully assigned default/p to a"]);
  assert.match(
    await cluster.metrics.render(),
    /scheduler_schedule_attempts_total\{result="scheduled",profile="default-scheduler"\} 1/,
  );
});

test("a pod that fits nowhere is told why, and scheduled when room is made", async () => {
  await using cluster = await new FakeCluster().start(node("a", { cpu: "1" }), pod("p", { cpu: "2" }));
  const message =
    "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
  assert.deepEqual(cluster.events, [`Warning FailedScheduling p: ${message}`]);
  assert.deepEqual(cluster.calls, ["condition p PodScheduled=False Unschedulable"]);
  assert.equal(cluster.pods.get("default/p")!.status.conditions![0]!.message, message);
  cluster.put(node("b"));
  await cluster.settle();
  assert.equal(cluster.placeOf("p"), "b");
});

test("a pod that shrinks holds what it has until its kubelet has carried it out, and then its room goes to one that waits", async () => {
  const placed = (asks: string, has: string, reason?: string): Pod => {
    const one = pod("large", { cpu: asks, node: "a" });
    const conditions = reason === undefined ? [] : [{ type: "PodResizePending", status: "True", reason }];
    const held = { requests: { cpu: has } };
    const containerStatuses = one.spec.containers.map(({ name }) => ({ name, resources: held, allocatedResources: held.requests })); // prettier-ignore
    return { ...one, status: { phase: "Running", conditions, containerStatuses } } as unknown as Pod;
  };
  await using cluster = await new FakeCluster().start(node("a"), placed("4", "4"), pod("p", { cpu: "1" }));
  const backOff = async () => {
    cluster.clock.advance(11_000);
    await cluster.settle();
  };
  assert.equal(cluster.placeOf("p"), undefined);
  cluster.put(placed("3", "4"));
  await backOff();
  assert.equal(cluster.placeOf("p"), undefined);
  cluster.put(placed("3", "3"));
  await backOff();
  assert.equal(cluster.placeOf("p"), "a");
  // What can't be granted takes no room from others.
  cluster.pods.remove("default/p");
  cluster.put(placed("4", "3", "Infeasible"));
  cluster.put(pod("q", { cpu: "1" }));
  await backOff();
  assert.equal(cluster.placeOf("q"), "a");
});

test("the same failure is an event again, and no second patch", async () => {
  await using cluster = await new FakeCluster().start(node("a", { cpu: "1" }), pod("p", { cpu: "2" }));
  const before = cluster.pods.get("default/p")!;
  cluster.clock.advance(301_000);
  cluster.clock.advance(30_000);
  await cluster.settle();
  assert.equal(cluster.events.length, 2);
  assert.equal(cluster.pods.get("default/p"), before);
});

test("pods that are decided one after the other see each other, before any binding is confirmed", async () => {
  await using cluster = await new FakeCluster().start(
    node("a", { cpu: "1" }),
    node("b", { cpu: "1" }),
    pod("p", { cpu: "1" }),
    pod("q", { cpu: "1" }),
  );
  assert.deepEqual([cluster.placeOf("p"), cluster.placeOf("q")].sort(), ["a", "b"]);
});

test("a binding that fails gives the room back and is tried again", async () => {
  const cluster = new FakeCluster();
  cluster.bindFails = conflict({ group: "", plural: "pods/binding" }, "p", "it was too early");
  await using started = await cluster.start(node("a", { cpu: "1" }), pod("p", { cpu: "1" }));
  assert.deepEqual(started.events, [
    'Warning FailedScheduling p: running Bind plugin "DefaultBinder": Operation cannot be fulfilled on pods/binding "p": it was too early',
  ]);
  assert.deepEqual(started.calls, ["condition p PodScheduled=False SchedulerError"]);
  cluster.bindFails = undefined;
  cluster.clock.advance(1000);
  await cluster.settle();
  assert.equal(cluster.placeOf("p"), "a");
});

test("pods of other schedulers, gated ones and those with a node are left alone", async () => {
  await using cluster = await new FakeCluster().start(
    node("a"),
    pod("other", { spec: { schedulerName: "mine" } }),
    pod("gated", { spec: { schedulingGates: [{ name: "g" }] } }),
    pod("placed", { node: "a" }),
  );
  assert.deepEqual([cluster.calls, cluster.events], [[], []]);
});

test("a pod on its way out is skipped", async () => {
  await using cluster = await new FakeCluster().start(node("a"), pod("p", { deleting: true }));
  assert.deepEqual(cluster.events, ["Warning FailedScheduling p: skip schedule deleting pod: default/p"]);
});

test("without nodes there is nothing to say of nodes", async () => {
  await using cluster = await new FakeCluster().start(pod("p"));
  assert.deepEqual(cluster.events, ["Warning FailedScheduling p: no nodes available to schedule pods"]);
  cluster.put(node("a"));
  cluster.clock.advance(1000);
  await cluster.settle();
  assert.equal(cluster.placeOf("p"), "a");
});

test("a pod of higher priority takes the place of a lower one", async () => {
  await using cluster = await new FakeCluster().start(
    node("a", { cpu: "1" }),
    pod("low", { cpu: "1", node: "a", priority: 1 }),
    pod("high", { cpu: "1", priority: 10 }),
  );
  cluster.clock.advance(1000);
  await cluster.settle();
  assert.deepEqual(
    cluster.calls,
    [
      "condition low DisruptionTarget=True PreemptionByScheduler",
      "nominate high a",
      "condition high PodScheduled=False Unschedulable",
      "delete low",
      "binding high a",
    ].sort((a, b) => cluster.calls.indexOf(a) - cluster.calls.indexOf(b)),
  );
  assert.ok(cluster.events.includes("Warning FailedScheduling high: 0/1 nodes are available: 1 Insufficient cpu."));
  assert.ok(cluster.events.includes("Normal Preempted low: Preempted by pod uid-high on node a"));
  assert.equal(cluster.placeOf("high"), "a");
});
