import assert from "node:assert/strict";
import { test } from "node:test";
import { howManyNodes } from "./cycle.ts";
import { Lab, node, pod } from "./lab.ts";

test("large clusters look at a share of their nodes", () => {
  for (const [nodes, expected] of [
    [99, 99],
    [100, 100],
    [250, 120],
    [1000, 420],
    [2500, 750],
    [5000, 500],
    [5625, 281],
    [15000, 750],
  ] as const) {
    assert.equal(howManyNodes(nodes, 0), expected, `${nodes} nodes`);
  }
  assert.equal(howManyNodes(1000, 20), 200);
  assert.equal(howManyNodes(1000, 100), 1000);
});

test("nodes are looked at zone by zone", () => {
  const lab = new Lab([node("a1", { zone: "a" }), node("a2", { zone: "a" }), node("b1", { zone: "b" })]);
  assert.deepEqual(
    lab.cache.nodes.map(({ name }) => name),
    ["a1", "b1", "a2"],
  );
});

test("the emptier of two nodes is chosen", () => {
  const lab = new Lab([node("n1"), node("n2"), pod("x", { node: "n2", cpu: "2", memory: "4Gi" })]);
  const decision = lab.cycle.decide(lab.cache.podInfo(pod("p", { cpu: "1", memory: "2Gi" })));
  assert.equal("node" in decision && decision.node.name, "n1");
});

test("a nominated node is taken where it fits, and not looked past", () => {
  const lab = new Lab([node("n1"), node("n2"), pod("x", { node: "n2", cpu: "2" })]);
  const decision = lab.cycle.decide(lab.cache.podInfo(pod("p", { cpu: "1", nominated: "n2" })));
  assert.deepEqual("node" in decision && [decision.node.name, decision.feasible], ["n2", 1]);
});

test("room that was promised to a pod of higher priority isn't given away", () => {
  const lab = new Lab([node("n1", { cpu: "1" })]);
  lab.nominator.nominate(lab.cache.podInfo(pod("vip", { cpu: "1", priority: 10 })), "n1");
  const low = lab.cycle.decide(lab.cache.podInfo(pod("low", { cpu: "1" })));
  assert.ok(!("node" in low));
  assert.ok("node" in lab.cycle.decide(lab.cache.podInfo(pod("vip", { cpu: "1", priority: 10 }))));
  assert.ok("node" in lab.cycle.decide(lab.cache.podInfo(pod("higher", { cpu: "1", priority: 20 }))));
});
