import assert from "node:assert/strict";
import { test } from "node:test";
import type { AdmissionRequest } from "./framework.ts";
import { Reinvocable, Rounds } from "./reinvocation.ts";

/** Of webhooks or policies named a, b, c…, those that the second round asks again. */
function askedAgain(mindsItself: boolean, ...each: readonly (readonly [policy: string, changed: boolean])[]): string {
  const rounds = new Rounds();
  const request = { object: {}, rounds } as unknown as AdmissionRequest;
  const round = new Reinvocable(request);
  const name = (index: number) => String.fromCharCode(97 + index);
  round.begin();
  each.forEach(([policy, changed], index) => round.asked(name(index), policy, changed, mindsItself));
  round.end();
  rounds.isAgain = true;
  round.begin();
  return each
    .map((_, index) => name(index))
    .filter((one) => round.isAsked(one))
    .join("");
}

const rows = [
  [
    "who is asked before a change and wants it is asked again",
    [
      ["IfNeeded", false],
      ["Never", true],
    ],
    "a",
    "a",
  ],
  [
    "who is asked after the last change isn't",
    [
      ["Never", true],
      ["IfNeeded", false],
    ],
    "",
    "",
  ],
  [
    "who never wants it isn't",
    [
      ["Never", false],
      ["Never", true],
    ],
    "",
    "",
  ],
  ["a policy minds its own change, a webhook doesn't", [["IfNeeded", true]], "", "a"],
  [
    "of two that change, a webhook hears of the other's change alone",
    [
      ["IfNeeded", true],
      ["IfNeeded", true],
    ],
    "a",
    "ab",
  ],
  [
    "nobody is when nothing changed",
    [
      ["IfNeeded", false],
      ["IfNeeded", false],
    ],
    "",
    "",
  ],
] as const;
for (const [title, each, webhooks, policies] of rows)
  test(title, () => {
    assert.equal(askedAgain(false, ...each), webhooks);
    assert.equal(askedAgain(true, ...each), policies);
  });
