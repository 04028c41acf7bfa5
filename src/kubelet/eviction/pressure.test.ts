import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_HARD, pressuresOf, thresholdsMet } from "./pressure.ts";
import type { Observations } from "./pressure.ts";

const MEBIBYTE = 2 ** 20;
const roomy: Observations = {
  "memory.available": { available: 4096 * MEBIBYTE, capacity: 8192 * MEBIBYTE },
  "nodefs.available": { available: 50, capacity: 100 },
};

for (const [name, observations, expected] of [
  ["enough of everything", roomy, []],
  [
    "little memory",
    { ...roomy, "memory.available": { available: 99 * MEBIBYTE, capacity: 8192 * MEBIBYTE } },
    ["MemoryPressure"],
  ],
  ["a full disk", { ...roomy, "nodefs.available": { available: 9, capacity: 100 } }, ["DiskPressure"]],
  ["few inodes", { ...roomy, "nodefs.inodesFree": { available: 4, capacity: 100 } }, ["DiskPressure"]],
  ["a disk without inodes of its own", { ...roomy, "nodefs.inodesFree": { available: 0, capacity: 0 } }, []],
] as const)
  test(`a node with ${name} is under ${expected.join() || "no pressure"}`, () =>
    assert.deepEqual([...pressuresOf(thresholdsMet(observations as Observations, DEFAULT_HARD))], expected));
