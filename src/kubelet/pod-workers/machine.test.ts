import assert from "node:assert/strict";
import { test } from "node:test";
import { initial, step, workOf } from "./machine.ts";
import type { PodEvent, PodState } from "./machine.ts";

const update = (more: object = {}): PodEvent => ({
  type: "updated",
  deleting: undefined,
  terminal: false,
  grace: 30,
  ...more,
});
const kill = (graceSeconds?: number): PodEvent => ({ type: "killed", graceSeconds, grace: 30 });
const run = (...events: PodEvent[]): PodState => events.reduce(step, initial);
const terminating = (graceSeconds: number): PodState => ({ phase: "terminating", graceSeconds });

for (const [name, state, expected] of [
  ["an update keeps a pod running", run(update()), initial],
  ["a deletion stops it with the period of the deletion", run(update({ deleting: 10 })), terminating(10)],
  ["a deletion without time still takes a second", run(update({ deleting: 0 })), terminating(1)],
  ["a terminal phase stops what still runs", run(update({ terminal: true })), terminating(30)],
  ["a kill takes the pod's own period", run(kill()), terminating(30)],
  ["a grace period may shrink", run(update({ deleting: 30 }), kill(1)), terminating(1)],
  ["a grace period never grows", run(kill(1), update({ deleting: 30 })), terminating(1)],
  ["an update does not bring a stopping pod back", run(kill(1), update()), terminating(1)],
  [
    "containers that ended are cleaned up",
    run({ type: "completed", grace: 30 }, { type: "containers stopped" }),
    { phase: "terminated" },
  ],
  [
    "a kill comes too late for a stopped pod",
    run(kill(9), { type: "containers stopped" }, kill(1)),
    { phase: "terminated" },
  ],
  ["a pod ends", run(kill(), { type: "containers stopped" }, { type: "cleaned up" }), { phase: "finished" }],
  ["nothing is cleaned up before it stopped", run({ type: "cleaned up" }), initial],
] as const)
  test(name, () => assert.deepEqual(state, expected));

test("each phase has its work", () => {
  const phases: readonly PodState[] = [initial, terminating(1), { phase: "terminated" }, { phase: "finished" }];
  assert.deepEqual(phases.map(workOf), ["sync", "stop containers", "clean up", "nothing"]);
});
