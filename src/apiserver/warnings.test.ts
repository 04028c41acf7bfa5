import assert from "node:assert/strict";
import { test } from "node:test";
import { warningHeaders } from "./warnings.ts";

const header = (text: string) => `299 - "${text}"`;

test("a warning is told once, quoted, unless it can't be written", () => {
  assert.deepEqual(warningHeaders(['say "a"', "b\nc", "", 'say "a"']), [header('say \\"a\\"')]);
});

test("what fits is told whole", () => {
  const texts = ["a".repeat(2048), "b".repeat(2048)];
  assert.deepEqual(warningHeaders(texts), texts.map(header));
});

test("too much is cut, those that were told before as well", () => {
  const texts = ["a".repeat(4000), "é".repeat(300)];
  assert.deepEqual(warningHeaders(texts), [header("a".repeat(256)), header("é".repeat(256))]);
});

test("of very many, the later ones are left out", () => {
  const texts = Array.from({ length: 100 }, (_, i) => `${i} ${"w".repeat(300)}`);
  assert.deepEqual(
    warningHeaders(texts),
    texts.slice(0, 16).map((text) => header(text.slice(0, 256))),
  );
});
