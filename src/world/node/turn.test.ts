import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { inSlices } from "./turn.ts";

test("who wants to send more waits for the next turn, also one who asks again at once", async () => {
  const sent: string[] = [];
  let turns = 0;
  const more = () => {
    sent.push(`a ${turns}`);
    if (turns < 2) inSlices(more);
  };
  inSlices(more);
  inSlices(() => sent.push(`b ${turns}`));
  assert.deepEqual(sent, []);
  for (; turns < 4; turns++) await turn();
  assert.deepEqual(sent, ["a 0", "b 0", "a 1", "a 2"]);
});

test("a slice ends when its time is over, and the rest goes on in the next turns, in their order", async () => {
  const sent: { readonly number: number; readonly turn: number }[] = [];
  let turns = 0;
  for (let number = 0; number < 3; number++)
    inSlices(() => {
      const end = performance.now() + 5;
      while (performance.now() < end);
      sent.push({ number, turn: turns });
    });
  for (; sent.length < 3; turns++) await turn();
  assert.deepEqual(
    sent.map(({ number }) => number),
    [0, 1, 2],
  );
  assert.equal(new Set(sent.map(({ turn }) => turn)).size, 3);
});
