/**
 * Generated sequences of requests over gRPC, to Debian's etcd and to a `t8s etcd` process, answers compared field by field: what may differ is in
 * `src/testing/oracle/differences.ts`. `npm run oracle` runs more, against any etcd. Skips where the machine has no etcd.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { Duel } from "../../src/testing/oracle/duel.ts";
import { PROFILES, sequence, type Profile } from "../../src/testing/oracle/sequences.ts";
import type { Step } from "../../src/testing/oracle/step.ts";

const UPSTREAM = process.env["T8S_UPSTREAM_ETCD"] ?? "/usr/bin/etcd";
const skip = existsSync(UPSTREAM) ? false : "no etcd on this machine";
const COUNTS: Readonly<Record<Profile, number>> = {
  kv: 60,
  txn: 60,
  lease: 40,
  watch: 25,
  auth: 40,
  maintenance: 30,
  concurrency: 15,
  apiserver: 30,
};
const SEED = process.env["SEED"] ?? "1";

test("generated sequences of requests have the same answers", { skip }, async (context) => {
  await using duel = await Duel.start(UPSTREAM);
  for (const profile of PROFILES)
    await context.test(profile, async () => {
      for (let number = 0; number < COUNTS[profile]; number++) {
        const drawn = sequence(`${SEED}/${number}`, profile);
        const found = await duel.run(drawn.steps);
        if (found === undefined) continue;
        const few = await duel.shrink(drawn, found);
        const again = `npm run oracle -- --seed ${SEED} --first ${number} --seeds 1 --profile ${profile}`;
        const said = [`step ${found.number} of ${again}`, ...few.map((step) => JSON.stringify(step))].join("\n");
        assert.deepEqual(found.ours, found.theirs, said);
      }
    });
  // It would show nothing if everything were refused.
  const told = [...duel.answers].map(([rpc, { ok, refused }]) => `${rpc} ${ok}/${refused}`);
  context.diagnostic(`answered/refused: ${told.sort().join(", ")}`);
  for (const rpc of ["Range", "Put", "DeleteRange", "Txn", "Compact", "HashKV", "LeaseRevoke", "Watch", "UserGet"])
    assert.ok((duel.answers.get(rpc)?.ok ?? 0) > 3, `${rpc} is answered`);
});

test("a lease of no time, or of less, has the shortest there is", { skip }, async () => {
  await using duel = await Duel.start(UPSTREAM);
  const steps = [0, -5].flatMap((TTL): readonly Step[] => [
    { rpc: "LeaseGrant", request: { ID: 1, TTL } },
    { rpc: "LeaseRevoke", request: { ID: 1 } },
  ]);
  assert.equal(await duel.run(steps), undefined);
});

test("a difference is found, and shrunk to what shows it", { skip }, async () => {
  // The same etcd twice, and an answer that is made another.
  await using duel = await Duel.start(UPSTREAM, UPSTREAM);
  const steps: readonly Step[] = [
    { rpc: "Put", request: { key: "a", value: "x", prev_kv: true } },
    { rpc: "Range", request: { key: "a", limit: 3 } },
    { rpc: "LeaseGrant", request: { TTL: 1000 } },
    // Each has chosen another id.
    { rpc: "Put", request: { key: "b", lease: { granted: 0 }, value: "y" } },
    { rpc: "Txn", request: { success: [{ request_range: { key: "b" } }, { request_range: { key: "a" } }] } },
  ];
  assert.equal(await duel.run(steps), undefined);
  duel.planted = ({ rpc, request }) => rpc === "Txn" && JSON.stringify(request).includes('"b"');
  const found = await duel.run(steps);
  assert.equal(found?.number, 4);
  assert.deepEqual(await duel.shrink({ seed: "", profile: "txn", steps }, found), [
    { rpc: "Txn", request: { success: [{ request_range: { key: "b" } }] } },
  ]);
});
