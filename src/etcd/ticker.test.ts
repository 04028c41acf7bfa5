import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../world/world.ts";
import { Ticker } from "./ticker.ts";

/** A clock whose timers run when a test says so, as late as it says. */
function handClock() {
  let now = 0;
  let due: { readonly at: number; readonly run: () => void } | undefined;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(ms, run) {
      due = { at: now + ms, run };
      return { [Symbol.dispose]: () => (due = undefined) };
    },
    soon: () => assert.fail(),
  };
  return {
    clock,
    get nextAt() {
      return due?.at;
    },
    runAt(at: number) {
      now = at;
      const { run } = due!;
      due = undefined;
      run();
    },
    passTo(at: number) {
      now = at;
    },
  };
}

test("a tick that is a little late brings the next one forward, one that is very late does not", () => {
  const hand = handClock();
  let ticks = 0;
  const ticker = new Ticker(hand.clock, 100, () => ticks++);
  assert.equal(hand.nextAt, undefined);
  ticker.run();
  hand.runAt(130);
  assert.equal(hand.nextAt, 200);
  hand.runAt(200);
  hand.runAt(900);
  assert.equal(hand.nextAt, 1000);
  assert.equal(ticks, 3);
  ticker.rest();
  assert.equal(hand.nextAt, undefined);
});

test("after a pause nothing is sure until it is confirmed; who rests misses nothing", () => {
  const hand = handClock();
  const ticker = new Ticker(hand.clock, 100, () => {});
  hand.passTo(5000);
  assert.ok(ticker.isActive);
  ticker.run();
  hand.passTo(5300);
  assert.ok(ticker.isActive);
  hand.passTo(5301);
  assert.ok(!ticker.isActive);
  hand.runAt(5400);
  assert.ok(!ticker.isActive);
  hand.runAt(5500);
  assert.ok(!ticker.isActive);
  ticker.confirm();
  assert.ok(ticker.isActive);
});
