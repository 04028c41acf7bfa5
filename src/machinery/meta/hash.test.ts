import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson, fnv1, fnv1a, podTemplateHash, revisionHash } from "./hash.ts";
import { generateName, safeEncode } from "./names.ts";

test("hashes and their encoding are upstream's", () => {
  assert.deepEqual([fnv1(""), fnv1("a"), fnv1("hello")], [2166136261, 84696446, 3069866343]);
  assert.deepEqual([fnv1a("a"), fnv1a("hello")], [3826002220, 1335831723]);
  assert.equal(safeEncode("0123456789"), "456789bcdf");
  assert.equal(safeEncode("3069866343"), "74bfdbb787");
  const data =
    '{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx","name":"c"}]}}}}';
  assert.equal(revisionHash(data), "5f4b46c5cc");
  assert.equal(revisionHash(data, 1), "5f4b46c5cb");
});

test("a template's hash depends on its content and the collisions, not on the order of keys", () => {
  assert.equal(podTemplateHash({ a: 1, b: { c: 2, d: 3 } }), podTemplateHash({ b: { d: 3, c: 2 }, a: 1 }));
  assert.notEqual(podTemplateHash({ a: 1 }), podTemplateHash({ a: 1 }, 0));
  assert.notEqual(podTemplateHash({ a: 1 }, 0), podTemplateHash({ a: 1 }, 1));
  assert.equal(canonicalJson({ b: "<&>", a: [{ d: 1, c: 2 }] }), '{"a":[{"c":2,"d":1}],"b":"\\u003c\\u0026\\u003e"}');
});

test("a generated name keeps what fits of its prefix", () => {
  const random = { next: () => 0, bytes: (length: number) => new Uint8Array(length), fork: () => random };
  assert.equal(generateName("web-", random), "web-bbbbb");
  assert.equal(generateName("x".repeat(70), random), `${"x".repeat(58)}bbbbb`);
});
