/**
 * `npm run conformance -- [FOCUS…] [--skip PATTERN] [--procs 4] [--minutes 120] [--runtime simulated]`: upstream's own end-to-end conformance tests against a cluster of
 * two nodes in a network namespace of its own. Focuses are ginkgo's patterns for tests' names; without one, all run. `--beyond` runs tests that are not part of
 * conformance. What came of them is written into docs/reference/conformance.md. `--report FILE`, several times, takes what ginkgo has reported before and runs nothing.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { noCluster, TestCluster } from "../src/testing/cluster.ts";
import { nodeWorld } from "../src/world/node/index.ts";
import { realClients } from "./clients.ts";
import { imagesOf } from "./conformance/images.ts";
import {
  BEYOND,
  counts,
  merged,
  type Outcomes,
  outcomesOf,
  pageOf,
  readPage,
  type Spec,
} from "../src/testing/conformance/page.ts";
import { programs } from "./conformance/programs.ts";

const ROOT = join(import.meta.dirname, "..");
const PAGE = join(ROOT, "docs/reference/conformance.md");

interface Report {
  readonly StartTime: string;
  readonly SpecReports: readonly Spec[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    skip: { type: "string" },
    procs: { type: "string", default: "4" },
    minutes: { type: "string", default: "120" },
    runtime: { type: "string", default: "containerd" },
    beyond: { type: "boolean", default: false },
    report: { type: "string", multiple: true },
  },
});

if (values.report === undefined) await runTests();
else {
  let all = known();
  for (const file of values.report) all = merged(all, readReport(file));
  write(all);
}

async function runTests(): Promise<void> {
  const clients = realClients(ROOT);
  const why = noCluster(clients);
  if (why !== undefined) return stop(why);
  let bin: string;
  try {
    bin = programs(ROOT);
  } catch (error) {
    return stop(`upstream's tests could not be built: ${error instanceof Error ? error.message : String(error)}`);
  }
  const reports = mkdtempSync(join(tmpdir(), "t8s-conformance-"));
  await using cluster = new TestCluster("conformance", clients!);
  try {
    console.log("starting a cluster of two nodes");
    await cluster.up("--name", cluster.name, "--runtime", values.runtime, "--nodes", "2");
    if (values.runtime !== "simulated") await load(cluster, bin);
    if (values.beyond) await provideVolumes(cluster);
    const focuses = focusesOf(positionals);
    const skips = [values.skip, values.beyond ? BEYOND.skip : undefined].filter((one) => one !== undefined);
    const ofGinkgo = `--procs=${values.procs} --no-color --silence-skips --succinct --timeout=${values.minutes}m --grace-period=10s --poll-progress-after=0 --json-report=report.json --output-dir=${reports}`;
    const tests = cluster.start("nice", [
      "-n",
      "10",
      join(bin, "ginkgo"),
      ...ofGinkgo.split(" "),
      ...focuses.map((pattern) => `--focus=${pattern}`),
      ...skips.map((pattern) => `--skip=${pattern}`),
      join(bin, "e2e.test"),
      "--",
      `--kubeconfig=${cluster.kubeconfig}`,
      "--provider=skeleton",
    ]);
    for (const stream of ["stdout", "stderr"] as const) tests.child[stream]!.on("data", (data) => process[stream].write(data)); // prettier-ignore
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => tests.child.kill(signal));
    await tests.exited;
    const file = join(reports, "report.json");
    if (!existsSync(file)) return stop("ginkgo wrote no report");
    const now = readReport(file);
    for (const [name, outcome] of now)
      if (outcome.result === "fail") console.log(`fail: ${name}\n      ${outcome.why}`);
    if ([...now.values()].some((outcome) => outcome.result === "fail")) process.exitCode = 1;
    write(merged(known(), now));
  } finally {
    rmSync(reports, { recursive: true, force: true });
  }
}

/** In ginkgo's words: what is asked for, among the tests that the page is about. */
function focusesOf(asked: readonly string[]): readonly string[] {
  if (values.beyond) return asked.length > 0 ? asked.map((one) => `${BEYOND.focus}.*(${one})`) : [BEYOND.focus];
  return asked.length > 0 ? asked.map((one) => `(${one}).*\\[Conformance\\]`) : ["\\[Conformance\\]"];
}

async function load(cluster: TestCluster, bin: string): Promise<void> {
  const file = join(cluster.scratch, "conformance.tar");
  writeFileSync(file, await imagesOf(nodeWorld(), bin));
  const { code, out, err } = await cluster.t8s(["image", "load", file, "--data-dir", cluster.dataDir]);
  if (code !== 0) throw new Error(`images were not loaded:\n${out}${err}`);
}

/** A default storage class, without which tests of stateful sets leave themselves out. */
async function provideVolumes(cluster: TestCluster): Promise<void> {
  const volumes = join(cluster.scratch, "volumes");
  const program = [join(ROOT, "tools/node.sh"), join(ROOT, "tools/conformance/provisioner.ts")];
  await cluster.start("sh", [...program, cluster.kubeconfig, volumes]).says(/ready/);
}

function known(): Outcomes {
  return existsSync(PAGE) ? readPage(readFileSync(PAGE, "utf8")) : new Map();
}

function readReport(file: string): Outcomes {
  const [suite] = JSON.parse(readFileSync(file, "utf8")) as readonly Report[];
  return outcomesOf(suite!.SpecReports, values.runtime, suite!.StartTime.slice(0, 16).replace("T", " "));
}

function write(all: Outcomes): void {
  writeFileSync(PAGE, pageOf(all));
  for (const [title, ...cells] of counts(all)) console.log(title!.padEnd(24), ...cells.map((cell) => cell.padStart(8)));
}

function stop(why: string): void {
  console.error(why);
  process.exitCode = 1;
}
