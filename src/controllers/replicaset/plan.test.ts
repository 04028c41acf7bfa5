import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReplicaSet } from "../../api/generated/apps.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { planReplicas, statusOf } from "./plan.ts";

const now = Date.parse("2030-01-01T12:00:00Z");
const ago = (minutes: number) => new Date(now - minutes * 60_000).toISOString();

interface Traits {
  node?: string;
  phase?: string;
  readyMinutes?: number;
  cost?: string;
  restarts?: number;
  ageMinutes?: number;
  uid?: string;
}
function pod(
  name: string,
  { node = "n", phase = "Running", readyMinutes = 100, cost, restarts = 0, ageMinutes = 200, uid = name }: Traits = {},
): Pod {
  const ready = readyMinutes < 0 ? { status: "False" } : { status: "True", lastTransitionTime: ago(readyMinutes) };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid,
      resourceVersion: "1",
      creationTimestamp: ago(ageMinutes),
      ...(cost && { annotations: { "controller.kubernetes.io/pod-deletion-cost": cost } }),
    },
    spec: { containers: [], ...(node !== "" && { nodeName: node }) },
    status: {
      phase,
      conditions: [{ type: "Ready", ...ready }],
      containerStatuses: [{ name: "c", restartCount: restarts }],
    },
  } as unknown as Pod;
}
const set = (replicas: number, more: object = {}) =>
  ({
    kind: "ReplicaSet",
    metadata: { name: "web", namespace: "default", generation: 2 },
    spec: { replicas, selector: {}, template: { metadata: { labels: { app: "web" } } } },
    status: {},
    ...more,
  }) as unknown as ReplicaSet;

test("missing pods are created, at most 500 at once", () => {
  assert.deepEqual(planReplicas(set(3), [pod("a")], [], now), { create: 2, remove: [] });
  assert.equal(planReplicas(set(1000), [], [], now).create, 500);
});

test("the pod whose loss costs least goes first", () => {
  const table: [string, Pod, Pod][] = [
    ["unassigned before assigned", pod("a", { node: "" }), pod("b", { phase: "Pending" })],
    ["pending before running", pod("a", { phase: "Pending" }), pod("b", { readyMinutes: -1 })],
    ["not ready before ready", pod("a", { readyMinutes: -1, cost: "100" }), pod("b")],
    ["lower cost first", pod("a", { cost: "-5" }), pod("b")],
    ["an invalid cost counts as none", pod("a"), pod("b", { cost: "1" })],
    ["ready for a shorter time (by powers of two)", pod("a", { readyMinutes: 3 }), pod("b", { readyMinutes: 8 })],
    [
      "in one power of two the smaller uid",
      pod("a", { readyMinutes: 4, uid: "1" }),
      pod("b", { readyMinutes: 3, uid: "2" }),
    ],
    ["more restarts first", pod("a", { restarts: 3, uid: "2" }), pod("b", { uid: "1" })],
    ["newer first", pod("a", { ageMinutes: 110, uid: "2" }), pod("b", { ageMinutes: 1000, uid: "1" })],
  ];
  for (const [name, first, other] of table)
    for (const pods of [
      [first, other],
      [other, first],
    ])
      assert.deepEqual(
        planReplicas(set(1), pods, pods, now).remove.map(({ metadata }) => metadata.name),
        ["a"],
        name,
      );
});

test("the node with more siblings loses one first", () => {
  const pods = [pod("a", { node: "x" }), pod("b", { node: "y" })];
  const related = [...pods, pod("c", { node: "y" })];
  assert.deepEqual(
    planReplicas(set(1), pods, related, now).remove.map(({ metadata }) => metadata.name),
    ["b"],
  );
});

test("the status counts, and keeps the first failure's words until an act succeeds", () => {
  const text = "2030-01-01T12:00:00Z";
  const failed = statusOf(set(2), [pod("a")], 1, { reason: "FailedCreate", message: "quota" }, { ms: now, text });
  assert.deepEqual(failed, {
    replicas: 1,
    fullyLabeledReplicas: 0,
    readyReplicas: 1,
    availableReplicas: 1,
    terminatingReplicas: 1,
    observedGeneration: 2,
    conditions: [
      { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "quota", lastTransitionTime: text },
    ],
  });
  const again = statusOf(
    set(2, { status: failed }),
    [],
    0,
    { reason: "FailedCreate", message: "other" },
    { ms: now, text },
  );
  assert.equal(again.conditions![0]!.message, "quota");
  assert.deepEqual(statusOf(set(2, { status: failed }), [], 0, undefined, { ms: now, text }).conditions, []);
});
