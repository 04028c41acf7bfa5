import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { customResource } from "./resource.ts";

/** The object, then lines of a column's type, its path and upstream's cell of it; `problem` where the path is none. */
const [first, ...lines] = readFileSync(new URL("columns.rows.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n");
const object = JSON.parse(first!);
const NOW = Date.parse("2026-06-01T00:00:00Z");

const definition = (versions: object[]): any => ({
  metadata: { name: "things.example.com" },
  spec: {
    group: "example.com",
    scope: "Cluster",
    names: { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" },
    versions,
  },
  status: { storedVersions: ["v1"], acceptedNames: {} },
});
const version = (more: object) => ({ name: "v1", served: true, storage: true, schema: {}, ...more });

test("a column shows what upstream shows of each path, in each type", () => {
  assert.ok(lines.length > 300);
  for (const line of lines) {
    const [type, jsonPath, { problem, cell }] = JSON.parse(line);
    const one = definition([version({ additionalPrinterColumns: [{ name: "C", type, jsonPath }] })]);
    const [, column] = customResource(one, one.spec.versions[0]).columns;
    assert.equal(column === undefined, problem === true, line);
    if (column === undefined) continue;
    const shown = column.cell(object, NOW);
    assert.deepEqual(cell === "(age)" && /^\d+[ydhms]/.test(String(shown)) ? cell : shown, cell, line);
  }
});

test("a deprecated version names the newest one that isn't", () => {
  const versions = [
    { ...version({}), deprecated: true },
    { ...version({ name: "v1beta1", storage: false }), deprecated: true },
    version({ name: "v2", storage: false }),
    version({ name: "v3", storage: false, served: false }),
    version({ name: "v2beta1", storage: false }),
  ];
  const of = (i: number, all: any[]) => customResource(definition(all), all[i]).deprecated?.warning;
  assert.equal(of(0, versions), "example.com/v1 Thing is deprecated; use example.com/v2 Thing");
  assert.equal(of(0, versions.slice(0, 2)), "example.com/v1 Thing is deprecated");
  assert.equal(of(1, versions.slice(0, 3)), "example.com/v1beta1 Thing is deprecated; use example.com/v2 Thing");
});
