import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SortedMap } from "./sorted-map.ts";

test("a sorted map answers as a sorted array of entries does, through splits and removals", () => {
  const key = fc.integer({ min: 0, max: 3000 }).map((n) => n.toString(36));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("set", "set", "set", "delete"), key), {
        maxLength: 4000,
        minLength: 1500,
        size: "max",
      }),
      key,
      key,
      (steps, from, end) => {
        const map = new SortedMap<number>((value) => value % 3);
        const model = new Map<string, number>();
        steps.forEach(([step, key], i) => {
          if (step === "set") {
            map.set(key, i);
            model.set(key, i);
          } else assert.equal(map.delete(key), model.delete(key));
        });
        const want = [...model].filter(([key]) => key >= from && key < end).sort(([a], [b]) => (a < b ? -1 : 1));
        const got: [string, number][] = [];
        map.forEach(from, end, (value, key) => void got.push([key, value]));
        assert.deepEqual(got, want);
        assert.equal(map.size, model.size);
        assert.equal(
          map.weightBetween(from, end),
          want.reduce((sum, [, value]) => sum + (value % 3), 0),
        );
        assert.equal(
          map.weightBetween("", undefined),
          [...model.values()].reduce((sum, value) => sum + (value % 3), 0),
        );
        for (const [key, value] of model) assert.equal(map.get(key), value);
      },
    ),
    { numRuns: 20 },
  );
});
