import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { apiVersionOf } from "../machinery/resource.ts";
import { goldenFile } from "../testing/golden.ts";
import { humanDuration, labelsText } from "./columns.ts";
import { builtinResources } from "./index.ts";

test("a duration reads in at most two units, and fewer the longer it is", () => {
  const s = 1000;
  const m = 60 * s;
  const h = 60 * m;
  const d = 24 * h;
  for (const [milliseconds, text] of [
    [-5 * s, "<invalid>"],
    [-1 * s, "0s"],
    [0, "0s"],
    [119 * s, "119s"],
    [120 * s, "2m"],
    [5 * m + 30 * s, "5m30s"],
    [10 * m + 30 * s, "10m"],
    [179 * m, "179m"],
    [3 * h, "3h"],
    [3 * h + 5 * m, "3h5m"],
    [8 * h + 5 * m, "8h"],
    [47 * h, "47h"],
    [2 * d + 4 * h, "2d4h"],
    [8 * d + 4 * h, "8d"],
    [729 * d, "729d"],
    [731 * d, "2y1d"],
    [9 * 365 * d, "9y"],
  ] as const)
    assert.equal(humanDuration(milliseconds), text);
});

test("labels are sorted pairs", () => {
  assert.equal(labelsText({ b: "2", a: "1" }), "a=1,b=2");
  assert.equal(labelsText({}), "<none>");
  assert.equal(labelsText(undefined), "<none>");
});

test("the columns of every kind are those of the golden file", () => {
  const lines = builtinResources.map((resource) => {
    const columns = resource.columns.map(
      ({ name, type, format, priority, isUntold }) =>
        `${isUntold ? "?" : ""}${name}:${type}${format === undefined || format === "" ? "" : `(${format})`}${priority === 0 ? "" : "+"}`,
    );
    return `${apiVersionOf(resource)} ${resource.kind}: ${columns.join(" | ")}`;
  });
  goldenFile(join(import.meta.dirname, "columns.golden.txt"), `${lines.join("\n")}\n`);
});

test("what every column of every kind is about is told, but for those that upstream has no words for", () => {
  const silent = builtinResources.flatMap((resource) =>
    resource.columns
      .filter(({ description, isUntold }) => (description ?? "") === "" && isUntold !== true)
      .map(({ name }) => `${resource.kind} ${name}`),
  );
  assert.deepEqual(
    new Set(silent),
    new Set(["LeaseCandidate BinaryVersion", "LeaseCandidate EmulationVersion", "RuntimeClass Handler"]),
  );
});
