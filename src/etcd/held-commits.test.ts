import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry, Message } from "../raft/types.ts";
import type { Clock } from "../world/world.ts";
import { HeldCommits } from "./held-commits.ts";

const ENTRY: Entry = { term: 1, index: 8, type: 0, data: Uint8Array.of(1) };

function message(type: Message["type"], to: bigint, commit: number, entries: readonly Entry[] = []): Message {
  const nothing = { snapshot: undefined, reject: false, rejectHint: 0, context: undefined, responses: [], vote: 0n };
  return { type, to, from: 1n, term: 1, logTerm: 1, index: 7, entries, commit, ...nothing };
}

function holder() {
  let now = 0;
  let due: { readonly at: number; readonly run: () => void } | undefined;
  const clock: Pick<Clock, "monotonic" | "after"> = {
    monotonic: () => now,
    after(ms, run) {
      due = { at: now + ms, run };
      return { [Symbol.dispose]: () => (due = undefined) };
    },
  };
  const released: Message[] = [];
  const held = new HeldCommits(clock, (messages) => released.push(...messages));
  return {
    held,
    released,
    pass: (...messages: readonly Message[]) => held.pass(messages, (id) => id !== 9n),
    waits() {
      return due !== undefined;
    },
    passTime(ms: number) {
      now += ms;
      while (due !== undefined && due.at <= now) {
        const { run } = due;
        due = undefined;
        run();
      }
    },
  };
}

test("a commit that nothing follows is told a moment later", () => {
  const { pass, passTime, released, waits } = holder();
  const commit = message("MsgApp", 2n, 7);
  assert.deepEqual(pass(commit, message("MsgApp", 3n, 7)), []);
  assert.deepEqual(released, []);
  passTime(1);
  assert.deepEqual(released, [commit, message("MsgApp", 3n, 7)]);
  assert.equal(waits(), false);
});

test("the next entries say it too, each follower's its own", () => {
  const { pass, passTime, released } = holder();
  pass(message("MsgApp", 2n, 7), message("MsgApp", 3n, 7));
  const next = message("MsgApp", 2n, 7, [ENTRY]);
  assert.deepEqual(pass(next), [next]);
  passTime(1);
  assert.deepEqual(released, [message("MsgApp", 3n, 7)]);
});

test("a heartbeat that knows of less supersedes nothing", () => {
  const { pass, passTime, released } = holder();
  const commit = message("MsgApp", 2n, 7);
  pass(commit);
  assert.equal(pass(message("MsgHeartbeat", 2n, 5)).length, 1);
  passTime(1);
  assert.deepEqual(released, [commit]);
});

test("an empty append to a follower that is out of step is a question, and isn't held", () => {
  const { pass } = holder();
  const question = message("MsgApp", 9n, 7);
  assert.deepEqual(pass(question), [question]);
});

test("what another member waits for is told at once, and what comes after it is held again", () => {
  const { held, pass } = holder();
  held.await(7);
  assert.deepEqual(pass(message("MsgApp", 2n, 6)), []);
  const awaited = [message("MsgApp", 2n, 7), message("MsgApp", 3n, 7)];
  assert.deepEqual(pass(...awaited), awaited);
  assert.deepEqual(pass(message("MsgApp", 2n, 8)), []);
});

test("a reader's commit goes before the answer to its read", () => {
  const { pass, passTime, released } = holder();
  const commit = message("MsgApp", 2n, 7);
  pass(commit);
  const answer = message("MsgReadIndexResp", 2n, 0);
  assert.deepEqual(pass(answer), [commit, answer]);
  passTime(1);
  assert.deepEqual(released, []);
});

test("who leads no more says nothing more, and leaves no timer", () => {
  const { held, pass, waits } = holder();
  pass(message("MsgApp", 2n, 7));
  assert.equal(waits(), true);
  held.clear();
  assert.equal(waits(), false);
});
