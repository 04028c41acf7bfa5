import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { RaftpbMessage } from "../../protocols/etcd/generated.ts";
import type { Entry, Message, MessageKind } from "../../raft/types.ts";
import { MessageError } from "./field-reader.ts";
import { MessageCodec } from "./message-codec.ts";
import { isLinkHeartbeat, streamDecoder, streamEncoder, type StreamKind } from "./stream-codec.ts";

const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const bytes = fc.uint8Array({ maxLength: 200 });
const entry: fc.Arbitrary<Entry> = fc.record({
  term: number,
  index: number,
  type: fc.constantFrom(0, 1, 2),
  data: bytes,
});
const ids = fc.array(
  id.filter((one) => one !== 0n),
  { maxLength: 4 },
);
const message: fc.Arbitrary<Message> = fc.record({
  type: fc.constantFrom<MessageKind>(
    "MsgApp",
    "MsgHeartbeat",
    "MsgAppResp",
    "MsgSnap",
    "MsgPreVote",
    "MsgForgetLeader",
  ),
  to: id,
  from: id,
  term: number,
  logTerm: number,
  index: number,
  entries: fc.array(entry, { maxLength: 5 }),
  commit: number,
  vote: id,
  snapshot: fc.option(
    fc.record({
      data: bytes,
      metadata: fc.record({
        confState: fc.record({
          voters: ids,
          learners: ids,
          votersOutgoing: ids,
          learnersNext: ids,
          autoLeave: fc.boolean(),
        }),
        index: fc.integer({ min: 1, max: 2 ** 40 }),
        term: number,
      }),
    }),
    { nil: undefined },
  ),
  reject: fc.boolean(),
  rejectHint: number,
  context: fc.option(fc.uint8Array({ minLength: 1, maxLength: 20 }), { nil: undefined }),
  responses: fc.constant([]),
});

/** Plain arrays in place of buffers and views. */
function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, comparable(one)]));
}

test("a message is read as it was written, and the declared type reads and writes the same", () => {
  const ours = new MessageCodec();
  const oracle = etcdCodec();
  fc.assert(
    fc.property(message, (sent) => {
      const encoded = ours.encode(sent);
      assert.deepEqual(comparable(ours.decode(encoded)), comparable(sent));
      const seen = oracle.decode(RaftpbMessage, encoded);
      assert.equal(seen.from ?? 0n, sent.from);
      assert.equal(seen.to ?? 0n, sent.to);
      assert.equal(seen.rejectHint ?? 0n, BigInt(sent.rejectHint));
      assert.deepEqual(
        seen.entries.map(({ Term = 0, Index = 0 }) => [Term, Index]),
        sent.entries.map(({ term, index }) => [term, index]),
      );
      const again = ours.decode(oracle.encode(RaftpbMessage, seen));
      assert.deepEqual(comparable(again), comparable(sent));
    }),
  );
});

test("bytes that are no message are refused, never misread into a crash", () => {
  const codec = new MessageCodec();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (garbage) => {
      try {
        codec.decode(garbage);
      } catch (error) {
        assert.ok(error instanceof MessageError);
      }
    }),
    { numRuns: 2000 },
  );
});

const append = (term: number, after: number, count: number, commit: number): Message => ({
  type: "MsgApp",
  to: 2n,
  from: 1n,
  term,
  logTerm: term,
  index: after,
  entries: Array.from({ length: count }, (_, i) => ({
    term,
    index: after + 1 + i,
    type: 0,
    data: Buffer.from(`e${i}`),
  })),
  commit,
  vote: 0n,
  snapshot: undefined,
  reject: false,
  rejectHint: 0,
  context: undefined,
  responses: [],
});

for (const kind of ["message", "msgappv2"] satisfies StreamKind[])
  test(`a ${kind} stream gives the same messages wherever its bytes are cut`, () => {
    const codec = new MessageCodec();
    const sent = [append(1, 5, 2, 4), append(1, 7, 1, 7), append(1, 8, 0, 8), append(2, 3, 3, 3), append(2, 6, 1, 5)];
    const encoder = streamEncoder(kind, codec);
    const wire = Buffer.concat([...sent.map((one) => encoder.encode(one)), encoder.heartbeat()]);
    for (let step = 1; step < wire.length; step += 3) {
      const decoder = streamDecoder(kind, codec, 2n, 1n);
      const received: Message[] = [];
      for (let at = 0; at < wire.length; at += step)
        decoder.push(wire.subarray(at, at + step), (one) => received.push(one));
      assert.ok(isLinkHeartbeat(received.pop()!));
      assert.deepEqual(comparable(received), comparable(sent));
    }
  });

test("appends that follow one another are sent without what the receiver knows", () => {
  const encoder = streamEncoder("msgappv2", new MessageCodec());
  assert.equal(encoder.encode(append(1, 5, 1, 5))[0], 2);
  assert.equal(encoder.encode(append(1, 6, 1, 5))[0], 1);
  assert.equal(encoder.encode(append(1, 9, 1, 5))[0], 2, "a gap is told in full");
});
