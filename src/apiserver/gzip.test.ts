import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { GzipWriter } from "./gzip.ts";

test("pieces that are compressed one by one are one gzip stream", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 5000, size: "max" }), { maxLength: 8 }),
      fc.uint8Array(),
      (pieces, last) => {
        const writer = new GzipWriter();
        const packed = [...pieces.map((piece) => writer.write(piece, false)), writer.write(last, true)];
        assert.deepEqual(gunzipSync(Buffer.concat(packed)), Buffer.concat([...pieces, last]));
      },
    ),
    { numRuns: 50 },
  );
});
