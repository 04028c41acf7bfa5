import assert from "node:assert/strict";
import { test } from "node:test";
import { linesOf, queryString } from "./https.ts";

async function lines(...chunks: readonly Uint8Array[]): Promise<string[]> {
  const result: string[] = [];
  for await (const line of linesOf(
    (async function* () {
      yield* chunks;
    })(),
  ))
    result.push(line);
  return result;
}

test("lines come out whole wherever the chunks end, also inside a character", async () => {
  const bytes = Buffer.from('{"a":"é"}\n{"b":1}\n\n{"c":2}\n');
  for (let cut = 0; cut <= bytes.length; cut++)
    assert.deepEqual(await lines(bytes.subarray(0, cut), bytes.subarray(cut)), ['{"a":"é"}', '{"b":1}', '{"c":2}']);
});

test("an unfinished last line is dropped", async () => {
  assert.deepEqual(await lines(Buffer.from('{"a":1}\n{"b"')), ['{"a":1}']);
});

test("absent parameters stay out of the query", () => {
  assert.equal(queryString({ a: "1", b: undefined, c: ["x", "y z"] }), "?a=1&c=x&c=y+z");
  assert.equal(queryString({ b: undefined }), "");
});
