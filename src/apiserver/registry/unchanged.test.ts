import assert from "node:assert/strict";
import { test } from "node:test";
import { sameStored } from "./unchanged.ts";

test("objects are stored alike whatever the order of their members, and with members that are undefined", () => {
  assert.equal(sameStored({ a: 1, b: { c: [1, 2] } }, { b: { c: [1, 2], d: undefined }, a: 1 }), true);
  assert.equal(sameStored({ a: undefined }, {}), true);
  assert.equal(sameStored({ a: null }, {}), false);
  assert.equal(sameStored({ a: 1 }, { a: 1, b: 2 }), false);
  assert.equal(sameStored({ a: 1, b: 2 }, { a: 1 }), false);
  assert.equal(sameStored({ a: [1, 2] }, { a: [2, 1] }), false);
  assert.equal(sameStored({ a: [] }, { a: {} }), false);
});
