import assert from "node:assert/strict";
import { test } from "node:test";
import { spreadExpiries } from "./spread.ts";

const NOW = 1_000_000;
const leases = (count: number, ttl: number) =>
  Array.from({ length: count }, () => ({ ttl, remainingTtl: 0, expiresAtMs: NOW + ttl * 1000 }));

/** How many run out in the busiest second. */
function busiest(all: readonly { readonly expiresAtMs: number }[]): number {
  const seconds = new Map<number, number>();
  for (const { expiresAtMs } of all) {
    const second = Math.floor(expiresAtMs / 1000);
    seconds.set(second, (seconds.get(second) ?? 0) + 1);
  }
  return Math.max(...seconds.values());
}

test("few leases keep their time", () => {
  const few = leases(999, 60);
  spreadExpiries(few, NOW, 0);
  assert.ok(few.every(({ expiresAtMs }) => expiresAtMs === NOW + 60_000));
});

test("many leases that would run out together are spread over seconds, none to an earlier time", () => {
  const many = leases(5000, 60);
  spreadExpiries(many, NOW, 1000);
  assert.ok(many.every(({ expiresAtMs }) => expiresAtMs >= NOW + 60_000));
  assert.ok(busiest(many) <= 1000, `${busiest(many)} leases in one second`);
});

test("leases that run out at different times stay as they are", () => {
  const many = Array.from({ length: 3000 }, (_, i) => ({
    ttl: 10 + i,
    remainingTtl: 0,
    expiresAtMs: NOW + (10 + i) * 1000,
  }));
  const before = many.map(({ expiresAtMs }) => expiresAtMs);
  spreadExpiries(many, NOW, 0);
  assert.deepEqual(
    many.map(({ expiresAtMs }) => expiresAtMs),
    before,
  );
});
