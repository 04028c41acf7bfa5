import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyIndex } from "./key-index.ts";

/** Two generations: created at 2, changed at 4, deleted at 6; created again at 8, changed at 9. */
function example(): KeyIndex {
  const index = new KeyIndex("k");
  for (const main of [2, 4]) index.put(main, 0);
  index.tombstone(6, 0);
  for (const main of [8, 9]) index.put(main, 0);
  return index;
}

const describe = (index: KeyIndex, at: number) => index.get(at)?.main;

for (const [at, want] of [
  [1, undefined],
  [2, 2],
  [3, 2],
  [5, 4],
  [6, undefined],
  [7, undefined],
  [8, 8],
  [100, 9],
] as const)
  test(`a reader at ${at} meets ${want ?? "nothing"}`, () => assert.equal(describe(example(), at), want));

test("a key that lives knows when it was created and how many writes it had, of those dropped too", () => {
  const index = example();
  index.compact(9, () => {});
  assert.deepEqual([index.main, index.created, index.version], [9, 8, 2]);
  index.tombstone(10, 0);
  assert.deepEqual([index.alive, index.version], [false, 0]);
  index.put(11, 3);
  assert.deepEqual([index.main, index.sub, index.created, index.version], [11, 3, 11, 1]);
});

for (const { at, dropped, kept } of [
  { at: 1, dropped: [], kept: undefined },
  { at: 2, dropped: [], kept: 2 },
  { at: 5, dropped: [2], kept: 4 },
  { at: 6, dropped: [2, 4], kept: undefined },
  { at: 7, dropped: [2, 4, 6], kept: undefined },
  { at: 8, dropped: [2, 4, 6], kept: 8 },
  { at: 9, dropped: [2, 4, 6, 8], kept: 9 },
])
  test(`a compaction at ${at} drops ${dropped.join(", ") || "nothing"}`, () => {
    const index = example();
    assert.equal(index.get(at)?.main, kept);
    const gone: number[] = [];
    assert.equal(
      index.compact(at, (main) => gone.push(main)),
      false,
    );
    assert.deepEqual(gone, dropped);
    for (let reader = at; reader < 12; reader++) assert.equal(describe(index, reader), describe(example(), reader));
  });

test("a deleted key is gone with the first compaction past its tombstone", () => {
  const index = new KeyIndex("k");
  index.put(2, 0);
  index.tombstone(3, 0);
  assert.equal(
    index.compact(3, () => {}),
    false,
  );
  assert.equal(
    index.compact(4, () => {}),
    true,
  );
});

test("all but the newest writes can be dropped; an end without anything before it goes with them", () => {
  for (const [keep, left, dropped] of [
    [9, "2 3 5t 8 9", ""],
    [4, "3 5t 8 9", "2"],
    [3, "8 9", "2 3 5"],
    [2, "8 9", "2 3 5"],
    [1, "9", "2 3 5 8"],
  ] as const) {
    const index = new KeyIndex("k");
    for (const main of [2, 3]) index.put(main, 0);
    index.tombstone(5, 0);
    for (const main of [8, 9]) index.put(main, 0);
    const gone: number[] = [];
    assert.equal(
      index.keepNewest(keep, (main) => gone.push(main)),
      false,
    );
    assert.equal(gone.sort((a, b) => a - b).join(" "), dropped, `keep ${keep}`);
    const readable = [2, 3, 5, 8, 9].filter((at) => index.get(at)?.main === at);
    assert.deepEqual(
      readable,
      left
        .split(" ")
        .filter((text) => !text.endsWith("t"))
        .map(Number),
      `keep ${keep}`,
    );
  }
});
