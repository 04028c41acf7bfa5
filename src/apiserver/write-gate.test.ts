import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeWorld } from "../world/node/index.ts";
import { WriteGate } from "./write-gate.ts";

function setUp() {
  const soon: (() => void)[] = [];
  const gate = new WriteGate({ ...nodeWorld().clock, soon: (fn) => void soon.push(fn) });
  const begun: number[] = [];
  return {
    begun,
    pass: (bytes: number, number: number) =>
      gate.pass(bytes, async () => {
        begun.push(number);
        return number;
      }),
    turn: () => soon.splice(0).forEach((fn) => fn()),
    isQuiet: () => soon.length === 0,
  };
}

test("small writes begin at once, and of very many a bounded number in each turn, in their order", async () => {
  const { begun, pass, turn, isQuiet } = setUp();
  const all = Array.from({ length: 100 }, (_, i) => pass(0, i));
  assert.equal(begun.length, 16);
  turn();
  assert.equal(begun.length, 32);
  // Who comes meanwhile waits behind those that wait already.
  all.push(pass(0, 100));
  assert.equal(begun.length, 32);
  for (let i = 0; i < 7; i++) turn();
  assert.deepEqual(await Promise.all(all), begun);
  assert.deepEqual(
    begun,
    Array.from({ length: 101 }, (_, i) => i),
  );
  assert.ok(isQuiet());
});

test("large writes count for more, and one alone is never too large", () => {
  const { begun, pass, turn } = setUp();
  for (let i = 0; i < 4; i++) void pass(28_000, i);
  assert.deepEqual(begun, [0, 1]);
  turn();
  assert.deepEqual(begun, [0, 1, 2, 3]);
  turn();
  void pass(3_000_000, 4);
  assert.equal(begun.at(-1), 4);
});

test("a write that fails tells so, and holds nobody up", async () => {
  const { begun, pass, turn } = setUp();
  const gate = new WriteGate(nodeWorld().clock);
  await assert.rejects(
    gate.pass(0, () => Promise.reject(new Error("no"))),
    /no/,
  );
  for (let i = 0; i < 30; i++) void pass(0, i);
  turn();
  assert.equal(begun.length, 30);
});

test("a write that throws when its turn comes is rejected, and those behind it begin all the same", async () => {
  const soon: (() => void)[] = [];
  const gate = new WriteGate({ ...nodeWorld().clock, soon: (fn) => void soon.push(fn) });
  const first = Array.from({ length: 16 }, () => gate.pass(0, () => Promise.resolve("first")));
  const thrown = gate.pass(0, () => {
    throw new Error("refused before any promise");
  });
  const behind = gate.pass(0, () => Promise.resolve("behind"));
  soon.splice(0).forEach((fn) => fn());
  await assert.rejects(thrown, /refused before any promise/);
  assert.equal(await behind, "behind");
  await Promise.all(first);
});
