/** The short form of `npm run sim -- --etcd`: etcd clusters of one, three and five members under faults, a quarter of a minute each. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hunt } from "../../src/testing/sim/etcd/hunt.ts";
import { PLANTED } from "../../src/testing/sim/etcd/planted.ts";
import { EtcdRunFailure, runEtcd } from "../../src/testing/sim/etcd/run.ts";

const SEEDS = 200;
const A_TEST = 20;

for (let first = 1; first <= SEEDS; first += A_TEST) {
  test(`whatever happens to its members, etcd keeps its promises (seeds ${first} to ${first + A_TEST - 1})`, async () => {
    for (let seed = first; seed < first + A_TEST; seed++) {
      try {
        const { operations, elections } = await runEtcd({ seed });
        assert.ok(operations >= 10 && elections >= 1, `seed ${seed}: ${operations} operations, ${elections} elections`);
      } catch (error) {
        if (!(error instanceof EtcdRunFailure)) throw error;
        const file = join(tmpdir(), `t8s-sim-etcd-${seed}.log`);
        writeFileSync(file, error.log.join("\n"));
        assert.fail(`${error.message}\nagain: npm run sim -- --etcd --seed ${seed}\nlog: ${file}`);
      }
    }
  });
}

/** Those that few seeds find; `npm run sim -- --bugs` looks for all. */
const QUICKLY_FOUND = [
  "index-ahead-of-data",
  "index-behind-data",
  "log-not-synced",
  "vote-not-kept",
  "victim-loses-event",
  "progress-promises-too-much",
  "lease-forgets-keys",
  "compaction-takes-revision-back",
  "snapshot-of-wrong-index",
  "goes-on-without-db",
  "downgrade-forgotten",
  "v2-write-overwrites",
];
const QUICKLY = 30;
/** Where not from the first seed on: an earlier one finds it as well, but only after two minutes of a storm of refused appends. */
const FROM_SEED: Readonly<Record<string, number>> = { "snapshot-of-wrong-index": 4 };

for (const bug of PLANTED) {
  if (!QUICKLY_FOUND.includes(bug.name)) continue;
  test(`it is found when ${bug.what}`, async () => {
    const { seed } = await hunt(bug, FROM_SEED[bug.name] ?? 1, QUICKLY);
    assert.notEqual(seed, undefined, `not in ${QUICKLY} seeds`);
  });
}

test("a run of an etcd cluster is the same to the byte from the same seed", async () => {
  for (const seed of [3, 7]) {
    const [one, two] = [await runEtcd({ seed, verbose: true }), await runEtcd({ seed, verbose: true })];
    const at = one.log.findIndex((line, i) => line !== two.log[i]);
    assert.ok(at < 0 && one.log.length === two.log.length, `line ${at}:\n${one.log[at]}\n${two.log[at]}`);
  }
});
