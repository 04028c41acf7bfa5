/** The small form of `bench/simulated-nodes.ts`: the real process with fifty simulated nodes takes five hundred pods. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

test("five hundred pods run on fifty simulated nodes, and an idle cluster rests", { timeout: 300_000 }, () => {
  const bench = join(import.meta.dirname, "../../bench/simulated-nodes.ts");
  const args = [bench, "--nodes=50", "--pods=500", "--deployments=5", "--idle=3", "--port=0"];
  const said = execFileSync(process.execPath, ["--disable-warning=ExperimentalWarning", ...args], { encoding: "utf8" });
  const number = (pattern: RegExp) => Number(pattern.exec(said)?.[1]);
  // CPU, not time: other work on the machine must not decide.
  assert.ok(number(/pods\/s, ([0-9.]+) s of CPU/) < 15, said);
  assert.ok(number(/pods\/s, [0-9.]+ s of CPU, ([0-9]+) MB/) < 512, said);
  assert.ok(number(/idle over 3 s: ([0-9.]+) %/) < 30, said);
});
