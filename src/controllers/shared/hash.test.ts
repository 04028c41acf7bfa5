import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson, fnv1, fnv1a, revisionHash, safeEncode, templateHash } from "./hash.ts";

test("hashes and encodings are upstream's", () => {
  assert.equal(safeEncode("0123456789"), "456789bcdf");
  for (const [text, hash] of [
    ["", 2166136261],
    ["a", 84696446],
    ["hello", 3069866343],
  ] as const)
    assert.equal(fnv1(Buffer.from(text)), hash);
  assert.equal(fnv1a(Buffer.from("a")), 3826002220);
  assert.equal(fnv1a(Buffer.from("hello")), 1335831723);
  assert.equal(safeEncode(String(fnv1(Buffer.from("hello")))), "74bfdbb787");
});

test("a StatefulSet's revision has upstream's hash", () => {
  const data = canonicalJson({
    spec: {
      template: {
        spec: { containers: [{ name: "c", image: "nginx" }] },
        metadata: { labels: { app: "web" } },
        $patch: "replace",
      },
    },
  });
  assert.equal(
    data,
    '{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx","name":"c"}]}}}}',
  );
  assert.equal(revisionHash(data, 0), "5f4b46c5cc");
  assert.equal(revisionHash(data, 1), "5f4b46c5cb");
});

test("the taint manager's shards are upstream's", () => {
  assert.deepEqual(
    ["node-a", "node-b", "node-c"].map((name) => fnv1a(Buffer.from(name)) % 8),
    [3, 6, 1],
  );
});

test("a template's hash depends on its content and the collision count, not on the order of its keys", () => {
  assert.equal(templateHash({ a: 1, b: 2 }, undefined), templateHash({ b: 2, a: 1 }, undefined));
  assert.notEqual(templateHash({ a: 1 }, undefined), templateHash({ a: 2 }, undefined));
  assert.notEqual(templateHash({ a: 1 }, undefined), templateHash({ a: 1 }, 1));
});

test("JSON is escaped as Go escapes it", () => {
  assert.equal(canonicalJson({ a: "<&>" }), '{"a":"\\u003c\\u0026\\u003e"}');
});
