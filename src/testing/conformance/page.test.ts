import assert from "node:assert/strict";
import { test } from "node:test";
import { counts, merged, outcomesOf, pageOf, readPage, type Spec } from "./page.ts";

const spec = (sig: string, name: string, State: string, message?: string): Spec => ({
  ContainerHierarchyTexts: [`[${sig}] Pods`],
  LeafNodeType: "It",
  LeafNodeText: `${name} [Conformance]`,
  State,
  ...(message !== undefined && { Failure: { Message: message } }),
});

test("a page says of each conformance test what came of it, and is read back as it was written", () => {
  const outcomes = outcomesOf(
    [
      spec("sig-node", "start", "passed"),
      spec("sig-node", "stop", "failed", "\n  wrong | words\nmore"),
      spec("sig-apps", "scale", "skipped"),
      { ...spec("sig-apps", "other", "passed"), LeafNodeText: "other" },
      { ...spec("sig-apps", "left", "skipped", "not here"), LeafNodeText: "left" },
      { ...spec("sig-node", "another", "passed"), LeafNodeText: "another" },
      { ...spec("sig-apps", "off", "passed"), LeafNodeText: "off [Feature:OffByDefault]" },
    ],
    "containerd",
    "2026-11-23 18:21",
  );
  const page = pageOf(outcomes);
  assert.match(
    page,
    /\n\| Pods stop \[Conformance\] \| fail \| containerd \| 2026-11-23 18:21 \| wrong \\\| words \|\n/,
  );
  assert.deepEqual(new Map([...readPage(page)].toSorted()), new Map([...outcomes].toSorted()));
  assert.deepEqual(counts(outcomes).at(-1), ["together", "2", "1", "2", "5"]);
  const [conformance, beyond] = page.split("## Beyond conformance");
  assert.match(conformance!, /\n\| together \| 1 \| 1 \| 1 \| 3 \|\n/);
  assert.match(beyond!, /\n\| together \| 1 \| 0 \| 1 \| 2 \|\n/);
  assert.match(beyond!, /\n\| Pods left \| not run \|  \|  \| not here \|\n/);
  assert.match(page, /All figures are of one run, begun at 2026-11-23 18:21\./);
});

test("what a run leaves out keeps what was found before", () => {
  const before = outcomesOf(
    [spec("sig-node", "start", "failed", "x"), spec("sig-node", "stop", "passed")],
    "simulated",
    "",
  );
  const now = outcomesOf(
    [spec("sig-node", "start", "passed"), spec("sig-node", "stop", "skipped")],
    "containerd",
    "today",
  );
  const all = merged(before, now);
  assert.deepEqual(
    [...all.values()].map(({ result, runtime, run }) => [result, runtime, run]),
    [
      ["pass", "containerd", "today"],
      ["pass", "simulated", ""],
    ],
  );
  assert.match(pageOf(all), /several runs, the newest for each test: 1 of runs before these, 1 of that of today\./);
});
