import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { intervalOf, isValidPermissionRange, RangePermissions } from "./range-permissions.ts";

const permissions = (...granted: readonly (readonly [key: string, rangeEnd: string])[]) =>
  new RangePermissions(granted.map(([key, end]) => intervalOf(key, end)));

for (const [name, granted, [key, end], expected] of [
  ["a key by itself", [["a", ""]], ["a", ""], true],
  ["another key", [["a", ""]], ["b", ""], false],
  ["a key that begins with a granted one", [["a", ""]], ["aa", ""], false],
  ["a key as a range", [["a", ""]], ["a", "a\0"], true],
  ["a key at a range's begin", [["a", "c"]], ["a", ""], true],
  ["a key at a range's end", [["a", "c"]], ["c", ""], false],
  ["a part of a range", [["a", "d"]], ["b", "c"], true],
  ["more than a range", [["a", "d"]], ["b", "e"], false],
  [
    "two ranges that touch",
    [
      ["a", "b"],
      ["b", "c"],
    ],
    ["a", "c"],
    true,
  ],
  [
    "two ranges with a gap",
    [
      ["a", "b"],
      ["b\0", "c"],
    ],
    ["a", "c"],
    false,
  ],
  [
    "two ranges and the key between them",
    [
      ["a", "b"],
      ["b", ""],
      ["b\0", "c"],
    ],
    ["a", "c"],
    true,
  ],
  ["all keys from an open range", [["b", "\0"]], ["b", "\0"], true],
  ["all keys from before an open range", [["b", "\0"]], ["a", "\0"], false],
  ["a bounded range in an open one", [["b", "\0"]], ["c", "\xff"], true],
  ["an open range in a bounded one", [["a", "\xff"]], ["a", "\0"], false],
  ["every key", [["\0", "\0"]], ["\0", "\0"], true],
  [
    "an open range by two grants",
    [
      ["a", "c"],
      ["b", "\0"],
    ],
    ["a", "\0"],
    true,
  ],
  ["nothing, asked for in the wrong order", [["a", "d"]], ["c", "b"], true],
  ["nothing, where nothing is granted", [["a", "b"]], ["d", "c"], false],
] as const)
  test(`${name}: ${expected ? "allowed" : "denied"}`, () => {
    assert.equal(permissions(...granted).allows(key, end), expected);
  });

test("a permission needs a key, and its end has to come after it", () => {
  assert.equal(isValidPermissionRange("", ""), false);
  assert.equal(isValidPermissionRange("", "\0"), false);
  assert.equal(isValidPermissionRange("a", ""), true);
  assert.equal(isValidPermissionRange("a", "\0"), true);
  assert.equal(isValidPermissionRange("a", "b"), true);
  assert.equal(isValidPermissionRange("a", "a"), false);
  assert.equal(isValidPermissionRange("b", "a"), false);
});

test("a range is allowed when every key in it is, key by key", () => {
  // All keys of up to two letters, and one after them all: no bound below separates two of them that a longer key would tell apart.
  const letters = ["\0", "a", "b"];
  const keys = [...letters, ...letters.flatMap((one) => letters.map((other) => one + other))].flatMap((key) => [
    key,
    `${key}\0`,
    `${key}\x01`,
  ]);
  const key = fc.constantFrom(...letters, ...letters.flatMap((one) => letters.map((other) => one + other)));
  const range = fc.tuple(key, fc.oneof(fc.constant(""), fc.constant("\0"), key));
  const within = (one: string, [from, end]: readonly [string, string]) =>
    end === "" ? one === from : one >= from && (end === "\0" || one < end);
  fc.assert(
    fc.property(fc.array(range, { maxLength: 5 }), range, (granted, asked) => {
      const inside = [...keys, "z"].filter((one) => within(one, asked));
      if (inside.length === 0) return; // The table has these.
      const expected = inside.every((one) => granted.some((grant) => within(one, grant)));
      assert.equal(permissions(...granted).allows(...asked), expected);
    }),
    { numRuns: 2000 },
  );
});
