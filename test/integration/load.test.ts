/** Each kind of load in small: whether answers are right under it. How fast they are is `npm run load`'s to say, on a machine of its own. */
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import type { Sizes } from "../../src/testing/load/case.ts";
import { CASES } from "../../src/testing/load/cases.ts";
import { runCase } from "../../src/testing/load/run.ts";

const SMALL: Sizes = {
  watchers: 40,
  writesPerSecond: 100,
  seconds: 1,
  listers: 5,
  pods: 300,
  customObjects: 100,
  objects: 2500,
};

for (const load of CASES)
  test(`under load in small: ${load.about}`, async () => {
    const said: string[] = [];
    const { short } = await runCase(load, {
      sizes: SMALL,
      under: tmpdir(),
      isTimed: false,
      say: (text) => said.push(text),
    });
    assert.deepEqual(short, [], said.join("\n"));
  });
