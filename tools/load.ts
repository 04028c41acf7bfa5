/**
 * `npm run load` puts an API server under each kind of load, in full size, and says what became of it; `npm run load -- NAME…` takes some, `all` takes
 * all and ends with a table, `list` says which there are. While a load goes on, somebody else gets one object a hundred times a second: the 99th
 * percentile must stay below 50 ms on two cores, and memory within its bound. All goes over TLS. Those who load are in this process, the server has its
 * own, and they share the machine's cores: the table says how much of them each side took. Writers are of `system:masters`, so that priority and
 * fairness lets them do their worst; who lists and who probes is an ordinary user.
 *
 * LOAD_DIR is where data goes (/var/tmp), LOAD_SCALE what the sizes are multiplied by (1), LOAD_PROFILE=FOLDER leaves CPU profiles of the server there.
 */
import type { Sizes } from "../src/testing/load/case.ts";
import { CASES, FULL } from "../src/testing/load/cases.ts";
import { figure } from "../src/testing/load/figures.ts";
import { type Result, runCase } from "../src/testing/load/run.ts";

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
const unknown = names.find((name) => name !== "all" && !CASES.some((one) => one.name === name));
if (unknown !== undefined) {
  console.error(`there is no load ${unknown}; there are ${CASES.map(({ name }) => name).join(", ")}, all`);
  process.exit(1);
}
const all = names.length === 0 || names.includes("all");
const rows: string[] = [];
let failed = 0;
for (const load of CASES.filter(({ name }) => all || names.includes(name))) {
  console.log(`${load.name}: ${load.about}`);
  const result = await runCase(load, {
    sizes,
    under: process.env["LOAD_DIR"] ?? "/var/tmp",
    nodeArgs: profile === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profile],
    log: process.env["LOAD_LOG"] !== undefined,
    say: (text) => console.log(`  ${text}`),
  });
  for (const line of result.short) console.log(`  FAILED: ${line}`);
  console.log(result.short.length === 0 ? "  all well" : "");
  failed += result.short.length;
  rows.push(row(load.name, result));
}
if (all) {
  console.log("| load | size | reached | get p50 / p99 / max, ms | most memory | cores: server + clients | |");
  console.log("|---|---|---|---|---|---|---|");
  for (const line of rows) console.log(line);
}
process.exit(failed === 0 ? 0 : 1);

function row(name: string, { size, reached, probed, peakMb, serverCores, clientCores, short }: Result): string {
  const gets = [probed.p50, probed.p99, probed.max].map(figure).join(" / ");
  const cores = `${figure(serverCores)} + ${figure(clientCores)}`;
  const cells = [
    name,
    size,
    reached,
    gets,
    `${figure(peakMb)} MB`,
    cores,
    short.length === 0 ? "well" : short.join("; "),
  ];
  return `| ${cells.join(" | ")} |`;
}
