import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../../api/generated/core.v1.ts";
import { nodes } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { nodeIpamController } from "./controller.ts";
import { RangeSet } from "./plan.ts";

test("ranges are given in turn, and a freed one is not given again at once", () => {
  const set = new RangeSet("10.244.0.0/22", 24);
  assert.deepEqual([set.allocate(), set.allocate()], ["10.244.0.0/24", "10.244.1.0/24"]);
  set.release("10.244.0.0/24");
  assert.deepEqual(
    [set.allocate(), set.allocate(), set.allocate(), set.allocate()],
    ["10.244.2.0/24", "10.244.3.0/24", "10.244.0.0/24", undefined],
  );
});

test("what is taken already, in part or by something larger, is left alone", () => {
  const set = new RangeSet("10.244.0.0/22", 24);
  set.occupy("10.244.0.128/25");
  set.occupy("10.244.2.0/23");
  set.occupy("192.168.0.0/16");
  assert.deepEqual([set.allocate(), set.allocate()], ["10.244.1.0/24", undefined]);
});

test("IPv6 ranges are written short", () => {
  const set = new RangeSet("fd00:10:244::/56", 64);
  assert.deepEqual([set.allocate(), set.allocate()], ["fd00:10:244::/64", "fd00:10:244:1::/64"]);
});

test("a range that doesn't fit is refused", () => {
  assert.throws(() => new RangeSet("10.0.0.0/24", 16), /New CIDR set failed; the node CIDR size is too big/);
});

test("each node gets a range, and nodes that have one keep it", async () => {
  await using world = controllerWorld([nodeIpamController], {
    options: { "allocate-node-cidrs": true, "cluster-cidr": "10.244.0.0/16" },
  });
  world.server.put(nodes, {
    metadata: { name: "old" },
    spec: { podCIDR: "10.244.0.0/24", podCIDRs: ["10.244.0.0/24"] },
  });
  for (const name of ["a", "b"]) world.server.put(nodes, { metadata: { name }, spec: {} });
  const ranges = () =>
    world.server
      .objects<Node>(nodes)
      .map(({ spec }) => spec.podCIDR)
      .sort();
  await world.clock.until(() => !ranges().includes(undefined), 1000);
  assert.deepEqual(ranges(), ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"]);
});
