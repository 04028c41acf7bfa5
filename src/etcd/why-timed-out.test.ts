import assert from "node:assert/strict";
import { test } from "node:test";
import { whyTimedOut, type Circumstances } from "./why-timed-out.ts";

const LED_BY_ANOTHER: Circumstances = {
  localId: 1n,
  startedAt: 10_000,
  leader: 2n,
  electedAt: -Infinity,
  electionTimeoutMs: 1000,
  voters: [1n, 2n, 3n],
  activeSince: () => 5000,
};
const LEADING: Circumstances = { ...LED_BY_ANOTHER, leader: 1n, electedAt: 1000 };
const only =
  (...ids: bigint[]) =>
  (id: bigint) =>
    ids.includes(id) ? 5000 : undefined;

test("a request that timed out is told what was wrong meanwhile", () => {
  assert.equal(whyTimedOut(LED_BY_ANOTHER), "timeout");
  assert.equal(whyTimedOut({ ...LED_BY_ANOTHER, leader: 0n }), "timeout");
  assert.equal(whyTimedOut({ ...LED_BY_ANOTHER, activeSince: only(3n) }), "timeoutConnectionLost");
  assert.equal(whyTimedOut({ ...LED_BY_ANOTHER, activeSince: () => 10_001 }), "timeoutConnectionLost");
  assert.equal(whyTimedOut(LEADING), "timeout");
  assert.equal(whyTimedOut({ ...LEADING, activeSince: only(3n) }), "timeout");
  assert.equal(whyTimedOut({ ...LEADING, activeSince: only() }), "timeoutConnectionLost");
  assert.equal(whyTimedOut({ ...LEADING, electedAt: 11_999 }), "timeoutLeaderFailed");
  assert.equal(whyTimedOut({ ...LEADING, electedAt: 12_000 }), "timeout");
  assert.equal(whyTimedOut({ ...LEADING, electedAt: 10_000 }), "timeout");
});
