/** HPACK: what is encoded is decoded again, and no block does more than fail. */
import assert from "node:assert/strict";
import { HeaderDecoder } from "../../wire/http2/hpack/decoder.ts";
import { HeaderEncoder } from "../../wire/http2/hpack/encoder.ts";
import { STATIC_TABLE } from "../../wire/http2/hpack/static-table.ts";
import { Http2Error } from "../../wire/http2/protocol.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { type Fuzzer, mutated, pick } from "./fuzzer.ts";

const LIMITS = { maxListBytes: 1 << 20, maxHeaders: 2000 };

export function randomHeaders(random: Random): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let count = randomInt(random, 12); count > 0; count--) {
    const [name, value] = pick(random, STATIC_TABLE);
    const chosen = random.next() < 0.7 ? name : `x-${randomInt(random, 20)}`;
    const length = random.next() < 0.9 ? randomInt(random, 40) : randomInt(random, 5000);
    headers[chosen] = random.next() < 0.4 ? value : Buffer.from(random.bytes(length)).toString("latin1");
  }
  return headers;
}

export const hpackHeaders: Fuzzer = {
  name: "hpack-headers",
  about: "headers through an encoder and a decoder, with changes of the table's size",
  run(random) {
    const encoder = new HeaderEncoder();
    const decoder = new HeaderDecoder(LIMITS);
    const repeated = Object.freeze(randomHeaders(random));
    for (let block = 0; block < 8; block++) {
      if (random.next() < 0.2) encoder.resize(pick(random, [0, 64, 500, 4096, 100_000]));
      const headers = random.next() < 0.3 ? repeated : randomHeaders(random);
      const bytes = Buffer.from(encoder.encode(headers));
      assert.deepEqual(decoder.decode(bytes, 0, bytes.length), Object.entries(headers).flat());
    }
  },
};

export const hpackBlocks: Fuzzer = {
  name: "hpack-blocks",
  about: "random and damaged header blocks to the decoder",
  run(random) {
    const encoder = new HeaderEncoder();
    const decoder = new HeaderDecoder(LIMITS);
    for (let block = 0; block < 4; block++) {
      const bytes =
        random.next() < 0.3
          ? Buffer.from(random.bytes(randomInt(random, 200)))
          : mutated(random, encoder.encode(randomHeaders(random)));
      try {
        const list = decoder.decode(bytes, 0, bytes.length);
        const size = list?.reduce((sum, text) => sum + text.length, 0) ?? 0;
        assert.ok(size <= LIMITS.maxListBytes);
      } catch (error) {
        if (!(error instanceof Http2Error)) throw error;
        assert.equal(error.code, "COMPRESSION_ERROR");
        return; // The connection would end.
      }
    }
  },
};
