/**
 * `npm run fuzz -- [NAME…] [--cases N] [--seed S] [--from R]`: each fuzzer, or those that are named, with 100,000 cases unless told, from run R on. A
 * failure prints the command that repeats it. `--list` says what there is.
 */
import { parseArgs } from "node:util";
import { fuzz, FuzzFailure } from "../src/testing/fuzz/fuzzer.ts";
import { fuzzers } from "../src/testing/fuzz/index.ts";

/** Of the words of a failure: some compare whole files. */
const MESSAGE_MAX = 3000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: "string", default: "100000" },
    seed: { type: "string" },
    from: { type: "string", default: "0" },
    list: { type: "boolean", default: false },
  },
});
if (values.list) {
  for (const { name, about } of fuzzers) console.log(`${name.padEnd(20)}${about}`);
  process.exit(0);
}
const unknown = positionals.filter((name) => !fuzzers.some((fuzzer) => fuzzer.name === name));
if (unknown.length > 0) {
  console.error(`no fuzzer is called ${unknown.join(" or ")}: see --list`);
  process.exit(1);
}
const seed = values.seed ?? String(Math.floor(Math.random() * 1e9));
let failures = 0;
let running: string | undefined;
// Nothing is left to do, and a case still waits for something.
process.on("exit", () => {
  if (running !== undefined) console.log(`FAILED ${running}: a case of seed ${seed} never ends`);
});
for (const fuzzer of fuzzers) {
  if (positionals.length > 0 && !positionals.includes(fuzzer.name)) continue;
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  running = fuzzer.name;
  try {
    const runs = await fuzz(fuzzer, seed, Number(values.cases), Number(values.from));
    const [seconds, busy] = [(performance.now() - begun) / 1000, process.cpuUsage(cpu)];
    const cpuSeconds = ((busy.user + busy.system) / 1e6).toFixed(0);
    console.log(
      `${fuzzer.name}: ${values.cases} cases in ${runs} runs of seed ${seed}, ${seconds.toFixed(1)} s, ${cpuSeconds} s of CPU`,
    );
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    failures++;
    console.log(`FAILED ${error.message.slice(0, MESSAGE_MAX)}`);
    for (let at: unknown = error.cause; at instanceof Error; at = at.cause) console.log(at.stack?.slice(-MESSAGE_MAX));
    console.log(`  again: npm run fuzz -- ${fuzzer.name} --seed ${seed} --from ${error.number} --cases 1`);
  }
}
running = undefined;
process.exit(failures === 0 ? 0 : 1);
