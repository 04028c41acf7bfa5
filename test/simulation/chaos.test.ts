/** The short form of `npm run sim`: twenty seeds, two minutes of faults each. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ChaosFailure, runChaos } from "../../src/testing/sim/chaos.ts";

for (let seed = 1; seed <= 20; seed++) {
  test(`whatever dies, the cluster converges and keeps what it acknowledged (seed ${seed})`, async () => {
    try {
      const { faults, writes } = await runChaos({ seed, forMs: 120_000 });
      assert.ok(faults >= 1 && writes >= 10, `${faults} faults, ${writes} writes`);
    } catch (error) {
      if (!(error instanceof ChaosFailure)) throw error;
      const file = join(tmpdir(), `t8s-sim-${seed}.log`);
      writeFileSync(file, error.log.join("\n"));
      assert.fail(`${error.message}\nagain: npm run sim -- --seed ${seed} --for 2m\nlog: ${file}`);
    }
  });
}

test("a run with faults is the same to the byte from the same seed", async () => {
  const logs = [];
  for (let i = 0; i < 2; i++) logs.push((await runChaos({ seed: 1, forMs: 120_000 })).log);
  const [one, two] = logs as [readonly string[], readonly string[]];
  const at = one.findIndex((line, i) => line !== two[i]);
  assert.ok(at < 0 && one.length === two.length, `line ${at}:\n${one[at]}\n${two[at]}`);
});
