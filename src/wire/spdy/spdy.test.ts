import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, createDeflate } from "node:zlib";
import fc from "fast-check";
import type { ByteStream } from "../../world/net.ts";
import { MessageQueue } from "../rpc/message-queue.ts";
import { spdyConnection } from "./connection.ts";
import { SpdyDecoder, SpdyEncoder, type SpdyFrame } from "./frames.ts";
import { DICTIONARY, HeaderReader } from "./headers.ts";

const id = fc.integer({ min: 1, max: 0x7fffffff });
const headers = fc.dictionary(
  fc.string({ unit: fc.constantFrom(..."abcdefgh-"), minLength: 1 }),
  fc.string({ maxLength: 50 }),
  { noNullPrototype: true },
);
const frame: fc.Arbitrary<Exclude<SpdyFrame, { type: "unknown" }>> = fc.oneof(
  fc.record({ type: fc.constant("data" as const), stream: id, fin: fc.boolean(), data: fc.uint8Array() }),
  fc.record({
    type: fc.constant("syn-stream" as const),
    stream: id,
    associated: id,
    priority: fc.integer({ min: 0, max: 7 }),
    fin: fc.boolean(),
    unidirectional: fc.boolean(),
    headers,
  }),
  fc.record({ type: fc.constant("syn-reply" as const), stream: id, fin: fc.boolean(), headers }),
  fc.record({ type: fc.constant("headers" as const), stream: id, fin: fc.boolean(), headers }),
  fc.record({ type: fc.constant("rst-stream" as const), stream: id, status: id }),
  fc.record({ type: fc.constant("ping" as const), id }),
  fc.record({ type: fc.constant("goaway" as const), lastStream: id, status: id }),
  fc.record({ type: fc.constant("window-update" as const), stream: id, delta: id }),
  fc.record({
    type: fc.constant("settings" as const),
    values: fc.constant(
      new Map([
        [7, 65536],
        [4, 100],
      ]),
    ),
  }),
);
const plain = (one: SpdyFrame) => (one.type === "data" ? { ...one, data: [...one.data] } : { ...one });

test("frames come back from their bytes however they are cut", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.integer({ min: 1, max: 200 }), (frames, step) => {
      const encoder = new SpdyEncoder();
      const decoder = new SpdyDecoder();
      const bytes = Buffer.concat(frames.flatMap((one) => encoder.encode(one)));
      const got: SpdyFrame[] = [];
      for (let at = 0; at < bytes.length; at += step) got.push(...decoder.push(bytes.subarray(at, at + step)));
      assert.deepEqual(got.map(plain), frames.map(plain));
    }),
  );
});

test("header blocks of a real compressor are read, each on its own", async () => {
  const deflate = createDeflate({ dictionary: DICTIONARY, level: 9 });
  const block = (entries: Record<string, string>) =>
    new Promise<Buffer>((resolve) => {
      const parts: Buffer[] = [];
      const number = (value: number) => {
        const four = Buffer.alloc(4);
        four.writeUInt32BE(value);
        return four;
      };
      const text = (value: string) => Buffer.concat([number(value.length), Buffer.from(value)]);
      deflate.on("data", (part: Buffer) => parts.push(part));
      deflate.write(Buffer.concat([number(Object.keys(entries).length), ...Object.entries(entries).flat().map(text)]));
      deflate.flush(constants.Z_SYNC_FLUSH, () => {
        deflate.removeAllListeners("data");
        resolve(Buffer.concat(parts));
      });
    });
  const reader = new HeaderReader();
  for (let i = 0; i < 300; i++) {
    // Long enough together for the window to slide, and alike enough to refer back.
    const entries = {
      streamtype: "error",
      port: String(i),
      requestid: "x".repeat(i % 200),
      "accept-encoding": `gzip ${i % 7}`,
    };
    assert.deepEqual(reader.read(await block(entries)), entries);
  }
});

function pipe(): [ByteStream, ByteStream] {
  const [a, b] = [new MessageQueue<Uint8Array>(), new MessageQueue<Uint8Array>()];
  const end = (incoming: MessageQueue<Uint8Array>, outgoing: MessageQueue<Uint8Array>): ByteStream => ({
    peer: { address: { host: "", port: 0 } },
    write: async (data) => void outgoing.push(data.slice()),
    end: () => outgoing.end(),
    destroy: (error) => outgoing.end(error ?? new Error("cut")),
    closed: new Promise(() => {}),
    [Symbol.asyncIterator]: () => incoming,
  });
  return [end(a, b), end(b, a)];
}
const text = async (stream: AsyncIterable<Uint8Array>) => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

test("streams carry bytes both ways and end each way by itself", async () => {
  const [left, right] = pipe();
  const client = spdyConnection(left, "client");
  const server = spdyConnection(right, "server");
  const serving = (async () => {
    for await (const stream of server.streams) {
      const got = await text(stream);
      await stream.write(Buffer.from(`${stream.headers["streamtype"]}: ${got.length}`));
      stream.end();
    }
  })();
  const stdin = await client.open({ streamtype: "stdin" });
  const other = await client.open({ streamtype: "other" });
  await stdin.write(new Uint8Array(200_000));
  stdin.end();
  other.end();
  assert.equal(await text(stdin), "stdin: 200000");
  assert.equal(await text(other), "other: 0");
  await stdin.closed;
  await client.ping();
  await assert.rejects(stdin.write(new Uint8Array(1)), /closed stream/);
  client.close();
  await serving;
});

test("a reset reaches the other side's reader", async () => {
  const [left, right] = pipe();
  const client = spdyConnection(left, "client");
  const server = spdyConnection(right, "server");
  const stream = await client.open({});
  const { value } = await server.streams[Symbol.asyncIterator]().next();
  stream.destroy();
  await assert.rejects(text(value), /Stream reset/);
});

test("a connection that breaks fails the streams on it", async () => {
  const [left, right] = pipe();
  const client = spdyConnection(left, "client");
  spdyConnection(right, "server");
  const stream = await client.open({});
  right.destroy(new Error("cut off"));
  await assert.rejects(text(stream), /cut off/);
  await client.closed;
});

test("a connection that is closed with much unread on it comes to its end", async () => {
  const [left, right] = pipe();
  const client = spdyConnection(left, "client");
  const server = spdyConnection(right, "server");
  await client.open({});
  const { value } = await server.streams[Symbol.asyncIterator]().next();
  for (let i = 0; i < 200; i++) await value.write(new Uint8Array(100_000));
  client.close();
  server.close();
  await Promise.all([client.closed, server.closed]);
});
