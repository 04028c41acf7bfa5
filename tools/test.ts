/**
 * `npm test`: types and format, then all unit tests in one process, then each integration file in its own, one after the other.
 * `npm test -- unit`, `npm test -- simulation` or `npm test -- integration NAME…` run a part. The last line counts everything.
 * Properties draw the same cases each time; `npm test -- seeds 20` draws others, twenty times.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { globSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const [part, ...names] = process.argv.slice(2);
const totals = { pass: 0, fail: 0, skipped: 0 };
const failed: string[] = [];
const started = Date.now();
/** A part that hangs is ended; `timeoutMs` is for each test of it, and a busy machine may need many of those. */
const PART_MS = 900_000;

function run(
  title: string,
  files: readonly string[],
  isolation: "none" | "process",
  timeoutMs: number,
  environment: NodeJS.ProcessEnv = {},
): void {
  const report = join(tmpdir(), `t8s-tests-${process.pid}.tap`);
  const begun = Date.now();
  const { status } = spawnSync(
    process.execPath,
    [
      ...process.execArgv.filter((flag) => flag.startsWith("--stack-size=")),
      "--disable-warning=ExperimentalWarning",
      `--import=${pathToFileURL(join(import.meta.dirname, "property-seed.ts")).href}`,
      "--test",
      `--test-isolation=${isolation}`,
      "--test-concurrency=1",
      `--test-timeout=${timeoutMs}`,
      "--test-reporter=dot",
      "--test-reporter-destination=stdout",
      "--test-reporter=tap",
      `--test-reporter-destination=${report}`,
      ...files,
    ],
    {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, NODE_ENV: "test", ...environment },
      timeout: PART_MS,
    },
  );
  let tap = "";
  try {
    tap = readFileSync(report, "utf8");
    rmSync(report);
  } catch {
    // The run died before it wrote anything: its exit code says so below.
  }
  const count = (name: string) => Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(tap)?.[1] ?? 0);
  const [pass, fail, skipped] = [count("pass"), count("fail") + count("cancelled"), count("skipped")];
  totals.pass += pass;
  totals.fail += fail || (status === 0 ? 0 : 1);
  totals.skipped += skipped;
  if (status !== 0) failed.push(title);
  console.log(
    `\n${title}: ${pass} passed, ${fail} failed, ${skipped} skipped, ${((Date.now() - begun) / 1000).toFixed(1)} s`,
  );
  for (const line of tap.matchAll(/^\s*ok \d+ - (.*) # SKIP (.*)$/gm)) console.log(`  skipped: ${line[1]}: ${line[2]}`);
  for (const line of tap.matchAll(/^\s*not ok \d+ - (.*)$/gm)) console.log(`  FAILED: ${line[1]}`);
}

if (part === undefined) {
  const { status } = spawnSync("npm", ["run", "--silent", "check"], { stdio: "inherit" });
  if (status !== 0) failed.push("types, lint and format");
  console.log(
    `types, lint and format: ${status === 0 ? "ok" : "FAILED"}, ${((Date.now() - started) / 1000).toFixed(1)} s`,
  );
}
if (part === undefined || part === "unit")
  run("unit", [...globSync("src/**/*.test.ts"), ...globSync("test/*.test.ts")].sort(), "none", 120_000);
if (part === undefined || part === "simulation")
  run("simulation", globSync("test/simulation/*.test.ts").sort(), "none", 240_000);
if (part === undefined || part === "integration") {
  for (const file of globSync("test/integration/*.test.ts").sort()) {
    if (names.length === 0 || names.some((name) => file.includes(name)))
      run(basename(file, ".test.ts"), [file], "process", 600_000);
  }
}
if (part === "seeds") {
  const files = globSync("src/**/*.test.ts").filter((file) => readFileSync(file, "utf8").includes('"fast-check"'));
  for (let i = 0; i < Number(names[0] ?? 10); i++) {
    const seed = String(randomInt(2 ** 31));
    run(`seed ${seed}`, files.sort(), "none", 120_000, { SEED: seed });
  }
}
console.log(
  `\n${failed.length === 0 ? "all well" : `FAILED: ${failed.join(", ")}`} after ${((Date.now() - started) / 1000).toFixed(0)} s`,
);
console.log(`${totals.pass} passed, ${totals.fail} failed, ${totals.skipped} skipped`);
process.exit(failed.length === 0 && totals.fail === 0 ? 0 : 1);
