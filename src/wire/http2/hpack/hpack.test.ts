/** HPACK against the examples of RFC 7541, and against Node's own encoder and decoder. */
import assert from "node:assert/strict";
import { createServer, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { Duplex } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { FrameReader } from "../frame-reader.ts";
import { FrameWriter } from "../frame-writer.ts";
import { CONTINUATION, HEADERS, Http2Error, PREFACE } from "../protocol.ts";
import { HeaderDecoder } from "./decoder.ts";
import { HeaderEncoder } from "./encoder.ts";
import { huffmanDecode, huffmanEncode, huffmanLength } from "./huffman.ts";

const LIMITS = { maxListBytes: 1 << 20, maxHeaders: 2000 };
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const decode = (decoder: HeaderDecoder, bytes: Buffer) => {
  const list = decoder.decode(bytes, 0, bytes.length)!;
  return Array.from({ length: list.length / 2 }, (_, i) => [list[i * 2]!, list[i * 2 + 1]!] as const);
};

test("the requests of RFC 7541, C.3 and C.4, mean what they say there", () => {
  const get = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
  ];
  const last = [
    [":method", "GET"],
    [":scheme", "https"],
    [":path", "/index.html"],
    [":authority", "www.example.com"],
    ["custom-key", "custom-value"],
  ];
  for (const blocks of [
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ]) {
    const decoder = new HeaderDecoder(LIMITS);
    assert.deepEqual(decode(decoder, hex(blocks[0]!)), get);
    assert.deepEqual(decode(decoder, hex(blocks[1]!)), [...get, ["cache-control", "no-cache"]]);
    assert.deepEqual(decode(decoder, hex(blocks[2]!)), last);
  }
});

test("entries that no longer fit are evicted, oldest first (RFC 7541, C.6)", () => {
  const decoder = new HeaderDecoder(LIMITS);
  // A table of 256 bytes, as the example has it.
  decode(decoder, hex("3fe1 01"));
  const date = "Mon, 21 Oct 2013 20:13:21 GMT";
  const location = "https://www.example.com";
  assert.deepEqual(
    decode(
      decoder,
      hex(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      ),
    ),
    [
      [":status", "302"],
      ["cache-control", "private"],
      ["date", date],
      ["location", location],
    ],
  );
  assert.deepEqual(decode(decoder, hex("4883 640e ffc1 c0bf")), [
    [":status", "307"],
    ["cache-control", "private"],
    ["date", date],
    ["location", location],
  ]);
  // ":status: 302" had to go for 307.
  assert.deepEqual(decode(decoder, hex("c1")), [["cache-control", "private"]]);
  assert.throws(() => decode(decoder, hex("c2")), Http2Error);
});

for (const [what, block] of [
  ["an index of 0", "80"],
  ["an index that nothing has", "be"],
  ["an integer without its end", "ff"],
  ["an integer too large", "ffff ffff ffff 7f"],
  ["a text longer than its block", "400a 61"],
  ["a header without its value", "4001 61"],
  ["a table size update after a header", "82 20"],
  ["a table larger than agreed", "3fff ffff 03"],
  ["a Huffman code that ends in zeros", "4001 6181 18"],
  ["a Huffman code with eight bits too many", "4001 6182 1fff"],
  ["a Huffman code with the end of a string", "4001 6184 ffff ffff"],
] as const)
  test(`a block with ${what} breaks the connection`, () => {
    assert.throws(
      () => decode(new HeaderDecoder(LIMITS), hex(block)),
      (error) => error instanceof Http2Error && error.code === "COMPRESSION_ERROR" && error.streamId === undefined,
    );
  });

test("a list over its limits is told apart, and leaves the table as it should be", () => {
  const decoder = new HeaderDecoder({ maxListBytes: 100, maxHeaders: 3 });
  const encoder = new HeaderEncoder();
  const send = (headers: Record<string, string>) => {
    const bytes = encoder.encode(headers);
    return decoder.decode(bytes, 0, bytes.length);
  };
  assert.equal(send({ a: "x".repeat(80), b: "y" }), undefined);
  assert.equal(send({ a: "1", b: "2", c: "3", d: "4" }), undefined);
  assert.deepEqual(send({ b: "y" }), ["b", "y"]);
});

test("every byte survives Huffman's code", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      const coded = Buffer.alloc(huffmanLength(text));
      assert.equal(huffmanEncode(text, coded, 0), coded.length);
      const decoded = Buffer.alloc(coded.length * 2);
      assert.equal(decoded.toString("latin1", 0, huffmanDecode(coded, 0, coded.length, decoded)), text);
    }),
  );
});

test("a repeated block costs a byte a header, one of passing values doesn't fill the table, and a secret is never indexed", () => {
  const encoder = new HeaderEncoder();
  const headers = { "content-type": "application/grpc", te: "trailers" };
  encoder.encode(headers);
  assert.equal(encoder.encode(headers).length, 2);
  const frozen = Object.freeze({ ...headers });
  assert.equal(encoder.encode(frozen).buffer, encoder.encode(frozen).buffer);
  for (let i = 0; i < 1000; i++) encoder.encode({ date: `day ${i}`, "x-id": `number ${i}` });
  const secret = encoder.encode({ authorization: "Bearer x" });
  assert.equal(secret[0]! >> 4, 1);
  assert.equal(encoder.encode({ authorization: "Bearer x" }).length, secret.length);
});

test("names leave in small letters", () => {
  const encoder = new HeaderEncoder();
  const decoder = new HeaderDecoder(LIMITS);
  for (let i = 0; i < 2; i++)
    assert.deepEqual(decode(decoder, Buffer.from(encoder.encode({ "Content-Type": "a", "X-B": "b" }))), [
      ["content-type", "a"],
      ["x-b", "b"],
    ]);
});

test("a table that was made small and large again in between is announced with both sizes", () => {
  const encoder = new HeaderEncoder();
  encoder.encode({ a: "b" });
  encoder.resize(0);
  encoder.resize(4096);
  // 0, then 4096; and the entry is gone.
  assert.equal(encoder.encode({ a: "b" }).toString("hex", 0, 5), "203fe11f40");
});

/** One end of a connection in memory; what Node writes to it goes to `heard`. */
function wire(heard: (chunk: Buffer) => void): Duplex {
  return new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      heard(chunk);
      done();
    },
  });
}

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/).map((text) => `x-${text}`);
const value = fc.oneof(
  fc.stringMatching(/^[!-~]{0,60}$/),
  fc.constantFrom("application/json", "gzip, deflate", "no-cache", "x".repeat(3000)),
);
const someHeaders = fc.dictionary(
  fc.oneof(name, fc.constantFrom("accept", "user-agent", "content-type", "authorization", "etag")),
  value,
  { maxKeys: 8, noNullPrototype: true },
);

test("what Node encodes, our decoder reads", async () => {
  const decoder = new HeaderDecoder(LIMITS);
  const blocks: Buffer[] = [];
  let preface = PREFACE.length;
  const reader = new FrameReader({
    onFrame(type, _flags, _id, buffer, start, end) {
      // A CONTINUATION goes on where its HEADERS ended.
      if (type === HEADERS) blocks.push(Buffer.from(buffer.subarray(start, end)));
      if (type === CONTINUATION) blocks.push(Buffer.concat([blocks.pop()!, buffer.subarray(start, end)]));
    },
  });
  const duplex = wire((chunk) => {
    const skipped = Math.min(preface, chunk.length);
    preface -= skipped;
    reader.push(chunk.subarray(skipped));
  });
  const session = connect("http://a", { createConnection: () => duplex, peerMaxConcurrentStreams: 1e6 });
  session.on("error", () => {});
  await fc.assert(
    fc.asyncProperty(someHeaders, async (headers) => {
      const before = blocks.length;
      const stream = session.request({ ":path": "/", ...headers }, { endStream: true });
      stream.on("error", () => {});
      while (blocks.length === before) await new Promise((resolve) => setImmediate(resolve));
      const read = Object.fromEntries(decode(decoder, blocks.at(-1)!));
      for (const [key, sent] of Object.entries(headers)) assert.equal(read[key], sent);
      assert.equal(read[":path"], "/");
    }),
    { numRuns: 200 },
  );
  session.destroy();
  duplex.destroy();
});

test("what our encoder writes, Node reads", async () => {
  const duplex = wire(() => {});
  const server = createServer({ settings: { maxConcurrentStreams: 1e6 } });
  let seen: ((headers: IncomingHttpHeaders) => void) | undefined;
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    stream.respond({}, { endStream: true });
    seen?.(headers);
  });
  server.on("sessionError", (error) => assert.fail(error));
  server.emit("connection", duplex);
  const writer = new FrameWriter();
  const encoder = new HeaderEncoder();
  const send = () => void duplex.push(Buffer.concat(writer.take()));
  writer.raw(Buffer.from(PREFACE));
  writer.settings([]);
  send();
  let id = 1;
  await fc.assert(
    fc.asyncProperty(someHeaders, fc.boolean(), async (headers, frozen) => {
      const sent = { ":method": "GET", ":scheme": "http", ":authority": "a", ":path": "/", ...headers };
      const got = new Promise<IncomingHttpHeaders>((resolve) => (seen = resolve));
      writer.headers(id, encoder.encode(frozen ? Object.freeze(sent) : sent), true, 16_384);
      id += 2;
      send();
      const read = (await got) as OutgoingHttpHeaders;
      for (const [key, expected] of Object.entries(headers)) assert.equal(read[key], expected);
    }),
    { numRuns: 200 },
  );
  duplex.destroy();
  server.close();
});
