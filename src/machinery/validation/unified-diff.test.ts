import assert from "node:assert/strict";
import { test } from "node:test";
import { unifiedDiff } from "./unified-diff.ts";

const lines = (count: number, at?: number) =>
  Array.from({ length: count }, (_, i) => (i === at ? "changed" : i % 3 === 0 ? "{" : `line ${i}`)).join("\n");

test("equal texts have no difference", () => assert.equal(unifiedDiff("a\nb", "a\nb"), ""));

test("a changed line is shown with three lines on either side", () =>
  assert.equal(
    unifiedDiff(lines(12), lines(12, 5)),
    "@@ -3,7 +3,7 @@\n line 2\n {\n line 4\n-line 5\n+changed\n {\n line 7\n line 8\n",
  ));

test("changes far apart are shown apart, also in texts that are long enough to have lines too frequent to count", () => {
  const far = unifiedDiff(lines(240), lines(240, 4).replace("line 230", "other"));
  assert.deepEqual(far.match(/^@@.*$/gm), ["@@ -2,7 +2,7 @@", "@@ -228,7 +228,7 @@"]);
});
