/** Requests and answers as handlers and callers see them, from blocks written by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Http2Wire } from "../../testing/http2-wire.ts";
import { Simulation } from "../../testing/sim/simulation.ts";
import type { Headers, HttpHandler } from "../../world/net.ts";
import { http2Engine } from "./engine.ts";
import { FrameWriter } from "./frame-writer.ts";
import { GOAWAY, HEADERS, PING, PREFACE, RST_STREAM } from "./protocol.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));
/** GET / over http, of the static table. */
const GET = [0x82, 0x86, 0x84];
const literal = (name: string, value: string) => [
  0x40,
  name.length,
  ...Buffer.from(name),
  value.length,
  ...Buffer.from(value),
];
const NEWEST = 0x80 | 62;

function serve(handle: HttpHandler) {
  const wire = new Http2Wire();
  const connection = http2Engine(new Simulation()).serve(wire, { encrypted: false, handle, onError() {} });
  const writer = new FrameWriter();
  const send = async (write: (writer: FrameWriter) => void) => {
    write(writer);
    for (const chunk of writer.take()) wire.sink.onData(chunk);
    await settled();
  };
  const open = () =>
    send((to) => {
      to.raw(Buffer.from(PREFACE));
      to.settings([]);
    });
  const ask = (id: number, block: readonly number[]) => send((to) => to.headers(id, Buffer.from(block), true, 16_384));
  return { wire, connection, send, open, ask };
}

test("the same bytes mean something else when the table has moved", async () => {
  const seen: Headers[] = [];
  const { open, ask } = serve(({ request }) => void seen.push(request.headers));
  await open();
  await ask(1, [...GET, ...literal("x-a", "one")]);
  for (const id of [3, 5]) await ask(id, [...GET, NEWEST]);
  await ask(7, [...GET, ...literal("x-b", "two")]);
  for (const id of [9, 11]) await ask(id, [...GET, NEWEST]);
  assert.deepEqual(
    seen.map((headers) => [headers["x-a"], headers["x-b"]]),
    [...Array(3).fill(["one", undefined]), ...Array(3).fill([undefined, "two"])],
  );
  assert.equal(seen[1], seen[2]); // Known by its bytes.
});

test("headers that repeat are joined as their names ask for", async () => {
  let seen: Headers = {};
  const { open, ask } = serve(({ request }) => void (seen = request.headers));
  await open();
  const repeated = ["x-list", "cookie", "impersonate-group", "user-agent", "set-cookie"];
  await ask(1, [...GET, ...repeated.flatMap((name) => [...literal(name, "a"), ...literal(name, "b")])]);
  assert.deepEqual(
    repeated.map((name) => seen[name]),
    ["a, b", "a; b", ["a", "b"], "a", ["a", "b"]],
  );
  assert.equal(seen["host"], "");
});

test("a stream that comes after the goodbye was read is not answered", async () => {
  const asked: string[] = [];
  const { wire, connection, send, open, ask } = serve((exchange) => void asked.push(exchange.request.url));
  await open();
  await ask(1, GET);
  connection.close();
  await settled();
  await ask(3, GET); // It was on its way.
  const goodbye = wire.frames.find(({ type }) => type === PING)!;
  await send((to) => to.ping(goodbye.payload, true));
  const last = wire.frames.filter(({ type }) => type === GOAWAY).map(({ payload }) => payload.readUInt32BE(0));
  assert.deepEqual(last, [2 ** 31 - 1, 3]);
  await ask(5, GET);
  assert.equal(asked.length, 2);
  assert.equal(wire.ended, false);
});

for (const [what, write] of [
  ["data before its headers", (to: FrameWriter) => to.data(1, Buffer.from("x"), true)],
  ["headers without a status", (to: FrameWriter) => to.headers(1, Buffer.from([0x8f]), true, 16_384)],
  [
    "an interim answer that ends",
    (to: FrameWriter) => to.headers(1, Buffer.from([0x08, 3, 0x31, 0x30, 0x30]), true, 16_384),
  ],
  [
    "less data than it said",
    (to: FrameWriter) => {
      to.headers(1, Buffer.from([0x88, 0x0f, 0x0d, 1, 0x35]), false, 16_384);
      to.data(1, Buffer.from("x"), true);
    },
  ],
] as const)
  test(`an answer with ${what} is an error to its caller and to the server`, async () => {
    const wire = new Http2Wire(PREFACE.length);
    const client = http2Engine(new Simulation()).dial(wire, { encrypted: false, authority: "a" });
    const reading = client.request({ method: "GET", path: "/" }).then(async ({ body }) => {
      for await (const _ of body);
    });
    await settled();
    const writer = new FrameWriter();
    writer.settings([]);
    write(writer);
    for (const chunk of writer.take()) wire.sink.onData(chunk);
    await assert.rejects(reading, { code: "ECONNRESET" });
    await settled();
    assert.ok(wire.frames.some(({ type, id }) => type === RST_STREAM && id === 1));
    assert.equal(client.finished, false);
  });

test("interim answers are passed over", async () => {
  const wire = new Http2Wire(PREFACE.length);
  const client = http2Engine(new Simulation()).dial(wire, { encrypted: false, authority: "a" });
  const answer = client.request({ method: "GET", path: "/", headers: { "x-a": "b" } });
  await settled();
  assert.ok(wire.frames.some(({ type, flags }) => type === HEADERS && flags === 5));
  const writer = new FrameWriter();
  writer.settings([]);
  writer.headers(1, Buffer.from([0x08, 3, 0x31, 0x30, 0x33]), false, 16_384); // 103
  writer.headers(1, Buffer.from([0x89]), true, 16_384); // 204
  for (const chunk of writer.take()) wire.sink.onData(chunk);
  assert.equal((await answer).status, 204);
});
