import assert from "node:assert/strict";
import { test } from "node:test";
import { type Component, ComponentGroup } from "./component-group.ts";

/** Logs its start and stop; `behaviour` says how it goes on. */
function part(name: string, log: string[], behaviour: "ready" | "never ready" | "fails" | "ends" = "ready"): Component {
  return {
    name,
    async run(signal, ready) {
      log.push(`+${name}`);
      if (behaviour === "fails") throw new Error("broken");
      if (behaviour === "ends") return;
      if (behaviour === "ready") ready();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      log.push(`-${name}`);
    },
  };
}

test("components start in order and stop in reverse", async () => {
  const log: string[] = [];
  {
    await using group = new ComponentGroup();
    await group.start(part("a", log));
    await group.start(part("b", log));
  }
  assert.deepEqual(log, ["+a", "+b", "-b", "-a"]);
});

test("one that fails is named, before it is ready and after", async () => {
  await using group = new ComponentGroup();
  await assert.rejects(group.start(part("a", [], "fails")), /broken/);
  await assert.rejects(group.wait(new AbortController().signal), /a failed/);
  await assert.rejects(group.start(part("b", [], "ends")), /b ended before it was ready/);
});

test("a start that is called off is stopped with the others", async () => {
  const log: string[] = [];
  const stop = new AbortController();
  {
    await using group = new ComponentGroup();
    await group.start(part("a", log), stop.signal);
    const starting = group.start(part("b", log, "never ready"), stop.signal);
    stop.abort(new Error("enough"));
    await assert.rejects(starting, /enough/);
  }
  assert.deepEqual(log, ["+a", "+b", "-b", "-a"]);
});
