import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerStatus, Pod } from "../../api/generated/core.v1.ts";
import { same, statusPatch } from "./patch.ts";
import { phaseOf } from "./phase.ts";

const pod = (restartPolicy: string, initContainers: object[] = []): Pod =>
  ({ metadata: {}, spec: { restartPolicy, initContainers, containers: [{ name: "a" }, { name: "b" }] } }) as never;
const status = (name: string, state: object, more: object = {}): ContainerStatus =>
  ({ name, state, lastState: {}, started: true, ...more }) as never;
const running = { running: {} };
const waiting = { waiting: {} };
const ended = (exitCode: number) => ({ terminated: { exitCode } });
const later = { terminal: false, initialized: false };

for (const [name, expected, actual] of [
  ["nothing known yet", "Pending", phaseOf(pod("Always"), [], later)],
  ["one still waits", "Pending", phaseOf(pod("Always"), [status("a", running), status("b", waiting)], later)],
  ["all run", "Running", phaseOf(pod("Always"), [status("a", running), status("b", running)], later)],
  [
    "one waits to run again",
    "Running",
    phaseOf(pod("Always"), [status("a", running), status("b", waiting, { lastState: ended(1) })], later),
  ],
  ["all ended and restart", "Running", phaseOf(pod("Always"), [status("a", ended(0)), status("b", ended(1))], later)],
  [
    "all ended well and need not restart",
    "Succeeded",
    phaseOf(pod("OnFailure"), [status("a", ended(0)), status("b", ended(0))], later),
  ],
  [
    "one failed and restarts",
    "Running",
    phaseOf(pod("OnFailure"), [status("a", ended(0)), status("b", ended(1))], later),
  ],
  ["one failed for good", "Failed", phaseOf(pod("Never"), [status("a", ended(0)), status("b", ended(1))], later)],
  [
    "the pod was stopped by the node",
    "Failed",
    phaseOf(pod("Always"), [status("a", ended(0)), status("b", ended(137))], { terminal: true, initialized: true }),
  ],
  ["an init container runs", "Pending", phaseOf(pod("Always", [{ name: "i" }]), [status("i", running)], later)],
  [
    "an init container failed for good",
    "Failed",
    phaseOf(pod("Never", [{ name: "i" }]), [status("i", ended(1))], later),
  ],
  [
    "an init container failed and runs again",
    "Pending",
    phaseOf(pod("Always", [{ name: "i" }]), [status("i", ended(1)), status("a", waiting), status("b", waiting)], later),
  ],
] as const)
  test(`a pod is ${expected} when ${name}`, () => assert.equal(actual, expected));

test("a status patch says what changed and nothing else", () => {
  const before = {
    phase: "Pending",
    reason: "x",
    podIPs: [{ ip: "a" }],
    conditions: [
      { type: "Ready", status: "False", reason: "ContainersNotReady" },
      { type: "PodScheduled", status: "True" },
    ],
  };
  const after = {
    phase: "Running",
    podIPs: [{ ip: "b" }],
    conditions: [
      { type: "Ready", status: "True" },
      { type: "PodScheduled", status: "True" },
    ],
  };
  assert.deepEqual(statusPatch("u", before, after), {
    metadata: { uid: "u" },
    status: {
      phase: "Running",
      reason: null,
      "$setElementOrder/podIPs": [{ ip: "b" }],
      podIPs: [{ ip: "b" }, { ip: "a", $patch: "delete" }],
      "$setElementOrder/conditions": [{ type: "Ready" }, { type: "PodScheduled" }],
      conditions: [{ type: "Ready", status: "True", reason: null }],
    },
  });
  assert.equal(same({ a: null, b: [1] }, { b: [1] }), true);
  assert.equal(same({ b: [1] }, { b: [2] }), false);
});
