import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../api/generated/core.v1.ts";
import { Lab, STEADY, node, pod } from "./lab.ts";
import { planPreemption } from "./preemption.ts";

function plan(cluster: readonly (Node | Pod)[], target: Pod, budgets: readonly object[] = []) {
  const lab = new Lab(cluster);
  const info = lab.cache.podInfo(target);
  const decision = lab.cycle.decide(info);
  assert.ok(!("node" in decision), "the pod fits without preemption");
  const before = lab.cache.nodes.map((one) => [...one.pods.keys()].sort());
  const found = planPreemption(info, decision, {
    cache: lab.cache,
    random: STEADY,
    verdictOn: (one, at) => lab.cycle.verdictOn(one, at),
    disruptionBudgets: () => budgets as never,
  });
  assert.deepEqual(
    lab.cache.nodes.map((one) => [...one.pods.keys()].sort()),
    before,
    "the cache is as it was",
  );
  return typeof found === "string"
    ? found
    : `${found.node.name}: ${found.victims.map((v) => v.pod.metadata.name).join(" ")}`;
}

const two = (name: string) => node(name, { cpu: "2" });
const P = pod("p", { cpu: "2", priority: 1000 });

test("the node with the least important victims is chosen, budgets before all", () => {
  const cluster = [
    two("a"),
    two("b"),
    two("c"),
    pod("v1", { node: "a", cpu: "2", priority: 10, labels: { app: "guarded" } }),
    pod("v2", { node: "b", cpu: "1", priority: 100 }),
    pod("v3", { node: "b", cpu: "1", priority: 100 }),
    pod("v4", { node: "c", cpu: "2", priority: 50 }),
  ];
  const budget = { spec: { selector: { matchLabels: { app: "guarded" } } }, status: { disruptionsAllowed: 0 } };
  assert.equal(plan(cluster, P, [budget]), "c: v4");
  assert.equal(plan(cluster, P), "a: v1");
});

test("only as many go as must, the least important first", () => {
  const cluster = [
    two("a"),
    pod("low", { node: "a", cpu: "500m", priority: 1 }),
    pod("mid", { node: "a", cpu: "500m", priority: 2 }),
    pod("high", { node: "a", cpu: "1", priority: 3 }),
  ];
  assert.equal(plan(cluster, pod("p", { cpu: "1", priority: 10 })), "a: mid low");
});

test("of equal victims those that started last go", () => {
  const cluster = [
    two("a"),
    pod("old", { node: "a", cpu: "1", priority: 1, startTime: "2029-01-01T00:00:00Z" }),
    pod("young", { node: "a", cpu: "1", priority: 1, startTime: "2030-01-01T00:00:00Z" }),
  ];
  assert.equal(plan(cluster, pod("p", { cpu: "1", priority: 10 })), "a: young");
});

test("pods of the same priority are safe", () => {
  assert.equal(
    plan([two("a"), pod("v", { node: "a", cpu: "2", priority: 1000 })], P),
    "0/1 nodes are available: 1 No preemption victims found for incoming pod.",
  );
});

test("who keeps the pod away by anti-affinity is evicted", () => {
  const spec = {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "x" } } },
        ],
      },
    },
  };
  const cluster = [two("a"), pod("hermit", { node: "a", spec }), pod("other", { node: "a", priority: 0 })];
  assert.equal(plan(cluster, pod("p", { labels: { app: "x" }, priority: 5 })), "a: hermit");
});
