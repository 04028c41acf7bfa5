/**
 * `npm run sim -- [--seed N] [--for 1h] [--runs N]`: seeds at random, faults at random, for so long in virtual time each. A failure prints the command that
 * repeats it, and leaves the log of the run beside it.
 */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { durationMs } from "../src/kubelet/runtimes/simulated/script.ts";
import { ChaosFailure, runChaos } from "../src/testing/sim/chaos.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    for: { type: "string", default: "1h" },
    runs: { type: "string" },
    log: { type: "string" },
  },
});
const runs = Number(values.runs ?? (values.seed === undefined ? 10 : 1));
const forMs = durationMs(values.for);
let failures = 0;
for (let i = 0; i < runs; i++) {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed) + i;
  const begun = performance.now();
  const took = () => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  try {
    const { faults, writes, changes, log } = await runChaos({ seed, forMs });
    console.log(`seed ${seed}: ${faults} faults, ${writes} acknowledged writes, ${changes} changes, ${took()}`);
    if (values.log !== undefined) writeFileSync(values.log, log.join("\n"));
  } catch (error) {
    if (!(error instanceof ChaosFailure)) throw error;
    failures++;
    const file = values.log ?? join(tmpdir(), `t8s-sim-${seed}.log`);
    writeFileSync(file, error.log.join("\n"));
    console.log(`seed ${seed} FAILED after ${took()}: ${error.message}`);
    console.log(`  again: npm run sim -- --seed ${seed} --for ${values.for}\n  log:   ${file}`);
  }
}
process.exit(failures === 0 ? 0 : 1);
