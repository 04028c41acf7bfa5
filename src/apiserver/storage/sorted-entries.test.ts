import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Entry } from "./entry.ts";
import { SortedEntries } from "./sorted-entries.ts";

const entry = (key: string, revision = 1) =>
  new Entry(key, revision, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: key } } as never);
const key = fc.tuple(fc.constantFrom("a/", "b/", "c/", "b"), fc.integer({ min: 0, max: 4000 })).map(([a, b]) => a + b);

test("whatever comes and goes, entries are those of a map in the order of their keys", () => {
  const change = fc.record({ key, set: fc.double({ min: 0, max: 1, noNaN: true }).map((part) => part < 0.7) });
  fc.assert(
    fc.property(
      fc.array(key, { maxLength: 3000, size: "max" }),
      fc.array(change, { maxLength: 3000, size: "max" }),
      (start, changes) => {
        const map = new Map(start.map((name) => [name, entry(name)]));
        const inOrder = () => [...map.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
        const sorted = SortedEntries.of(inOrder());
        changes.forEach(({ key: name, set }, i) => {
          if (set) {
            const next = entry(name, i);
            map.set(name, next);
            sorted.set(next);
          } else {
            map.delete(name);
            sorted.delete(name);
          }
        });
        const all = inOrder();
        assert.ok([...sorted].every((one, i) => one === all[i]));
        assert.equal(sorted.size, all.length);
        for (const prefix of ["", "a/", "b", "b/", "b/39", "c/4000", "z"]) {
          const wanted = all.filter((one) => one.key.startsWith(prefix));
          assert.deepEqual(
            sorted.withPrefix(prefix).map((one) => one.key),
            wanted.map((one) => one.key),
          );
          assert.equal(sorted.count(prefix), wanted.length);
          assert.equal(sorted.withPrefix(prefix, 3).at(-1)?.key, wanted.slice(0, 3).at(-1)?.key);
        }
      },
    ),
    { numRuns: 30 },
  );
});
