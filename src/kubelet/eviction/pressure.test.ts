import assert from "node:assert/strict";
import { test } from "node:test";
import { nextPressure, NO_PRESSURE } from "./pressure.ts";
import type { Observations, PressureState } from "./pressure.ts";
import { DEFAULT_HARD, parseThresholds } from "./thresholds.ts";
import type { ThresholdConfig } from "./thresholds.ts";

const MEBIBYTE = 2 ** 20;
const roomy: Observations = {
  "memory.available": { available: 4096 * MEBIBYTE, capacity: 8192 * MEBIBYTE },
  "nodefs.available": { available: 50, capacity: 100 },
};
const low: Observations = { ...roomy, "memory.available": { available: 99 * MEBIBYTE, capacity: 8192 * MEBIBYTE } };
const config = (more: Partial<ThresholdConfig>): ThresholdConfig => ({
  hard: {},
  soft: {},
  softGracePeriod: {},
  minimumReclaim: {},
  ...more,
});
const hard = parseThresholds(config({ hard: DEFAULT_HARD }));

for (const [name, observations, expected] of [
  ["enough of everything", roomy, []],
  ["little memory", low, ["MemoryPressure"]],
  ["a full disk", { ...roomy, "nodefs.available": { available: 9, capacity: 100 } }, ["DiskPressure"]],
  ["few inodes", { ...roomy, "nodefs.inodesFree": { available: 4, capacity: 100 } }, ["DiskPressure"]],
  ["a disk of images that is nearly full", { "imagefs.available": { available: 14, capacity: 100 } }, ["DiskPressure"]],
  ["a disk without inodes of its own", { ...roomy, "nodefs.inodesFree": { available: 0, capacity: 0 } }, []],
] as const)
  test(`a node with ${name} is under ${expected.join() || "no pressure"}`, () =>
    assert.deepEqual([...nextPressure(NO_PRESSURE, observations, hard, 0, 300_000).pressures], expected));

test("a pressure is told for a while after it has gone, and a soft threshold counts when it has been met for long", () => {
  const thresholds = parseThresholds(
    config({ soft: { "memory.available": "1Gi" }, softGracePeriod: { "memory.available": "30s" } }),
  );
  let state: PressureState = NO_PRESSURE;
  const look = (observations: Observations, nowMs: number) => {
    state = nextPressure(state, observations, thresholds, nowMs, 60_000);
    return [state.met.length, [...state.pressures].join()];
  };
  assert.deepEqual(look(low, 0), [0, "MemoryPressure"]);
  assert.deepEqual(look(low, 29_000), [0, "MemoryPressure"]);
  assert.deepEqual(look(low, 30_000), [1, "MemoryPressure"]);
  assert.deepEqual(look(roomy, 40_000), [0, "MemoryPressure"]);
  assert.deepEqual(look(roomy, 91_000), [0, ""]);
});

test("a threshold that was met stays so until as much more is free as is to be given back", () => {
  const thresholds = parseThresholds(
    config({ hard: { "nodefs.available": "10%" }, minimumReclaim: { "nodefs.available": "5%" } }),
  );
  const at = (available: number): Observations => ({ "nodefs.available": { available, capacity: 100 } });
  let state = nextPressure(NO_PRESSURE, at(9), thresholds, 0, 0);
  assert.equal(state.met.length, 1);
  state = nextPressure(state, at(12), thresholds, 1, 0);
  assert.equal(state.met.length, 1);
  state = nextPressure(state, at(15), thresholds, 2, 0);
  assert.equal(state.met.length, 0);
});

for (const [more, message] of [
  [{ hard: { "disk.free": "1Gi" } }, "unsupported eviction signal disk.free"],
  [{ hard: { "memory.available": "0" } }, "eviction threshold memory.available must be positive: 0"],
  [{ hard: { "memory.available": "150%" } }, "eviction percentage threshold memory.available must be <= 100%: 150%"],
  [
    { soft: { "memory.available": "1Gi" } },
    "grace period must be specified for the soft eviction threshold memory.available",
  ],
] as const)
  test(`a threshold is refused: ${message}`, () => assert.throws(() => parseThresholds(config(more)), { message }));
