import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { deferred } from "../base/deferred.ts";
import { createProgress } from "./progress.ts";

/** What a terminal shows in the end: each redraw of the last line replaces it. */
function screen(written: string): readonly string[] {
  return stripVTControlCharacters(written)
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\r") + 1));
}

function progressAt(interactive: boolean) {
  let now = 0;
  let written = "";
  const progress = createProgress({ monotonic: () => now }, (text) => (written += text), interactive);
  return { progress, pass: (ms: number) => (now += ms), shows: () => screen(written) };
}

test("steps side by side are named on one line of a terminal, and each gets a line of its own when it ends", async () => {
  const { progress, pass, shows } = progressAt(true);
  const [slow, quick] = [deferred(), deferred()];
  const steps = [progress.step("kubelet", () => slow.promise), progress.step("dns", () => quick.promise)];
  assert.deepEqual(shows(), ["· kubelet, dns …"]);
  pass(20);
  quick.resolve();
  await steps[1];
  assert.deepEqual(shows(), ["✓ dns 0.02 s", "· kubelet …"]);
  pass(480);
  slow.resolve();
  await steps[0];
  assert.deepEqual(shows(), ["✓ dns 0.02 s", "✓ kubelet 0.50 s", ""]);
});

test("a step that fails says so and passes its error on; without a terminal there are plain lines only", async () => {
  const { progress, shows } = progressAt(false);
  await assert.rejects(
    progress.step("etcd", () => Promise.reject(new Error("no disk"))),
    /no disk/,
  );
  assert.deepEqual(shows(), ["✗ etcd 0.00 s", ""]);
});
