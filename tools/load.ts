/**
 * `npm run load` puts an API server under each kind of load, in full size, and says what became of it; `npm run load -- NAME…` takes some, `list`
 * says which there are. While a load goes on, somebody else gets one object a hundred times a second: the 99th percentile must stay below 50 ms on
 * two cores, and memory within its bound. Writers are of `system:masters`, so that priority and fairness lets them do their worst; who lists and who
 * probes is an ordinary user.
 *
 * LOAD_DIR is where data goes (/var/tmp), LOAD_SCALE what the sizes are multiplied by (1), LOAD_PROFILE=FOLDER leaves CPU profiles of the server there.
 */
import { CASES, FULL, type Sizes } from "../src/testing/load/cases.ts";
import { runCase } from "../src/testing/load/run.ts";

const names = process.argv.slice(2);
const scale = Number(process.env["LOAD_SCALE"] ?? 1);
const sizes = Object.fromEntries(
  Object.entries(FULL).map(([name, value]) => [
    name,
    Math.max(1, Math.round(value * (name === "seconds" ? 1 : scale))),
  ]),
) as unknown as Sizes;
const profile = process.env["LOAD_PROFILE"];
if (names.includes("list")) {
  for (const { name, about } of CASES) console.log(`${name.padEnd(18)}${about}`);
  process.exit(0);
}
const unknown = names.find((name) => !CASES.some((one) => one.name === name));
if (unknown !== undefined) {
  console.error(`there is no load ${unknown}; there are ${CASES.map(({ name }) => name).join(", ")}`);
  process.exit(1);
}
let failed = 0;
for (const load of CASES.filter(({ name }) => names.length === 0 || names.includes(name))) {
  console.log(`${load.name}: ${load.about}`);
  const short = await runCase(load, {
    sizes,
    under: process.env["LOAD_DIR"] ?? "/var/tmp",
    nodeArgs: profile === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profile],
    log: process.env["LOAD_LOG"] !== undefined,
    say: (text) => console.log(`  ${text}`),
  });
  for (const line of short) console.log(`  FAILED: ${line}`);
  console.log(short.length === 0 ? "  all well" : "");
  failed += short.length;
}
process.exit(failed === 0 ? 0 : 1);
