/**
 * `npm run sim -- [--etcd | --cluster] [--seed N] [--for 1h] [--runs N]`: seeds at random, faults at random, until it is stopped: whole clusters, and
 * clusters of etcd members alone, in turn. A failure prints the command that repeats it, leaves the log of the run beside it, and, for etcd, tells which
 * of the faults it takes.
 *
 * `--bugs` plants each of the known bugs in turn and tells how many seeds it took to find it, each within `--runs` of them; `--write` puts the table
 * into `docs/reference/planted-bugs.md`.
 */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { durationMs } from "../src/kubelet/runtimes/simulated/script.ts";
import { ChaosFailure, runChaos } from "../src/testing/sim/chaos.ts";
import { hunt } from "../src/testing/sim/etcd/hunt.ts";
import { PLANTED } from "../src/testing/sim/etcd/planted.ts";
import { EtcdRunFailure, runEtcd } from "../src/testing/sim/etcd/run.ts";
import { shrink } from "../src/testing/sim/etcd/shrink.ts";

const { values } = parseArgs({
  options: {
    etcd: { type: "boolean", default: false },
    cluster: { type: "boolean", default: false },
    seed: { type: "string" },
    for: { type: "string" },
    runs: { type: "string" },
    log: { type: "string" },
    bugs: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

/** A few runs of etcd alone take as long as one of a whole cluster. */
const ETCD_RUNS = 50;

if (values.bugs) await bugs(Number(values.seed ?? 1), Number(values.runs ?? 400));

const runs = Number(values.runs ?? (values.seed === undefined ? Infinity : 1));
let failures = 0;
for (let i = 0; i < runs; i++) {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed) + i;
  const isEtcd = values.etcd || (!values.cluster && values.seed === undefined && i % (ETCD_RUNS + 1) !== 0);
  if (isEtcd) await etcd(seed);
  else await cluster(seed);
}
process.exit(failures === 0 ? 0 : 1);

async function bugs(fromSeed: number, seeds: number): Promise<never> {
  const rows: string[] = [];
  let missed = 0;
  for (const planted of PLANTED) {
    const found = await hunt(planted, fromSeed, seeds);
    if (found.seed === undefined) missed++;
    const took = found.seed === undefined ? `not in ${seeds}` : String(found.seeds);
    console.log(`${planted.name}: ${took} ${found.message.split("\n", 1)[0]!.slice(0, 120)}`);
    const issue =
      planted.issue === undefined ? "" : `[${planted.issue}](https://github.com/etcd-io/etcd/issues/${planted.issue})`;
    const how = found.message.split(/[:,\n]/, 1)[0]!;
    const kinds = planted.kinds?.join(", ") ?? "";
    rows.push(`| \`${planted.name}\` | ${planted.what} | ${issue} | ${kinds} | ${took} | ${how} |`);
  }
  const table = `# Planted bugs

<!-- Written by \`npm run sim -- --bugs --write\`. -->

The simulation of etcd clusters looks for broken promises. That it would find some is shown by bugs that are put into the running code one at a time
(\`src/testing/sim/etcd/planted.ts\`): ones that upstream has had, and ones that someone could make. "Seeds" is how many runs it took, from seed
${fromSeed} on, until one failed; each run is a quarter of a minute of a cluster's life under faults: those that the seed gives, or those named.

| Bug | What it does | Upstream | Faults | Seeds | What gave it away |
|---|---|---|---|---|---|
${rows.join("\n")}
`;
  if (values.write) writeFileSync("docs/reference/planted-bugs.md", table);
  process.exit(missed === 0 ? 0 : 1);
}

async function cluster(seed: number): Promise<void> {
  const forMs = durationMs(values.for ?? "1h");
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
    console.log(`  again: npm run sim -- --seed ${seed} --for ${values.for ?? "1h"}\n  log:   ${file}`);
  }
}

async function etcd(seed: number): Promise<void> {
  const options = {
    seed,
    verbose: values.verbose,
    ...(values.for !== undefined && { forMs: durationMs(values.for) }),
  };
  const begun = performance.now();
  const took = () => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  try {
    const { plan, operations, revisions, elections, log } = await runEtcd(options);
    console.log(
      `etcd seed ${seed}: ${plan.members} members, ${plan.faults.length} faults, ${operations} operations, ${revisions} revisions, ${elections} elections, ${took()}`,
    );
    if (values.log !== undefined) writeFileSync(values.log, log.join("\n"));
  } catch (error) {
    if (!(error instanceof EtcdRunFailure)) throw error;
    failures++;
    const file = values.log ?? join(tmpdir(), `t8s-sim-etcd-${seed}.log`);
    writeFileSync(file, error.log.join("\n"));
    const length = values.for === undefined ? "" : ` --for ${values.for}`;
    console.log(`etcd seed ${seed} FAILED after ${took()}: ${error.message}`);
    console.log(`  again: npm run sim -- --etcd --seed ${seed}${length}\n  log:   ${file}`);
    const { faults, message } = await shrink(options, error);
    console.log(
      `  it takes these faults: ${faults.map(({ kind, atMs }) => `${kind} at ${atMs} ms`).join(", ") || "none"}`,
    );
    if (message !== error.message) console.log(`  with those alone: ${message}`);
  }
}
