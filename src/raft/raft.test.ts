import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createRandom } from "../testing/raft/network.ts";
import { decodeConfChange, encodeConfChange } from "./conf-change.ts";
import type { Config } from "./config.ts";
import { quote } from "./describe.ts";
import { countWithin, encodedSize } from "./entry-size.ts";
import { isRaftError } from "./errors.ts";
import { silentLogger } from "./logger.ts";
import { RaftLog } from "./log.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { createMessage } from "./message.ts";
import { RawNode } from "./raw-node.ts";
import { EMPTY_CONF_STATE } from "./storage.ts";
import { Inflights } from "./tracker/inflights.ts";
import type { ConfChange, Entry, NodeId } from "./types.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function entry(index: number, term: number, data = ""): Entry {
  return { index, term, type: 0, data: bytes(data) };
}

function member(voters: readonly NodeId[], config: Partial<Config> = {}): { node: RawNode; storage: MemoryStorage } {
  const storage = new MemoryStorage();
  const confState = { ...EMPTY_CONF_STATE, voters };
  storage.applySnapshot({ data: bytes(""), metadata: { confState, index: 1, term: 1 } });
  storage.setHardState({ term: 1, vote: 0n, commit: 1 });
  const options = { id: 1n, electionTick: 10, heartbeatTick: 1, maxInflightMsgs: 16, random: () => 0 };
  return { node: new RawNode({ ...options, storage, applied: 1, ...config }), storage };
}

/** Does the work until there is none, and gives what was applied. */
function work({ node, storage }: { node: RawNode; storage: MemoryStorage }): readonly Entry[] {
  const applied: Entry[] = [];
  while (node.hasReady()) {
    const ready = node.ready();
    if (ready.hardState !== undefined) storage.setHardState(ready.hardState);
    storage.append(ready.entries);
    applied.push(...ready.committedEntries);
    node.advance();
  }
  return applied;
}

test("an election timeout lies in [T, 2T - 1], each as likely as the other, and is drawn anew in each term (paper, section 5.2)", () => {
  const { node } = member([1n, 2n], { random: createRandom(1) });
  const counts = new Map<number, number>();
  for (let i = 0; i < 5_000; i++) {
    node.campaign();
    const { randomizedElectionTimeout } = node.raft;
    counts.set(randomizedElectionTimeout, (counts.get(randomizedElectionTimeout) ?? 0) + 1);
  }
  assert.deepEqual(
    [...counts.keys()].sort((a, b) => a - b),
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  );
  for (const count of counts.values()) assert.ok(count > 400 && count < 600, `${count} of about 500`);
});

test("a member that is alone leads at once, and gives back the entry that was proposed", () => {
  const alone = member([1n]);
  alone.node.campaign();
  work(alone);
  const proposed = alone.node.propose(bytes("one"));
  const applied = work(alone);
  assert.equal(applied.length, 1);
  assert.equal(applied[0], proposed);
});

test("a follower that has heard from its leader doesn't campaign before its timeout (paper, section 5.2)", () => {
  const { node } = member([1n, 2n]);
  for (let i = 0; i < 9; i++) node.tick();
  node.step(createMessage({ type: "MsgHeartbeat", from: 2n, to: 1n, term: 2 }));
  for (let i = 0; i < 9; i++) node.tick();
  assert.equal(node.basicStatus().raftState, "StateFollower");
  node.tick();
  assert.equal(node.basicStatus().raftState, "StateCandidate");
});

test("what only a member itself may say isn't taken from others, nor answers of strangers", () => {
  const { node } = member([1n, 2n]);
  const step = (type: "MsgHup" | "MsgStorageAppendResp" | "MsgAppResp", from: NodeId) => () =>
    node.step(createMessage({ type, from, to: 1n }));
  assert.throws(step("MsgHup", 2n), (error) => isRaftError(error, "local message"));
  assert.throws(step("MsgStorageAppendResp", 2n), (error) => isRaftError(error, "local message"));
  assert.throws(step("MsgAppResp", 9n), (error) => isRaftError(error, "peer not found"));
});

test("a proposal without a leader is dropped with an error that says so", () => {
  const { node } = member([1n, 2n]);
  assert.throws(() => node.propose(bytes("one")), {
    name: "RaftError",
    code: "proposal dropped",
    message: "raft proposal dropped",
  });
});

test("a new group starts with its members as committed changes, which are applied like any other", () => {
  const storage = new MemoryStorage();
  const node = new RawNode({
    id: 1n,
    electionTick: 10,
    heartbeatTick: 1,
    maxInflightMsgs: 16,
    random: () => 0,
    storage,
  });
  node.bootstrap([
    { id: 1n, context: bytes("first") },
    { id: 2n, context: bytes("") },
  ]);
  const applied = work({ node, storage });
  assert.deepEqual(
    applied
      .map(({ type, data }) => decodeConfChange(type, data))
      .map(({ changes, context }) => [changes[0]!.nodeId, quote(context)]),
    [
      [1n, '"first"'],
      [2n, '""'],
    ],
  );
  assert.equal(storage.initialState().hardState.commit, 2);
});

test("a work that isn't confirmed must not be followed by another", () => {
  const { node } = member([1n]);
  node.campaign();
  node.ready();
  assert.throws(() => node.ready(), /two accepted Ready structs without call to Advance/);
});

test("a leader alone that doesn't know yet what is committed answers no read", () => {
  const alone = member([1n]);
  alone.node.campaign();
  alone.node.ready();
  alone.node.advance(); // Its vote is kept: it leads, and its first entry isn't.
  alone.node.readIndex(bytes("read"));
  let ready = alone.node.ready();
  assert.deepEqual(ready.readStates, []);
  alone.storage.append(ready.entries);
  alone.node.advance();
  ready = alone.node.ready();
  assert.deepEqual(ready.readStates, [{ index: 2, context: bytes("read") }]);
});

test("a log is read across what is stable and what isn't, up to a number of bytes and one entry at least", () => {
  const storage = new MemoryStorage();
  storage.append([1, 2, 3].map((index) => entry(index, 1, "abcd")));
  const log = new RaftLog(storage, silentLogger, Infinity);
  log.append([4, 5].map((index) => entry(index, 2, "abcd")));
  const size = encodedSize(entry(1, 1, "abcd"));
  const slice = (lo: number, hi: number, max: number) => log.slice(lo, hi, max)?.map(({ index }) => index);
  assert.deepEqual(slice(1, 6, Infinity), [1, 2, 3, 4, 5]);
  assert.deepEqual(slice(2, 6, size * 3), [2, 3, 4]);
  assert.deepEqual(slice(2, 6, size * 2 + 1), [2, 3]);
  assert.deepEqual(slice(1, 6, 0), [1]);
  assert.deepEqual(slice(4, 6, 0), [4]);
  assert.deepEqual(slice(3, 3, Infinity), []);
  storage.compact(2);
  assert.equal(slice(2, 4, Infinity), undefined);
  assert.deepEqual([log.term(1), log.term(2), log.term(5), log.term(6)], [undefined, 1, 2, undefined]);
});

test("a conflict is found term by term", () => {
  const storage = new MemoryStorage();
  storage.append([1, 1, 2, 2, 4, 4, 4].map((term, i) => entry(i + 1, term)));
  const log = new RaftLog(storage, silentLogger, Infinity);
  assert.deepEqual(log.findConflictByTerm(7, 4), { index: 7, term: 4 });
  assert.deepEqual(log.findConflictByTerm(7, 3), { index: 4, term: 2 });
  assert.deepEqual(log.findConflictByTerm(4, 1), { index: 2, term: 1 });
  assert.deepEqual(log.findConflictByTerm(3, 0), { index: 0, term: 0 });
});

test("an entry takes as many bytes as its protobuf form has", () => {
  assert.equal(encodedSize(entry(1, 1)), 4);
  assert.equal(encodedSize({ ...entry(1, 1), type: 2 }), 6);
  assert.equal(encodedSize(entry(128, 127, "x".repeat(128))), 2 + 3 + 131);
  assert.equal(encodedSize(entry(2 ** 35, 2 ** 28)), 1 + 6 + 1 + 5);
  assert.equal(encodedSize(entry(2 ** 42, 1)), 1 + 7 + 2);
});

test("at least one entry counts within a limit, and no more than fit", () => {
  const entries = [1, 2, 3].map((index) => entry(index, 1, "ab"));
  const size = encodedSize(entries[0]!);
  for (const [max, count] of [
    [0, 1],
    [size, 1],
    [size * 2, 2],
    [size * 3 - 1, 2],
    [size * 3, 3],
    [Infinity, 3],
  ] as const)
    assert.equal(countWithin(entries, 0, 3, max), count, `${max}`);
  assert.equal(countWithin(entries, 3, 3, 0), 0);
});

test("a ring of inflights holds what a list would", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.tuple(fc.boolean(), fc.nat(9))), (size, steps) => {
      const inflights = new Inflights(size, 20);
      let list: (readonly [index: number, bytes: number])[] = [];
      let next = 1;
      for (const [isAdd, number] of steps) {
        if (!isAdd) {
          const to = next - number;
          inflights.freeTo(to);
          list = list.filter(([index]) => index > to);
        } else if (!inflights.full) {
          inflights.add(next, number);
          list.push([next++, number]);
        }
        const total = list.reduce((sum, [, count]) => sum + count, 0);
        assert.deepEqual([inflights.count, inflights.bytes], [list.length, total]);
        assert.equal(inflights.full, list.length === size || total >= 20);
      }
    }),
  );
});

test("a change of members is read back as it was written, in both forms", () => {
  const id = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const single = fc.record(
    {
      type: fc.constantFrom(
        "ConfChangeAddNode",
        "ConfChangeRemoveNode",
        "ConfChangeUpdateNode",
        "ConfChangeAddLearnerNode",
      ),
      nodeId: id,
    },
    { noNullPrototype: true },
  );
  const context = fc.uint8Array();
  const first = fc.record(
    {
      id,
      transition: fc.constant("ConfChangeTransitionAuto"),
      changes: fc.tuple(single),
      context,
    },
    { noNullPrototype: true },
  ) as fc.Arbitrary<ConfChange>;
  const second = fc.record(
    {
      transition: fc.constantFrom(
        "ConfChangeTransitionAuto",
        "ConfChangeTransitionJointImplicit",
        "ConfChangeTransitionJointExplicit",
      ),
      changes: fc.array(single),
      context,
    },
    { noNullPrototype: true },
  ) as fc.Arbitrary<ConfChange>;
  for (const [form, changes] of [
    [1, first],
    [2, second],
  ] as const)
    fc.assert(
      fc.property(changes, (change) =>
        assert.deepEqual(decodeConfChange(form, encodeConfChange(change, form)), change),
      ),
    );
});

test("damaged changes of members are refused", () => {
  for (const data of [[8], [18, 5, 1], [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], [16, 9], [15]])
    assert.throws(() => decodeConfChange(1, Uint8Array.from(data)));
});

test("bytes are quoted as Go quotes them", () => {
  assert.equal(
    quote(Uint8Array.from([0x61, 0x22, 0x5c, 0x0a, 0x00, 0x7f, 0xff, 0xc3, 0xa4])),
    '"a\\"\\\\\\n\\x00\\x7f\\xffä"',
  );
});

test("a memory storage keeps what is asked of it, and says what it doesn't have", () => {
  const storage = new MemoryStorage();
  storage.append([1, 2, 3, 4].map((index) => entry(index, index)));
  storage.createSnapshot(3, { ...EMPTY_CONF_STATE, voters: [1n] }, bytes("state"));
  assert.deepEqual(storage.snapshot().metadata, {
    confState: { ...EMPTY_CONF_STATE, voters: [1n] },
    index: 3,
    term: 3,
  });
  assert.throws(
    () => storage.createSnapshot(3, undefined, bytes("")),
    (error) => isRaftError(error, "snapshot out of date"),
  );
  storage.compact(2);
  assert.deepEqual([storage.firstIndex(), storage.lastIndex(), storage.term(2)], [3, 4, 2]);
  assert.throws(
    () => storage.term(1),
    (error) => isRaftError(error, "compacted"),
  );
  assert.throws(
    () => storage.term(5),
    (error) => isRaftError(error, "unavailable"),
  );
  assert.throws(
    () => storage.entries(2, 4, Infinity),
    (error) => isRaftError(error, "compacted"),
  );
  // What is appended replaces what is there; the compacted part of it is left out.
  storage.append([2, 3].map((index) => entry(index, 9)));
  assert.deepEqual(
    storage.entries(3, 4, Infinity).map(({ term }) => term),
    [9],
  );
  assert.throws(() => storage.append([entry(9, 9)]), /missing log entry \[last: 3, append at: 9\]/);
});
