import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import { restoreError } from "./restore.ts";
import { applyStrategicMergePatch, show } from "./strategic.ts";

const map = schemaOf("io.k8s.api.core.v1.ConfigMap");

test("what can't be put together is told as Go's converter tells it", () => {
  const rows: readonly (readonly [object, string | undefined])[] = [
    [{ data: { a: "b" }, metadata: { labels: null, generation: 1 }, immutable: true, extra: 1 }, undefined],
    [{ data: 5 }, "cannot restore map from int64"],
    [{ data: { a: 5 } }, "cannot convert int64 to string"],
    [{ data: { a: 1.5 } }, "unrecognized type: string"],
    [{ data: { a: { b: 1 } } }, "unrecognized type: string"],
    [{ metadata: "x" }, "cannot restore struct from: string"],
    [{ metadata: { finalizers: 5 } }, "cannot restore slice from int64"],
    [{ metadata: { finalizers: { a: 1 } } }, "cannot restore slice from map"],
    [{ metadata: { labels: ["a"] } }, "cannot restore map from slice"],
    [{ metadata: { ownerReferences: [5] } }, "cannot restore struct from: int64"],
    [{ metadata: { generation: "x" } }, "unrecognized type: int64"],
    [{ immutable: "x" }, "unrecognized type: bool"],
    [{ binaryData: { a: "!!" } }, "error decoding from json: illegal base64 data at input byte 0"],
  ];
  for (const [tree, words] of rows) assert.equal(restoreError(tree, map), words, JSON.stringify(tree));
});

test("a tree is shown as Go prints it", () => {
  assert.equal(show({ b: [1, { c: null }], a: "x y" }), "map[a:x y b:[1 map[c:<nil>]]]");
});

test("a directive that isn't text is shown as what it is", () => {
  assert.throws(() => applyStrategicMergePatch({}, { $patch: 5 }, map), {
    message: "unknown patch type: %!s(int64=5) in map: map[$patch:5]",
  });
});
