import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import type { PluginDefinition } from "../framework.ts";
import { Lab, node, pod, type LabOptions } from "../lab.ts";
import { imageLocality, normalized } from "./image-locality.ts";
import { nodeAffinity } from "./node-affinity.ts";
import { nodeResourcesBalancedAllocation } from "./node-resources-balanced-allocation.ts";
import { nodeResourcesFit } from "./node-resources-fit.ts";
import { taintToleration } from "./taint-toleration.ts";

const soft = (count: number) => Array.from({ length: count }, (_, i) => ({ key: `k${i}`, effect: "PreferNoSchedule" }));
const MI = 1024 * 1024;
const strategy = (scoringStrategy: object): LabOptions["configuration"] => ({
  args: { NodeResourcesFit: { scoringStrategy } },
});
const FULL = [node("a"), pod("x", { node: "a", cpu: "1", memory: "2Gi" })];
const HALF = pod("p", { cpu: "500m", memory: "1Gi" });

type Case = [
  name: string,
  plugin: PluginDefinition,
  cluster: (Node | Pod)[],
  target: Pod,
  expected: Record<string, number> | undefined,
  configuration?: LabOptions["configuration"],
];

const CASES: Case[] = [
  [
    "the fewer soft taints the better",
    taintToleration,
    [node("a"), node("b", { taints: soft(1) }), node("c", { taints: soft(3) })],
    pod("p"),
    { a: 100, b: 67, c: 0 },
  ],
  [
    "preferred terms add up",
    nodeAffinity,
    [node("a", { labels: { x: "1" } }), node("b", { labels: { y: "1" } }), node("c")],
    pod("p", {
      spec: {
        affinity: {
          nodeAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight: 30, preference: { matchExpressions: [{ key: "x", operator: "Exists" }] } },
              { weight: 80, preference: { matchExpressions: [{ key: "y", operator: "Exists" }] } },
            ],
          },
        },
      },
    }),
    { a: 37, b: 100, c: 0 },
  ],
  ["a pod without preferences has nothing to say", nodeAffinity, [node("a")], pod("p"), undefined],
  ["the least allocated node scores by what is left", nodeResourcesFit, FULL, HALF, { a: 62 }],
  [
    "the most allocated node scores by what is used",
    nodeResourcesFit,
    FULL,
    HALF,
    { a: 37 },
    strategy({ type: "MostAllocated" }),
  ],
  [
    "a shape maps use to score",
    nodeResourcesFit,
    FULL,
    HALF,
    { a: 37 },
    strategy({
      type: "RequestedToCapacityRatio",
      requestedToCapacityRatio: {
        shape: [
          { utilization: 0, score: 0 },
          { utilization: 100, score: 10 },
        ],
      },
    }),
  ],
  [
    "a container without requests counts as a small one",
    nodeResourcesFit,
    [node("a", { cpu: "1", memory: "1000Mi" })],
    pod("p"),
    { a: 85 },
  ],
  [
    "a pod that evens out a node is welcome",
    nodeResourcesBalancedAllocation,
    [node("a"), pod("x", { node: "a", cpu: "1", memory: "4Gi" })],
    pod("p", { cpu: "1" }),
    { a: 81 },
  ],
  [
    "balance as before is neither good nor bad",
    nodeResourcesBalancedAllocation,
    [node("a")],
    pod("p", { cpu: "1", memory: "2Gi" }),
    { a: 75 },
  ],
  ["a pod without requests has nothing to balance", nodeResourcesBalancedAllocation, [node("a")], pod("p"), undefined],
  [
    "a large image that half of the nodes have",
    imageLocality,
    [
      node("a", { images: { "i:latest": 500 * MI } }),
      node("b", { images: { "i:latest": 500 * MI } }),
      node("c"),
      node("d"),
    ],
    pod("p"),
    { a: 23, b: 23, c: 0, d: 0 },
  ],
];

for (const [name, plugin, cluster, target, expected, configuration] of CASES) {
  test(name, () => {
    const lab = new Lab(cluster, { plugins: [plugin], ...(configuration && { configuration }) });
    assert.deepEqual(lab.score(target), expected);
  });
}

test("an image without tag and digest is the latest", () => {
  assert.equal(normalized("localhost:5000/a"), "localhost:5000/a:latest");
  assert.equal(normalized("a:1"), "a:1");
  assert.equal(normalized("a@sha256:12"), "a@sha256:12");
});
