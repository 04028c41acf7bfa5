import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ByteStream } from "../../world/net.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { MessageQueue } from "../rpc/message-queue.ts";
import { encodeFrame, FrameParser, type Frame } from "./frames.ts";
import { openWebSocket, requestedProtocols } from "./websocket.ts";

const { random } = nodeWorld();
const peer = { address: { host: "", port: 0 } };

function pipe(): [ByteStream, ByteStream] {
  const [a, b] = [new MessageQueue<Uint8Array>(), new MessageQueue<Uint8Array>()];
  const end = (incoming: MessageQueue<Uint8Array>, outgoing: MessageQueue<Uint8Array>): ByteStream => ({
    peer,
    write: async (data) => void outgoing.push(data.slice()),
    end: () => outgoing.end(),
    destroy: (error) => outgoing.end(error ?? new Error("cut")),
    closed: new Promise(() => {}),
    [Symbol.asyncIterator]: () => incoming,
  });
  return [end(a, b), end(b, a)];
}

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    final: fc.boolean(),
    opcode: fc.constantFrom("text" as const, "binary" as const, "continuation" as const),
    payload: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array(70_000).fill(3))),
  }),
  fc.record({
    final: fc.constant(true),
    opcode: fc.constantFrom("ping" as const, "close" as const),
    payload: fc.uint8Array({ maxLength: 125 }),
  }),
);

test("frames come back from their bytes, masked or not, however they are cut", () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 5 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 5000 }),
      (frames, masked, step) => {
        const bytes = Buffer.concat(
          frames.flatMap((one) => encodeFrame(one, masked ? new Uint8Array([1, 200, 3, 4]) : undefined)),
        );
        const parser = new FrameParser(masked, 1 << 20);
        const got: Frame[] = [];
        for (let at = 0; at < bytes.length; at += step) got.push(...parser.push(bytes.subarray(at, at + step)));
        assert.deepEqual(
          got.map(({ payload, ...rest }) => ({ ...rest, payload: [...payload] })),
          frames.map(({ payload, ...rest }) => ({ ...rest, payload: [...payload] })),
        );
      },
    ),
    { numRuns: 50 },
  );
});

test("breaks of the protocol close with their code", () => {
  const cases: [string, number[], number][] = [
    ["an unmasked frame from a client", [0x82, 0x00], 1002],
    ["reserved bits", [0xc2, 0x80], 1002],
    ["an unknown opcode", [0x83, 0x80], 1002],
    ["a control frame in parts", [0x09, 0x80, 0, 0, 0, 0], 1002],
    ["a message too big", [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0], 1009],
  ];
  for (const [name, bytes, code] of cases)
    assert.throws(() => new FrameParser(true, 1000).push(new Uint8Array(bytes)), { code }, name);
});

test("messages go both ways, pings are answered, and a close ends the reading", async () => {
  const [left, right] = pipe();
  const client = openWebSocket(left, { protocol: "p", random });
  const server = openWebSocket(right, { protocol: "p" });
  await client.send("hello");
  client.ping(new Uint8Array([1]));
  await client.send(new Uint8Array([1, 2, 3]));
  client.close(1000);
  const got: string[] = [];
  for await (const { text, data } of server) got.push(text ? Buffer.from(data).toString() : [...data].join());
  assert.deepEqual(got, ["hello", "1,2,3"]);
  for await (const _ of client) assert.fail("nothing but the pong and the close came");
});

test("a message in parts is put together, with a ping between them", async () => {
  const [left, right] = pipe();
  const server = openWebSocket(right, { protocol: "" });
  const mask = new Uint8Array([9, 8, 7, 6]);
  const parts: Frame[] = [
    { final: false, opcode: "text", payload: Buffer.from("one ") },
    { final: true, opcode: "ping", payload: new Uint8Array(0) },
    { final: true, opcode: "continuation", payload: Buffer.from("two") },
  ];
  for (const part of parts) for (const chunk of encodeFrame(part, mask)) await left.write(chunk);
  const { value } = await server[Symbol.asyncIterator]().next();
  assert.equal(Buffer.from(value.data).toString(), "one two");
});

test("a connection that ends without a close is an error", async () => {
  const [left, right] = pipe();
  left.end();
  await assert.rejects(openWebSocket(right, { protocol: "" })[Symbol.asyncIterator]().next(), { code: 1006 });
});

test("subprotocols may come in one header or several", () => {
  assert.deepEqual(requestedProtocols({ "sec-websocket-protocol": "SPDY/3.1+portforward.k8s.io, b" }), [
    "SPDY/3.1+portforward.k8s.io",
    "b",
  ]);
  assert.deepEqual(requestedProtocols({ "sec-websocket-protocol": ["a", "b"] }), ["a", "b"]);
  assert.deepEqual(requestedProtocols({}), []);
});

test("what follows a break of the protocol is read and dropped, so that the other side's end is reached", async () => {
  const chunks = [Buffer.from([0x82, 0x00]), Buffer.alloc(300_000), Buffer.alloc(300_000)]; // Unmasked, and then more.
  let isRead = false;
  const done = Promise.withResolvers<void>();
  const stream: ByteStream = {
    peer: { address: { host: "127.0.0.1", port: 1 } },
    write: async () => {},
    end: () => {},
    destroy: () => {},
    closed: done.promise,
    // As a socket's queue: who leaves early may come back for the rest.
    [Symbol.asyncIterator]: () => ({
      async next() {
        const value = chunks.shift();
        if (value !== undefined) return { value, done: false };
        isRead = true;
        done.resolve();
        return { value: undefined, done: true };
      },
      return: async () => ({ value: undefined, done: true }),
    }),
  };
  const socket = openWebSocket(stream, { protocol: "" });
  await assert.rejects(async () => {
    for await (const _ of socket);
  }, /an unmasked frame from a client/);
  await socket.closed;
  assert.ok(isRead);
});
