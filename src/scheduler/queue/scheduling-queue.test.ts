import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { ADD, DELETE, UPDATE_NODE_LABEL, UPDATE_NODE_TAINT, clusterEvent } from "../events.ts";
import { HandClock, Lab, node, pod, type PodWords } from "../lab.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";

const FIT = new Set(["NodeResourcesFit"]);
const NODE_ADD = clusterEvent("Node", ADD);
const POD_DELETE = clusterEvent("AssignedPod", DELETE);

class Bench {
  readonly clock = new HandClock();
  readonly lab = new Lab([]);
  woken = 0;
  readonly queue = new SchedulingQueue({
    clock: this.clock,
    profile: this.lab.profile,
    podInfo: (one) => this.lab.cache.podInfo(one),
    wake: () => void this.woken++,
  });

  add(name: string, words: PodWords = {}): Pod {
    const one = pod(name, words);
    this.queue.add(one);
    return one;
  }
  /** The name of the next pod. */
  pop(): string | undefined {
    return this.queue.pop()?.info.pod.metadata.name;
  }
  /** Pops the next pod and fails it. */
  fail(rejectors: ReadonlySet<string> = FIT): void {
    const queued = this.queue.pop()!;
    this.queue.requeue(queued, queued.info.pod, rejectors);
  }
}

test("the higher priority comes first, then who came first", () => {
  const bench = new Bench();
  bench.add("first");
  bench.add("second");
  bench.add("urgent", { priority: 10 });
  assert.deepEqual([bench.pop(), bench.pop(), bench.pop(), bench.pop()], ["urgent", "first", "second", undefined]);
});

test("a refused pod waits until an event that matters to what refused it", () => {
  const bench = new Bench();
  bench.add("p", { cpu: "2" });
  bench.fail();
  assert.deepEqual(bench.queue.sizes, { active: 0, backoff: 0, unschedulable: 1, gated: 0 });
  bench.clock.advance(5000);
  bench.queue.moveAll(clusterEvent("Node", UPDATE_NODE_LABEL), node("a"), node("a"));
  bench.queue.moveAll(NODE_ADD, undefined, node("small", { cpu: "1" }));
  assert.equal(bench.pop(), undefined);
  bench.queue.moveAll(NODE_ADD, undefined, node("large"));
  assert.equal(bench.pop(), "p");
});

test("any change of taints wakes those who wait for new nodes", () => {
  const bench = new Bench();
  bench.add("p", { cpu: "200" });
  bench.fail();
  bench.clock.advance(5000);
  bench.queue.moveAll(clusterEvent("Node", UPDATE_NODE_TAINT), node("a"), node("a"));
  assert.equal(bench.pop(), "p");
});

test("a pod backs off for 1, 2, 4, 8, 10, 10 seconds, unless nobody else wants to be scheduled", () => {
  const bench = new Bench();
  bench.add("p");
  bench.fail();
  for (const seconds of [1, 2, 4, 8, 10, 10]) {
    bench.queue.moveAll(POD_DELETE, pod("x"), undefined);
    assert.equal(bench.queue.sizes.backoff, 1);
    bench.clock.advance(seconds * 1000 - 1);
    assert.equal(bench.queue.sizes.backoff, 1, `still after ${seconds} s less 1 ms`);
    bench.clock.advance(1);
    assert.equal(bench.queue.sizes.active, 1, `no longer after ${seconds} s`);
    bench.fail();
  }
  bench.queue.moveAll(POD_DELETE, pod("x"), undefined);
  assert.equal(bench.pop(), "p");
});

test("a pod whose backoff is over when an event comes is tried at once", () => {
  const bench = new Bench();
  bench.add("p");
  bench.fail();
  bench.clock.advance(1000);
  bench.queue.moveAll(POD_DELETE, pod("x"), undefined);
  assert.equal(bench.queue.sizes.active, 1);
});

test("a pod that failed by an error waits its backoff out, then comes back by itself", () => {
  const bench = new Bench();
  bench.add("p");
  bench.fail(new Set());
  assert.equal(bench.pop(), undefined);
  bench.clock.advance(1000);
  assert.equal(bench.pop(), "p");
});

test("after five minutes without an event a pod is tried anyhow", () => {
  const bench = new Bench();
  bench.add("p");
  bench.fail();
  bench.clock.advance(300_000);
  bench.queue.flushUnschedulable();
  assert.equal(bench.pop(), undefined);
  bench.clock.advance(1);
  bench.queue.flushUnschedulable();
  assert.equal(bench.queue.pop()?.flushed, true);
});

test("a pod with scheduling gates stays out until they are gone", () => {
  const bench = new Bench();
  const gated = bench.add("p", { spec: { schedulingGates: [{ name: "g" }] } });
  assert.deepEqual(bench.queue.sizes, { active: 0, backoff: 0, unschedulable: 0, gated: 1 });
  bench.queue.moveAll(NODE_ADD, undefined, node("a"));
  assert.equal(bench.pop(), undefined);
  bench.queue.update(gated, pod("p", { spec: { schedulingGates: [] } }));
  assert.equal(bench.pop(), "p");
});

test("an update of a waiting pod wakes it only where it may help", () => {
  const bench = new Bench();
  const old = bench.add("p");
  bench.fail(new Set(["TaintToleration"]));
  bench.clock.advance(5000);
  bench.queue.update(old, pod("p", { labels: { a: "b" } }));
  assert.equal(bench.pop(), undefined);
  bench.queue.update(old, pod("p", { spec: { tolerations: [{ operator: "Exists" }] } }));
  assert.equal(bench.pop(), "p");
});

test("a deleted pod doesn't come out, and an activated one comes out at once", () => {
  const bench = new Bench();
  bench.add("gone");
  bench.queue.delete("uid-gone");
  assert.equal(bench.pop(), undefined);
  bench.add("p");
  bench.fail();
  bench.queue.activate(["uid-p"]);
  assert.equal(bench.pop(), "p");
});

test("whatever can be popped has woken the scheduler", () => {
  const bench = new Bench();
  bench.add("p");
  assert.equal(bench.woken, 1);
  bench.fail(new Set());
  bench.clock.advance(1000);
  assert.equal(bench.woken, 2);
});
