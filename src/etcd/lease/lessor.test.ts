import assert from "node:assert/strict";
import { test } from "node:test";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { isEtcdError } from "../../protocols/etcd/errors.ts";
import { Simulation } from "../../testing/sim/simulation.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { Lessor, type LeaseCheckpoint } from "./lessor.ts";

function setUp(backend = new MemoryBackend(), clock = new Simulation()) {
  const make = () => new Lessor({ clock, codec: etcdCodec(), bucket: backend.bucket("lease"), minimumTtl: 2 });
  const expired: bigint[] = [];
  const checkpoints: LeaseCheckpoint[] = [];
  const duties = { onExpired: (ids: readonly bigint[]) => void expired.push(...ids) };
  const withCheckpoints = {
    ...duties,
    onCheckpoint: async (due: readonly LeaseCheckpoint[]) => checkpoints.push(...due) > 0,
  };
  return { make, clock, expired, checkpoints, duties, withCheckpoints, lessor: make() };
}

test("only the primary watches the time, and tells of what has run out until it is revoked", async () => {
  const { lessor, clock, expired, duties } = setUp();
  lessor.grant(1n, 1);
  assert.equal(lessor.renew(1n), "not primary");
  await clock.advance(60_000);
  assert.deepEqual(expired, []);
  lessor.promote(1000, duties);
  // The shortest term and the extension.
  await clock.advance(2900);
  assert.deepEqual(expired, []);
  await clock.advance(1200);
  assert.deepEqual(expired, [1n]);
  await clock.advance(4000);
  assert.deepEqual(expired, [1n, 1n]);
  lessor.revoke(1n);
  await clock.advance(10_000);
  assert.deepEqual(expired, [1n, 1n]);
  assert.throws(
    () => lessor.revoke(1n),
    (error) => isEtcdError(error, "leaseNotFound"),
  );
});

test("a renewal of what is being revoked waits for its end", async () => {
  const { lessor, clock, duties } = setUp();
  lessor.promote(0, duties);
  lessor.grant(1n, 5);
  lessor.grant(2n, 5);
  await clock.advance(4000);
  assert.equal(lessor.renew(2n), 5);
  await clock.advance(2000);
  const [one, two] = [lessor.renew(1n), lessor.renew(2n)];
  assert.equal(two, 5);
  lessor.revoke(1n);
  assert.equal(await one, undefined);
  await clock.advance(6000);
  const late = lessor.renew(2n);
  lessor.demote();
  assert.equal(await late, "not primary");
});

test("leases and what was left of them are there after a start", async () => {
  const { make, clock, lessor, withCheckpoints, checkpoints } = setUp();
  lessor.grant(1n, 1000);
  lessor.grant(2n, 100);
  lessor.promote(0, withCheckpoints);
  await clock.advance(5 * 60_000 + 1000);
  assert.deepEqual(
    checkpoints.map(({ id }) => id),
    [1n],
  );
  const { remainingTtl } = checkpoints[0]!;
  assert.ok(remainingTtl > 690 && remainingTtl <= 700, String(remainingTtl));
  lessor.checkpoint(1n, remainingTtl);
  const again = make();
  again.promote(0, withCheckpoints);
  assert.ok(Math.abs(again.remaining(again.get(1n)!) - remainingTtl) <= 1);
  assert.equal(again.remaining(again.get(2n)!), 100);
  // A renewal ends the checkpoint first, on every member.
  assert.equal(await again.renew(1n), 1000);
  assert.deepEqual(checkpoints.at(-1), { id: 1n, remainingTtl: 0 });
});
