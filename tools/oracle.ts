/**
 * `npm run oracle -- [--seeds N] [--first N] [--seed S] [--profile P] [--upstream PATH]`: generated sequences of requests to another etcd and to
 * ours, answers compared. A difference is shrunk and printed with the command that repeats it.
 */
import { parseArgs } from "node:util";
import { Duel } from "../src/testing/oracle/duel.ts";
import { PROFILES, sequence, type Profile } from "../src/testing/oracle/sequences.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "300" },
    first: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    profile: { type: "string" },
    upstream: { type: "string", default: "/usr/bin/etcd" },
    own: { type: "string", default: "ours" },
    stop: { type: "string", default: "5" },
  },
});
if (values.profile !== undefined && !PROFILES.includes(values.profile as Profile)) {
  console.error(`no profile is called ${values.profile}: there are ${PROFILES.join(", ")}`);
  process.exit(1);
}
const profile = values.profile as Profile | undefined;
const first = Number(values.first);
const begun = performance.now();
let failures = 0;
let steps = 0;
let count = 0;
{
  await using duel = await Duel.start(values.upstream, values.own);
  for (let number = first; number < first + Number(values.seeds) && failures < Number(values.stop); number++) {
    const drawn = sequence(`${values.seed}/${number}`, profile);
    const found = await duel.run(drawn.steps);
    steps += drawn.steps.length;
    count++;
    if (found === undefined) continue;
    failures++;
    console.log(
      `DIFFERENT in sequence ${number} (${drawn.profile}), step ${found.number}: ${JSON.stringify(found.step)}`,
    );
    console.log(`  theirs ${JSON.stringify(found.theirs)}\n  ours   ${JSON.stringify(found.ours)}`);
    const few = await duel.shrink(drawn, found);
    const again = await duel.run(few);
    console.log(again === undefined ? "  not seen again:" : "  shrunk to:");
    for (const step of few) console.log(`    ${JSON.stringify(step)}`);
    if (again !== undefined)
      console.log(`  theirs ${JSON.stringify(again.theirs)}\n  ours   ${JSON.stringify(again.ours)}`);
    const only = profile === undefined ? "" : ` --profile ${profile}`;
    console.log(
      `  again: npm run oracle -- --seed ${values.seed} --first ${number} --seeds 1${only} --upstream ${values.upstream}`,
    );
  }
  for (const [rpc, { ok, refused }] of [...duel.answers].sort())
    console.log(`${rpc.padEnd(22)}${ok} answered, ${refused} refused`);
  for (const [known, times] of duel.met) console.log(`known difference, ${times} times: ${known.name}`);
}
const seconds = ((performance.now() - begun) / 1000).toFixed(1);
console.log(`${count} sequences, ${steps} steps, ${failures} differences, ${seconds} s`);
process.exit(failures === 0 ? 0 : 1);
