import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IntervalTree } from "./interval-tree.ts";

test("an interval tree finds the ranges that a look at each of them finds, after additions and removals", () => {
  const key = fc.integer({ min: 0, max: 40 }).map((n) => String.fromCharCode(48 + n));
  const range = fc.tuple(key, fc.option(key, { nil: undefined }));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), range), { maxLength: 200 }), (steps) => {
      const tree = new IntervalTree<number>();
      let model: { from: string; end: string | undefined; value: number }[] = [];
      steps.forEach(([add, [from, end]], value) => {
        if (add || model.length === 0) {
          tree.add(from, end, value);
          model.push({ from, end, value });
        } else {
          const gone = model[value % model.length]!;
          assert.equal(tree.delete(gone.from, gone.end, gone.value), true);
          model = model.filter((entry) => entry !== gone);
        }
      });
      for (let code = 47; code < 90; code++) {
        const point = String.fromCharCode(code);
        const got: number[] = [];
        tree.stab(point, (value) => got.push(value));
        const want = model.filter(({ from, end }) => from <= point && (end === undefined || point < end));
        assert.deepEqual(got.sort(), want.map(({ value }) => value).sort());
      }
    }),
  );
});
