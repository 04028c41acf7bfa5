import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesToFree, DEFAULT_POLICY, imagesToRemove } from "./gc.ts";
import type { ImageUse } from "./gc.ts";

for (const [available, expected] of [
  [16, 0],
  [15, 5],
  [0, 20],
] as const)
  test(`a disk of 100 with ${available} left asks for ${expected}`, () =>
    assert.equal(bytesToFree({ capacity: 100, available }, DEFAULT_POLICY), expected));

test("the longest unused go first, and none that is used, pinned or young", () => {
  const image = (id: string, lastUsedMs: number, more: Partial<ImageUse> = {}): ImageUse => ({
    id,
    sizeBytes: 10,
    pinned: false,
    inUse: false,
    lastUsedMs,
    firstSeenMs: 0,
    ...more,
  });
  const images = [
    image("new", 3),
    image("old", 1),
    image("older", 0),
    image("used", 0, { inUse: true }),
    image("pinned", 0, { pinned: true }),
    image("young", 0, { firstSeenMs: 999_999 }),
  ];
  assert.deepEqual(imagesToRemove(images, 15, 1_000_000, DEFAULT_POLICY), ["older", "old"]);
});
