import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createCodec } from "../../wire/rpc/codec.ts";
import { writersByHand } from "./by-hand.ts";
import { enums, InternalRaftRequest, messages, RangeResponse } from "./generated.ts";

const slow = createCodec({ messages, enums });
const fast = createCodec({ messages, enums, byHand: writersByHand() });

const number = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 }), fc.maxSafeNat());
const id = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const bytes = fc.uint8Array({ maxLength: 200 });
const keyValue = fc.record(
  {
    key: bytes,
    create_revision: number,
    mod_revision: number,
    version: number,
    value: bytes,
    lease: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  },
  { requiredKeys: [] },
);
const header = fc.record({ cluster_id: id, member_id: id, revision: number, raft_term: number }, { requiredKeys: [] });

test("messages written by hand have the bytes that field tables give", () => {
  fc.assert(
    fc.property(header, fc.array(keyValue, { maxLength: 40 }), (header, kvs) => {
      const answer = { header, kvs, more: true, count: 7 };
      assert.deepEqual(fast.encode(RangeResponse, answer), slow.encode(RangeResponse, answer));
      // The ids of the last header are remembered.
      assert.deepEqual(fast.encode(RangeResponse, answer), slow.encode(RangeResponse, answer));
    }),
  );
});

test("a long list of items that grow from its end to its beginning is written whole", () => {
  const kvs = Array.from({ length: 500 }, (_, i) => ({
    key: Buffer.alloc(500 - i),
    value: Buffer.alloc(2 * (500 - i)),
  }));
  assert.deepEqual(fast.encode(RangeResponse, { kvs }), slow.encode(RangeResponse, { kvs }));
  assert.equal(fast.decode(RangeResponse, fast.encode(RangeResponse, { kvs })).kvs.length, 500);
});

test("of a message with many fields the few that are there are written in order", () => {
  const request = { put: { key: Uint8Array.of(107) }, t8s_keep_versions: 3, header: { ID: 5n }, ID: 9n };
  const whole = slow.fill(InternalRaftRequest, request);
  const reordered = Object.fromEntries(Object.entries(request).toReversed());
  assert.deepEqual(fast.encode(InternalRaftRequest, request), slow.encode(InternalRaftRequest, whole));
  assert.deepEqual(fast.encode(InternalRaftRequest, reordered), slow.encode(InternalRaftRequest, whole));
  assert.deepEqual(fast.decode(InternalRaftRequest, fast.encode(InternalRaftRequest, request)), whole);
});
