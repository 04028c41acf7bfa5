import assert from "node:assert/strict";
import { test } from "node:test";
import { Heard } from "./heard.ts";

const event = (version: number, type = "MODIFIED") =>
  `{"type":"${type}","object":{"metadata":{"name":"a","resourceVersion":"${version}"}}}\n`;

function hear(text: string, written: readonly number[], pieceBytes = 7): string | undefined {
  const heard = new Heard();
  const data = Buffer.from(text);
  for (let at = 0; at < data.length; at += pieceBytes) heard.onData(data, at, Math.min(at + pieceBytes, data.length));
  return heard.wrong(written);
}

test("a watch is right if it told of what was written, in its order, however it was cut", () => {
  for (const pieceBytes of [1, 7, 100, 1000])
    assert.equal(
      hear(event(3) + event(5) + event(5, "BOOKMARK") + event(12), [5, 3, 12], pieceBytes),
      undefined,
      String(pieceBytes),
    );
});

for (const [what, text, wrong] of [
  ["lacks one", event(3) + event(12), "2 events of 3 were heard"],
  ["tells one twice", event(3) + event(5) + event(5) + event(12), "version 5 came after 5"],
  ["turns two round", event(5) + event(3) + event(12), "version 3 came after 5"],
  ["tells of another", event(3) + event(6) + event(12), "other versions were heard than were written"],
] as const)
  test(`a watch that ${what} is found out`, () => assert.equal(hear(text, [3, 5, 12]), wrong));
