import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyIndex } from "./key-index.ts";

/** Two generations: created at 2, changed at 4, deleted at 6; created again at 8, changed at 9. */
function example(): KeyIndex {
  const index = new KeyIndex("k");
  for (const main of [2, 4]) index.put({ main, sub: 0 });
  index.tombstone({ main: 6, sub: 0 });
  for (const main of [8, 9]) index.put({ main, sub: 0 });
  return index;
}

const describe = (index: KeyIndex, at: number) => {
  const found = index.get(at);
  return found && `${found.modified.main} v${found.version} since ${found.created.main}`;
};

for (const [at, want] of [
  [1, undefined],
  [2, "2 v1 since 2"],
  [3, "2 v1 since 2"],
  [5, "4 v2 since 2"],
  [6, undefined],
  [7, undefined],
  [8, "8 v1 since 8"],
  [100, "9 v2 since 8"],
] as const)
  test(`a reader at ${at} meets ${want ?? "nothing"}`, () => assert.equal(describe(example(), at), want));

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
    assert.equal(index.keep(at)?.main, kept);
    const gone: number[] = [];
    assert.equal(
      index.compact(at, ({ main }) => gone.push(main)),
      false,
    );
    assert.deepEqual(gone, dropped);
    for (let reader = at; reader < 12; reader++) assert.equal(describe(index, reader), describe(example(), reader));
  });

test("a deleted key is gone with the first compaction past its tombstone", () => {
  const index = new KeyIndex("k");
  index.put({ main: 2, sub: 0 });
  index.tombstone({ main: 3, sub: 0 });
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
    for (const main of [2, 3]) index.put({ main, sub: 0 });
    index.tombstone({ main: 5, sub: 0 });
    for (const main of [8, 9]) index.put({ main, sub: 0 });
    const gone: number[] = [];
    assert.equal(
      index.keepNewest(keep, ({ main }) => gone.push(main)),
      false,
    );
    assert.equal(gone.sort((a, b) => a - b).join(" "), dropped, `keep ${keep}`);
    const readable = [2, 3, 5, 8, 9].filter((at) => index.get(at)?.modified.main === at);
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
