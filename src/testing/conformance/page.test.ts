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
    ],
    "containerd",
  );
  const page = pageOf(outcomes);
  assert.match(page, /\n\| Pods stop \[Conformance\] \| fail \| containerd \| wrong \\\| words \|\n/);
  assert.deepEqual(new Map([...readPage(page)].toSorted()), new Map([...outcomes].toSorted()));
  assert.deepEqual(counts(outcomes).at(-1), ["together", "1", "1", "1", "3"]);
});

test("what a run leaves out keeps what was found before", () => {
  const before = outcomesOf(
    [spec("sig-node", "start", "failed", "x"), spec("sig-node", "stop", "passed")],
    "simulated",
  );
  const now = outcomesOf([spec("sig-node", "start", "passed"), spec("sig-node", "stop", "skipped")], "containerd");
  assert.deepEqual(
    [...merged(before, now).values()].map(({ result, runtime }) => `${result} ${runtime}`),
    ["pass containerd", "pass simulated"],
  );
});
