import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import type { PluginDefinition } from "../framework.ts";
import { Lab, node, pod } from "../lab.ts";
import { nodeAffinity } from "./node-affinity.ts";
import { nodeName } from "./node-name.ts";
import { nodePorts } from "./node-ports.ts";
import { nodeResourcesFit } from "./node-resources-fit.ts";
import { nodeUnschedulable } from "./node-unschedulable.ts";
import { taintToleration } from "./taint-toleration.ts";

type Case = [
  name: string,
  plugin: PluginDefinition,
  cluster: (Node | Pod)[],
  target: Pod,
  expected: Record<string, string>,
];

const taint = (effect: string, key = "k", value = "v") => ({ key, value, effect });
const TAINTED = "!node(s) had untolerated taint(s)";
const MISMATCH = "!node(s) didn't match Pod's node affinity/selector";
const required = (...nodeSelectorTerms: object[]) => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
});
const expression = (key: string, operator: string, ...values: string[]) => ({ key, operator, values });

const CASES: Case[] = [
  [
    "a node name asks for one node",
    nodeName,
    [node("a"), node("b")],
    pod("p", { spec: { nodeName: "a" } }),
    { a: "fits", b: "!node(s) didn't match the requested node name" },
  ],
  [
    "cordoned nodes are refused",
    nodeUnschedulable,
    [node("a", { unschedulable: true }), node("b")],
    pod("p"),
    { a: "!node(s) were unschedulable", b: "fits" },
  ],
  [
    "a toleration of the cordon lets a pod pass",
    nodeUnschedulable,
    [node("a", { unschedulable: true })],
    pod("p", { spec: { tolerations: [{ key: "node.kubernetes.io/unschedulable", operator: "Exists" }] } }),
    { a: "fits" },
  ],
  [
    "taints refuse unless tolerated, and PreferNoSchedule refuses nobody",
    taintToleration,
    [
      node("a", { taints: [taint("NoSchedule")] }),
      node("b", { taints: [taint("NoExecute")] }),
      node("c", { taints: [taint("PreferNoSchedule")] }),
    ],
    pod("p", { spec: { tolerations: [{ key: "k", operator: "Equal", value: "v", effect: "NoExecute" }] } }),
    { a: TAINTED, b: "fits", c: "fits" },
  ],
  [
    "an empty key with Exists tolerates everything",
    taintToleration,
    [node("a", { taints: [taint("NoSchedule"), taint("NoExecute", "x")] })],
    pod("p", { spec: { tolerations: [{ operator: "Exists" }] } }),
    { a: "fits" },
  ],
  [
    "another value isn't tolerated",
    taintToleration,
    [node("a", { taints: [taint("NoSchedule")] })],
    pod("p", { spec: { tolerations: [{ key: "k", value: "other" }] } }),
    { a: TAINTED },
  ],
  [
    "a node selector wants every pair",
    nodeAffinity,
    [node("a", { labels: { x: "1", y: "1" } }), node("b", { labels: { x: "1" } })],
    pod("p", { spec: { nodeSelector: { x: "1", y: "1" } } }),
    { a: "fits", b: MISMATCH },
  ],
  [
    "of required terms any will do, of expressions all must hold",
    nodeAffinity,
    [node("a", { labels: { n: "5" } }), node("b", { labels: { n: "1", z: "" } }), node("c")],
    pod("p", {
      spec: required(
        { matchExpressions: [expression("n", "Gt", "4")] },
        {
          matchExpressions: [expression("z", "Exists"), expression("q", "DoesNotExist"), expression("n", "NotIn", "2")],
        },
      ),
    }),
    { a: "fits", b: "fits", c: MISMATCH },
  ],
  [
    "a term without requirements matches nothing",
    nodeAffinity,
    [node("a")],
    pod("p", { spec: required({}) }),
    { a: MISMATCH },
  ],
  [
    "terms that name no common node conflict",
    nodeAffinity,
    [node("a")],
    pod("p", {
      spec: required({ matchFields: [expression("metadata.name", "In", "a"), expression("metadata.name", "In", "b")] }),
    }),
    { a: "!pod affinity terms conflict" },
  ],
  [
    "a host port is free once",
    nodePorts,
    [node("a"), node("b"), pod("x", { node: "a", hostPort: 80 })],
    pod("p", { hostPort: 80 }),
    { a: "node(s) didn't have free ports for the requested pod ports", b: "fits" },
  ],
  [
    "all that a node is short of is named, and what it could never give is unresolvable",
    nodeResourcesFit,
    [
      node("a", { cpu: "2", memory: "2Gi" }),
      node("b", { cpu: "4", memory: "1Gi" }),
      node("c", { pods: "1" }),
      node("d"),
      pod("x", { node: "a", cpu: "1", memory: "1Gi" }),
      pod("y", { node: "c" }),
    ],
    pod("p", { cpu: "1500m", memory: "2Gi" }),
    { a: "Insufficient cpu; Insufficient memory", b: "!Insufficient memory", c: "Too many pods", d: "fits" },
  ],
  [
    "extended resources count in whole units",
    nodeResourcesFit,
    [node("a", { allocatable: { "example.com/gpu": "2" } }), node("b")],
    pod("p", { spec: { containers: [{ name: "c", resources: { requests: { "example.com/gpu": "2" } } }] } }),
    { a: "fits", b: "!Insufficient example.com/gpu" },
  ],
  [
    "an init container counts where it is larger than the containers, a sidecar always",
    nodeResourcesFit,
    [node("a", { cpu: "3" }), node("b", { cpu: "2500m" })],
    pod("p", {
      cpu: "1",
      spec: {
        containers: [{ name: "c", resources: { requests: { cpu: "1" } } }],
        initContainers: [
          { name: "s", restartPolicy: "Always", resources: { requests: { cpu: "1" } } },
          { name: "i", resources: { requests: { cpu: "2" } } },
        ],
      },
    }),
    { a: "fits", b: "!Insufficient cpu" },
  ],
];

for (const [name, plugin, cluster, target, expected] of CASES) {
  test(name, () => assert.deepEqual(new Lab(cluster, { plugins: [plugin] }).filter(target), expected));
}
