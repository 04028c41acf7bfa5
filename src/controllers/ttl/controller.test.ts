import assert from "node:assert/strict";
import { test } from "node:test";
import { stepFor } from "./controller.ts";

test("the larger the cluster the longer the time, with some slack at the borders", () => {
  for (const [count, from, expected] of [
    [1, 0, 0],
    [100, 0, 0],
    [101, 0, 1],
    [95, 1, 1],
    [89, 1, 0],
    [5000, 0, 4],
    [1850, 4, 4],
    [1799, 4, 3],
    [0, 4, 0],
  ] as const)
    assert.equal(stepFor(count, from), expected, `${count} nodes from step ${from}`);
});
