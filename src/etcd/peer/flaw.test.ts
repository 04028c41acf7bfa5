import assert from "node:assert/strict";
import { test } from "node:test";
import { createMessage } from "../../raft/message.ts";
import type { Entry, Message } from "../../raft/types.ts";
import { flawOf } from "./flaw.ts";

const entry = (index: number, term: number): Entry => ({ index, term, type: 0, data: new Uint8Array(0) });
const append = (fields: Partial<Message>): Message =>
  createMessage({ type: "MsgApp", from: 2n, to: 1n, term: 3, logTerm: 2, index: 7, ...fields });
const confState = { voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
const snapshot = (index: number, term: number) => ({ data: new Uint8Array(0), metadata: { index, term, confState } });

const CASES: readonly (readonly [what: string, message: Message, flaw: RegExp | undefined])[] = [
  ["an append", append({ entries: [entry(8, 2), entry(9, 3)] }), undefined],
  ["an append of nothing", append({}), undefined],
  ["a gap at the beginning", append({ entries: [entry(9, 3)] }), /entry 9 is where 8 should be/],
  ["a gap within", append({ entries: [entry(8, 2), entry(10, 3)] }), /entry 10 is where 9 should be/],
  ["an entry twice", append({ entries: [entry(8, 2), entry(8, 2)] }), /entry 8 is where 9 should be/],
  ["terms that go back", append({ entries: [entry(8, 3), entry(9, 2)] }), /entry 9 is of term 2 behind 3/],
  ["an entry of a term to come", append({ entries: [entry(8, 4)] }), /entry 8 is of term 4/],
  ["a place of a term to come", append({ logTerm: 4 }), /later term/],
  ["no term", append({ term: 0, logTerm: 0 }), /no term/],
  ["a proposal", createMessage({ type: "MsgProp", from: 2n, to: 1n, entries: [entry(0, 0)] }), undefined],
  ["a read", createMessage({ type: "MsgReadIndex", from: 2n, to: 1n }), undefined],
  ["a snapshot", append({ type: "MsgSnap", snapshot: snapshot(5, 3) }), undefined],
  ["a snapshot of nothing", append({ type: "MsgSnap", snapshot: snapshot(0, 0) }), /no snapshot/],
  ["a snapshot without one", append({ type: "MsgSnap" }), /no snapshot/],
  ["a snapshot of a term to come", append({ type: "MsgSnap", snapshot: snapshot(5, 4) }), /later term/],
];

for (const [what, message, flaw] of CASES)
  test(`${what} is ${flaw === undefined ? "taken" : "refused"}`, () => {
    const found = flawOf(message);
    if (flaw === undefined) assert.equal(found, undefined);
    else assert.match(found ?? "", flaw);
  });
