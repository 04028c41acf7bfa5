import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  EMPTY,
  decodeFieldSet,
  difference,
  equalSets,
  fieldSet,
  inWireOrder,
  intersection,
  isSubset,
  keyElement,
  pathsOf,
  recursiveDifference,
  union,
  valueElement,
  type FieldSet,
} from "./field-set.ts";

test("a node that is owned and has owned fields below carries a dot", () => {
  assert.deepEqual(union(fieldSet("a"), fieldSet("a.b")), { "f:a": { ".": {}, "f:b": {} } });
});

test("difference leaves what is below an owned parent, recursive difference doesn't", () => {
  assert.deepEqual(difference(fieldSet("a.b.c"), fieldSet("a.b")), fieldSet("a.b.c"));
  assert.deepEqual(recursiveDifference(fieldSet("a.b.c", "d"), fieldSet("a.b")), fieldSet("d"));
});

test("elements are ordered names, keys, values, indices; numbers before strings", () => {
  const set = {
    "i:0": {},
    "v:true": {},
    'v:"b"': {},
    "v:10": {},
    "v:9": {},
    'k:{"name":"b"}': {},
    'k:{"name":"a"}': {},
    "f:b": {},
    "f:a": {},
    ".": {},
  };
  assert.deepEqual(Object.keys(inWireOrder(set as unknown as FieldSet)), [
    ".",
    "f:a",
    "f:b",
    'k:{"name":"a"}',
    'k:{"name":"b"}',
    "v:9",
    "v:10",
    'v:"b"',
    "v:true",
    "i:0",
  ]);
});

test("HTML is escaped inside keys and values", () => {
  assert.equal(keyElement([["name", "<a>"]]), 'k:{"name":"\\u003ca\\u003e"}');
  assert.equal(valueElement("a&b"), 'v:"a\\u0026b"');
});

test("messages print paths members first", () => {
  const set: FieldSet = {
    "f:spec": { "f:ports": { 'k:{"port":80,"protocol":"TCP"}': { ".": EMPTY, "f:name": EMPTY } }, "f:type": EMPTY },
    "f:metadata": { "f:finalizers": { 'v:"x"': EMPTY } },
  };
  assert.deepEqual(pathsOf(set), [
    '.metadata.finalizers[="x"]',
    ".spec.type",
    '.spec.ports[port=80,protocol="TCP"]',
    '.spec.ports[port=80,protocol="TCP"].name',
  ]);
});

test("elements of unknown kind are dropped, malformed ones refused", () => {
  assert.deepEqual(decodeFieldSet({ "f:a": {}, "x:b": { "f:c": {} } }), { "f:a": {} });
  assert.throws(() => decodeFieldSet({ f: {} }), /key must be 2 characters long/);
  assert.throws(() => decodeFieldSet({ foo: {} }), /missing colon/);
});

const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((names) => names.join("."));
const paths = fc.array(path, { maxLength: 8 });
/** Twin: a set of path strings. */
const twin = (set: FieldSet) => new Set(pathsOf(set));

test("set operations agree with sets of paths", () => {
  fc.assert(
    fc.property(paths, paths, (left, right) => {
      const [a, b] = [fieldSet(...left), fieldSet(...right)];
      const [ta, tb] = [twin(a), twin(b)];
      assert.deepEqual([...twin(union(a, b))].sort(), [...new Set([...ta, ...tb])].sort());
      assert.deepEqual([...twin(intersection(a, b))].sort(), [...ta].filter((path) => tb.has(path)).sort());
      assert.deepEqual([...twin(difference(a, b))].sort(), [...ta].filter((path) => !tb.has(path)).sort());
      assert.equal(
        isSubset(a, b),
        [...ta].every((path) => tb.has(path)),
      );
      assert.ok(equalSets(difference(a, EMPTY), a));
    }),
  );
});
