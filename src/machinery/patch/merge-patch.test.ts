import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { deepFreeze } from "../../base/mutable.ts";
import { applyMergePatch } from "./merge-patch.ts";

/** The examples of RFC 7386, appendix A, where the patch is an object. */
const EXAMPLES: readonly [document: unknown, patch: unknown, expected: unknown][] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

test("the examples of RFC 7386", () => {
  for (const [document, patch, expected] of EXAMPLES) {
    assert.deepEqual(applyMergePatch(deepFreeze(document), deepFreeze(patch)), expected);
  }
});

test("nulls inside new values are pruned from objects and kept as elements of lists", () => {
  assert.deepEqual(applyMergePatch({}, { a: [{ b: null, c: 1 }, null] }), { a: [{ c: 1 }, null] });
});

test("a scalar is no patch", () => {
  assert.throws(() => applyMergePatch({}, null), { code: 400, message: "Invalid JSON Patch" });
});

test("what the patch leaves as it is keeps its identity", () => {
  const document = deepFreeze({ a: { b: 1 }, c: { d: {} } });
  assert.equal(applyMergePatch(document, { a: { b: 1 }, x: null }), document);
  assert.equal((applyMergePatch(document, { a: { b: 2 } }) as typeof document).c, document.c);
});

function naive(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null) return patch;
  if (Array.isArray(patch)) {
    return patch.map((item) =>
      typeof item === "object" && item !== null && !Array.isArray(item)
        ? naive({}, item)
        : Array.isArray(item)
          ? naive([], item)
          : item,
    );
  }
  const result: Record<string, unknown> =
    typeof target === "object" && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = naive(result[key], value);
  }
  return result;
}

test("agrees with the algorithm as the RFC writes it", () => {
  const keys = fc.constantFrom("a", "b", "c");
  const { tree } = fc.letrec((tie) => ({
    tree: fc.dictionary(
      keys,
      fc.oneof(fc.constantFrom(null, 1, "x"), fc.array(tie("tree"), { maxLength: 2 }), tie("tree")),
      { noNullPrototype: true },
    ),
  }));
  fc.assert(
    fc.property(tree, tree, (document, patch) =>
      assert.deepEqual(applyMergePatch(deepFreeze(document), deepFreeze(patch)), naive(document, patch)),
    ),
    { numRuns: 300 },
  );
});
