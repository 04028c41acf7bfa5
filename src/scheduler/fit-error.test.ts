import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../api/generated/core.v1.ts";
import { fitErrorText } from "./fit-error.ts";
import { Lab, STEADY, node, pod } from "./lab.ts";
import { planPreemption } from "./preemption.ts";

/** What the event says of a pod that fits nowhere. */
function told(cluster: readonly (Node | Pod)[], target: Pod): string {
  const lab = new Lab(cluster);
  const info = lab.cache.podInfo(target);
  const decision = lab.cycle.decide(info);
  if ("node" in decision) return `fits ${decision.node.name}`;
  const plan = planPreemption(info, decision, {
    cache: lab.cache,
    random: STEADY,
    verdictOn: (one, at) => lab.cycle.verdictOn(one, at),
    disruptionBudgets: () => [],
  });
  return fitErrorText(decision, typeof plan === "string" ? `no new claims to deallocate, preemption: ${plan}` : "");
}

const tainted = (name: string) => node(name, { taints: [{ key: "k", effect: "NoSchedule" }] });

test("every reason is told with the number of nodes that have it", () => {
  assert.equal(
    told([node("a"), pod("x", { node: "a", cpu: "4" }), tainted("b"), tainted("c")], pod("p", { cpu: "1" })),
    "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). no new claims to deallocate, " +
      "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.",
  );
});

test("a node that is short of two things counts in both", () => {
  assert.equal(
    told(
      [node("a", { cpu: "1", memory: "1Gi" }), node("b", { cpu: "1", memory: "1Gi" })],
      pod("p", { cpu: "2", memory: "2Gi" }),
    ),
    "0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory. no new claims to deallocate, " +
      "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
  );
});

test("texts are sorted as texts: 10 comes before 2", () => {
  const many = Array.from({ length: 10 }, (_, i) => tainted(`t${i}`));
  assert.match(
    told([...many, node("a", { unschedulable: true }), node("b", { unschedulable: true })], pod("p")),
    /^0\/12 nodes are available: 10 node\(s\) had untolerated taint\(s\), 2 node\(s\) were unschedulable\. /,
  );
});

test("a pod that asks for a node that isn't there is told which plugin asked", () => {
  const terms = [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["gone"] }] }];
  const target = pod("p", {
    spec: {
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
    },
  });
  assert.equal(
    told([node("a"), node("b")], target),
    "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. no new claims to deallocate, " +
      "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
  );
});

test("a pod that may not preempt is told so, and one that preempts hears nothing more", () => {
  const cluster = [node("a"), pod("x", { node: "a", cpu: "4", priority: 1 })];
  assert.equal(
    told(cluster, pod("p", { cpu: "1", priority: 10, spec: { priority: 10, preemptionPolicy: "Never" } })),
    "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.",
  );
  assert.equal(told(cluster, pod("p", { cpu: "1", priority: 10 })), "0/1 nodes are available: 1 Insufficient cpu.");
});
