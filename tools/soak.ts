/**
 * `npm run soak -- [--for 30m] [--members 3] [--seed N]`: etcd members as real processes, each on a network of its own, under load, killed, held, cut off, starved
 * of disk and replaced; what clients and watchers saw is judged all along. Needs root, for namespaces; nothing of them stays behind, however it ends.
 * `--fault NAME` (several times) takes those alone, `--with PATH` lets a genuine etcd take a member's place now and then, `--keep` keeps the data.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { durationMs } from "../src/kubelet/runtimes/simulated/script.ts";
import { FAULTS, type FaultName } from "../src/testing/soak/faults.ts";
import { soak } from "../src/testing/soak/run.ts";
import { inSandbox, noSandbox, prepareSandbox, stopAllHere } from "../src/testing/soak/sandbox.ts";

const { values } = parseArgs({
  options: {
    for: { type: "string", default: "30m" },
    members: { type: "string", default: "3" },
    seed: { type: "string" },
    fault: { type: "string", multiple: true },
    with: { type: "string" },
    keep: { type: "boolean", default: false },
    "max-megabytes": { type: "string", default: "600" },
    /** Where the second half of this program is, inside the sandbox. */
    inside: { type: "string" },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const unknown = values.fault?.filter((name) => !(name in FAULTS)) ?? [];
if (unknown.length > 0) {
  console.error(`no fault is called ${unknown.join(" or ")}: there are ${Object.keys(FAULTS).join(", ")}`);
  process.exit(1);
}
if (values.inside === undefined) outside();
else await inside(values.inside);

/** Makes the sandbox, passes on what stops it, and clears the data away. */
function outside(): void {
  const why = noSandbox();
  if (why !== undefined) {
    console.error(why);
    process.exit(1);
  }
  const dir = mkdtempSync(join(tmpdir(), "t8s-soak-"));
  const self = [process.execPath, ...process.execArgv, process.argv[1]!, ...process.argv.slice(2)];
  console.log(`seed ${seed}`);
  const child = inSandbox([...self, `--seed=${seed}`, `--inside=${dir}`]);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      process.exitCode = 130;
      child.kill("SIGKILL");
    });
  child.on("exit", (code) => {
    const failed = code !== 0 && code !== null;
    if (values.keep || failed) console.log(`logs and data: ${dir}`);
    else rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    process.exitCode ??= code ?? 1;
  });
}

async function inside(dir: string): Promise<void> {
  // The first process of the sandbox: with it all others go.
  process.stdin.on("end", () => {
    stopAllHere(dir);
    rmSync(dir, { recursive: true, force: true, maxRetries: 20 });
    process.exit(1);
  });
  process.stdin.resume();
  prepareSandbox();
  mkdirSync(dir, { recursive: true });
  const begun = performance.now();
  const tell = (line: string) => console.log(`${((performance.now() - begun) / 1000).toFixed(1).padStart(7)} ${line}`);
  try {
    const result = await soak(
      {
        seed,
        dir,
        forMs: durationMs(values.for),
        members: Number(values.members),
        otherProgram: values.with,
        faults: values.fault as FaultName[] | undefined,
        maxMegabytes: Number(values["max-megabytes"]),
      },
      tell,
    );
    tell(
      `all well: ${result.rounds} rounds, ${result.faults} faults, ${result.acknowledged} of ${result.operations} operations acknowledged, ${result.revisions} revisions, at most ${result.peakMegabytes.toFixed(0)} MB a member`,
    );
    process.exit(0);
  } catch (error) {
    tell(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
    if (error instanceof Error) console.log(error.stack);
    console.log(`  again: npm run soak -- --for ${values.for} --members ${values.members} --seed ${seed}`);
    process.exit(1);
  }
}
