/** What breaks the protocol, and what only means to wear us out: each is answered with the error that it is owed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Http2Wire } from "../../testing/http2-wire.ts";
import { Simulation } from "../../testing/sim/simulation.ts";
import type { HttpHandler, Http2Options } from "../../world/net.ts";
import { http2Engine } from "./engine.ts";
import { HeaderEncoder } from "./hpack/encoder.ts";
import { errorName, PREFACE } from "./protocol.ts";

const hello: HttpHandler = async (exchange) => {
  for await (const _ of exchange.request.body);
  exchange.respond(200, {}, "hello");
};

function serve(handle: HttpHandler = hello, options: Http2Options = {}) {
  const clock = new Simulation();
  const wire = new Http2Wire();
  http2Engine(clock).serve(wire, { ...options, encrypted: false, handle, onError() {} });
  return { clock, wire };
}

/** Everything that the promises at hand lead to. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function frame(type: number, flags: number, id: number, payload: Uint8Array | string = ""): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, bytes]);
}
const number = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const setting = (id: number, value: number) => Buffer.concat([Buffer.from([0, id]), number(value)]);

const GET = { ":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a" };
const block = (headers: Record<string, string>) => Buffer.from(new HeaderEncoder().encode(headers));
const [DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
];
const [END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY] = [1, 4, 8, 0x20];
const ask = (id: number, headers: Record<string, string> = GET, flags = END_STREAM | END_HEADERS) =>
  frame(HEADERS, flags, id, block(headers));
const open = (id: number, headers: Record<string, string> = GET) => ask(id, { ...GET, ...headers }, END_HEADERS);
const without = (name: keyof typeof GET) => Object.fromEntries(Object.entries(GET).filter(([key]) => key !== name));
const opening = Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, 0)]);
const times = (count: number, make: (i: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));

/** What became of it: the last words of the connection, or else the resets of its streams. */
function outcome({ frames, ended }: Http2Wire): string {
  const goaway = frames.find(({ type }) => type === GOAWAY);
  if (goaway !== undefined) {
    assert.ok(ended, "the connection ends after GOAWAY");
    return `GOAWAY ${errorName(goaway.payload.readUInt32BE(4))}`;
  }
  const resets = frames.filter(({ type }) => type === RST_STREAM);
  if (resets.length > 0) return `RST_STREAM ${resets[0]!.id} ${errorName(resets[0]!.payload.readUInt32BE(0))}`;
  return "nothing";
}

const CASES: readonly (readonly [what: string, bytes: Buffer | readonly Buffer[], expected: string])[] = [
  ["a frame larger than agreed", frame(DATA, 0, 1, Buffer.alloc(16_385)), "GOAWAY FRAME_SIZE_ERROR"],
  ["DATA of no stream", frame(DATA, 0, 0, "x"), "GOAWAY PROTOCOL_ERROR"],
  ["DATA of an idle stream", frame(DATA, 0, 1, "x"), "GOAWAY PROTOCOL_ERROR"],
  ["DATA after the end of a stream", [ask(1), frame(DATA, 0, 1, "x")], "RST_STREAM 1 STREAM_CLOSED"],
  ["DATA with more padding than frame", [open(1), frame(DATA, PADDED, 1, "\u0005abc")], "GOAWAY PROTOCOL_ERROR"],
  [
    "DATA beyond content-length",
    [open(1, { "content-length": "1" }), frame(DATA, 0, 1, "xy")],
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  [
    "DATA short of content-length",
    [open(1, { "content-length": "3" }), frame(DATA, END_STREAM, 1, "xy")],
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  ["an end short of content-length", ask(1, { ...GET, "content-length": "3" }), "RST_STREAM 1 PROTOCOL_ERROR"],
  ["HEADERS of no stream", ask(0), "GOAWAY PROTOCOL_ERROR"],
  ["HEADERS of a server's stream", ask(2), "GOAWAY PROTOCOL_ERROR"],
  ["HEADERS of a stream below an earlier one", [ask(5), ask(3)], "GOAWAY PROTOCOL_ERROR"],
  ["HEADERS of a stream that has ended", [ask(1), ask(1)], "RST_STREAM 1 STREAM_CLOSED"],
  [
    "HEADERS with a block that is no HPACK",
    frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.from([0x80])),
    "GOAWAY COMPRESSION_ERROR",
  ],
  [
    "HEADERS that depend on themselves",
    frame(
      HEADERS,
      END_STREAM | END_HEADERS | WITH_PRIORITY,
      1,
      Buffer.concat([number(1), Buffer.from([0]), block(GET)]),
    ),
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  [
    "HEADERS with more padding than frame",
    frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, Buffer.from([9, 0x82])),
    "GOAWAY PROTOCOL_ERROR",
  ],
  [
    "a block interrupted by another frame",
    [ask(1, GET, END_STREAM), frame(PING, 0, 0, "12345678")],
    "GOAWAY PROTOCOL_ERROR",
  ],
  [
    "a block continued by another stream",
    [ask(1, GET, END_STREAM), frame(CONTINUATION, END_HEADERS, 3)],
    "GOAWAY PROTOCOL_ERROR",
  ],
  ["CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1), "GOAWAY PROTOCOL_ERROR"],
  ["trailers that go on", [open(1), frame(HEADERS, END_HEADERS, 1, block({ a: "b" }))], "RST_STREAM 1 PROTOCOL_ERROR"],
  [
    "trailers with a pseudo-header",
    [open(1), frame(HEADERS, END_HEADERS | END_STREAM, 1, block({ ":path": "/" }))],
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  ["a request without :method", ask(1, without(":method")), "RST_STREAM 1 PROTOCOL_ERROR"],
  ["a request without :path", ask(1, without(":path")), "RST_STREAM 1 PROTOCOL_ERROR"],
  ["a request without :scheme", ask(1, without(":scheme")), "RST_STREAM 1 PROTOCOL_ERROR"],
  ["a request with an empty :path", ask(1, { ...GET, ":path": "" }), "RST_STREAM 1 PROTOCOL_ERROR"],
  ["a request with :status", ask(1, { ...GET, ":status": "200" }), "RST_STREAM 1 PROTOCOL_ERROR"],
  [
    "a pseudo-header after others",
    ask(1, { ":method": "GET", a: "b", ":path": "/", ":scheme": "http" }),
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  [
    "a pseudo-header twice",
    frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat([block(GET), block({ ":path": "/x" })])),
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  [
    "a header with capitals",
    frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat([block(GET), Buffer.from("\u0000\u0001A\u0001x")])),
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  ["a header with a line break", ask(1, { ...GET, accept: "x\r\nevil: y" }), "RST_STREAM 1 PROTOCOL_ERROR"],
  ["a header of a connection", ask(1, { ...GET, connection: "close" }), "RST_STREAM 1 PROTOCOL_ERROR"],
  ["te that is not trailers", ask(1, { ...GET, te: "gzip" }), "RST_STREAM 1 PROTOCOL_ERROR"],
  [
    "two values of content-length",
    frame(
      HEADERS,
      END_HEADERS,
      1,
      Buffer.concat([block({ ...GET, "content-length": "1" }), block({ "content-length": "2" })]),
    ),
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  ["PRIORITY of no stream", frame(PRIORITY, 0, 0, Buffer.alloc(5)), "GOAWAY PROTOCOL_ERROR"],
  ["PRIORITY of a wrong size", frame(PRIORITY, 0, 1, Buffer.alloc(4)), "RST_STREAM 1 FRAME_SIZE_ERROR"],
  ["PRIORITY on itself", frame(PRIORITY, 0, 1, Buffer.from([0, 0, 0, 1, 0])), "RST_STREAM 1 PROTOCOL_ERROR"],
  ["RST_STREAM of no stream", frame(RST_STREAM, 0, 0, number(8)), "GOAWAY PROTOCOL_ERROR"],
  ["RST_STREAM of an idle stream", frame(RST_STREAM, 0, 1, number(8)), "GOAWAY PROTOCOL_ERROR"],
  ["RST_STREAM of a wrong size", [open(1), frame(RST_STREAM, 0, 1, "abc")], "GOAWAY FRAME_SIZE_ERROR"],
  ["SETTINGS of a stream", frame(SETTINGS, 0, 1), "GOAWAY PROTOCOL_ERROR"],
  ["SETTINGS of a wrong size", frame(SETTINGS, 0, 0, "abc"), "GOAWAY FRAME_SIZE_ERROR"],
  ["an acknowledgement of SETTINGS with values", frame(SETTINGS, 1, 0, setting(1, 1)), "GOAWAY FRAME_SIZE_ERROR"],
  ["a setting that is neither 0 nor 1", frame(SETTINGS, 0, 0, setting(2, 2)), "GOAWAY PROTOCOL_ERROR"],
  ["a window that may not be", frame(SETTINGS, 0, 0, setting(4, 2 ** 31)), "GOAWAY FLOW_CONTROL_ERROR"],
  ["a frame size that may not be", frame(SETTINGS, 0, 0, setting(5, 16_383)), "GOAWAY PROTOCOL_ERROR"],
  ["PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, number(2)), "GOAWAY PROTOCOL_ERROR"],
  ["PING of a stream", frame(PING, 0, 1, "12345678"), "GOAWAY PROTOCOL_ERROR"],
  ["PING of a wrong size", frame(PING, 0, 0, "1234567"), "GOAWAY FRAME_SIZE_ERROR"],
  ["GOAWAY of a stream", frame(GOAWAY, 0, 1, Buffer.alloc(8)), "GOAWAY PROTOCOL_ERROR"],
  ["GOAWAY of a wrong size", frame(GOAWAY, 0, 0, Buffer.alloc(7)), "GOAWAY FRAME_SIZE_ERROR"],
  ["a window that opens by nothing", frame(WINDOW_UPDATE, 0, 0, number(0)), "GOAWAY PROTOCOL_ERROR"],
  [
    "a stream's window that opens by nothing",
    [open(1), frame(WINDOW_UPDATE, 0, 1, number(0))],
    "RST_STREAM 1 PROTOCOL_ERROR",
  ],
  ["a window that grows too large", frame(WINDOW_UPDATE, 0, 0, number(2 ** 31 - 1)), "GOAWAY FLOW_CONTROL_ERROR"],
  [
    "a stream's window that grows too large",
    [open(1), frame(WINDOW_UPDATE, 0, 1, number(2 ** 31 - 1))],
    "RST_STREAM 1 FLOW_CONTROL_ERROR",
  ],
  ["WINDOW_UPDATE of an idle stream", frame(WINDOW_UPDATE, 0, 1, number(1)), "GOAWAY PROTOCOL_ERROR"],
  ["WINDOW_UPDATE of a wrong size", frame(WINDOW_UPDATE, 0, 0, "abc"), "GOAWAY FRAME_SIZE_ERROR"],
  // Floods
  [
    "CONTINUATION without an end",
    [ask(1, GET, END_STREAM), times(300, () => frame(CONTINUATION, 0, 1, "x"))],
    "GOAWAY ENHANCE_YOUR_CALM",
  ],
  [
    "CONTINUATION without an end or content",
    [ask(1, GET, END_STREAM), times(300, () => frame(CONTINUATION, 0, 1))],
    "GOAWAY ENHANCE_YOUR_CALM",
  ],
  [
    "a block of more than a megabyte",
    [ask(1, GET, END_STREAM), times(70, () => frame(CONTINUATION, 0, 1, Buffer.alloc(16_000)))],
    "GOAWAY ENHANCE_YOUR_CALM",
  ],
  ["a ping flood", times(10_100, () => frame(PING, 0, 0, "12345678")), "GOAWAY ENHANCE_YOUR_CALM"],
  ["a settings flood", times(10_100, () => frame(SETTINGS, 0, 0)), "GOAWAY ENHANCE_YOUR_CALM"],
  ["a priority flood", times(10_100, () => frame(PRIORITY, 0, 3, Buffer.alloc(5))), "GOAWAY ENHANCE_YOUR_CALM"],
  ["a flood of windows", times(10_100, () => frame(WINDOW_UPDATE, 0, 0, number(1))), "GOAWAY ENHANCE_YOUR_CALM"],
  ["a flood of empty data", [open(1), times(10_100, () => frame(DATA, 0, 1))], "GOAWAY ENHANCE_YOUR_CALM"],
  ["a flood of unknown frames", times(10_100, () => frame(77, 0, 0)), "GOAWAY ENHANCE_YOUR_CALM"],
  [
    "a rapid reset",
    times(20_001, (i) => Buffer.concat([ask(i * 2 + 1), frame(RST_STREAM, 0, i * 2 + 1, number(8))])),
    "GOAWAY ENHANCE_YOUR_CALM",
  ],
  // What is allowed
  ["an unknown frame", frame(77, 3, 9, "whatever"), "nothing"],
  ["an unknown setting", frame(SETTINGS, 0, 0, setting(99, 1)), "nothing"],
  ["PRIORITY of an idle stream", frame(PRIORITY, 0, 9, Buffer.alloc(5)), "nothing"],
  [
    "a padded request",
    frame(
      HEADERS,
      END_STREAM | END_HEADERS | PADDED,
      1,
      Buffer.concat([Buffer.from([2]), block(GET), Buffer.alloc(2)]),
    ),
    "nothing",
  ],
  ["WINDOW_UPDATE of a stream that has ended", [ask(1), frame(WINDOW_UPDATE, 0, 1, number(1))], "nothing"],
  [
    "an :authority that is a whole URL, as etcdctl sends it",
    ask(1, { ...GET, ":authority": "http://127.0.0.1:2379" }),
    "nothing",
  ],
];

for (const [what, bytes, expected] of CASES)
  test(`${what}: ${expected}`, async () => {
    const { wire } = serve();
    wire.sink.onData(opening);
    await settled();
    for (const part of [bytes].flat() as Buffer[]) wire.sink.onData(part);
    await settled();
    assert.equal(outcome(wire), expected);
    if (expected.startsWith("GOAWAY")) return;
    // The connection goes on.
    wire.sink.onData(ask(1001));
    await settled();
    assert.ok(
      wire.frames.some(({ type, id, payload }) => type === DATA && id === 1001 && payload.equals(Buffer.from("hello"))),
    );
  });

test("a stream that ended and was answered is closed to all frames", async () => {
  const { wire } = serve();
  wire.sink.onData(Buffer.concat([opening, ask(1)]));
  await settled();
  wire.sink.onData(ask(1));
  await settled();
  assert.equal(outcome(wire), "GOAWAY STREAM_CLOSED");
});

test("what is still on its way to a stream that we cut does no harm", async () => {
  const { wire, clock } = serve((exchange) => exchange.respond(413, {}, "too much"));
  wire.sink.onData(Buffer.concat([opening, open(1), open(3)]));
  await settled();
  // Who is answered early may end in peace, for a while.
  wire.sink.onData(frame(DATA, END_STREAM, 3, "x"));
  await clock.advance(1900);
  assert.equal(outcome(wire), "nothing");
  await clock.advance(200);
  assert.equal(outcome(wire), "RST_STREAM 1 NO_ERROR");
  wire.sink.onData(
    Buffer.concat([frame(DATA, 0, 1, "x"), frame(HEADERS, END_STREAM | END_HEADERS, 1, block({ a: "b" }))]),
  );
  await settled();
  assert.equal(wire.frames.filter(({ type }) => type === RST_STREAM).length, 1);
  assert.equal(wire.ended, false);
});

test("a connection that is not HTTP/2 is told so, and one that says nothing is closed", async () => {
  const { wire } = serve();
  wire.sink.onData(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
  await settled();
  assert.equal(outcome(wire), "GOAWAY PROTOCOL_ERROR");
  const silent = serve();
  silent.wire.sink.onData(Buffer.from(PREFACE.slice(0, 10)));
  await silent.clock.advance(9_999);
  assert.equal(silent.wire.destroyed, false);
  await silent.clock.advance(2);
  assert.equal(silent.wire.destroyed, true);
});

test("the first frame must be SETTINGS", async () => {
  const { wire } = serve();
  wire.sink.onData(Buffer.concat([Buffer.from(PREFACE), frame(PING, 0, 0, "12345678")]));
  await settled();
  assert.equal(outcome(wire), "GOAWAY PROTOCOL_ERROR");
});

test("more streams than agreed are refused", async () => {
  const { wire } = serve(() => {}, { maxConcurrentStreams: 2 });
  wire.sink.onData(Buffer.concat([opening, ask(1), ask(3), ask(5)]));
  await settled();
  assert.equal(outcome(wire), "RST_STREAM 5 REFUSED_STREAM");
});

test("handlers that nobody waits for any more count too", async () => {
  const never = new Promise<void>(() => {});
  const { wire } = serve(() => never, { maxConcurrentStreams: 10 });
  wire.sink.onData(opening);
  wire.sink.onData(times(41, (i) => Buffer.concat([ask(i * 2 + 1), frame(RST_STREAM, 0, i * 2 + 1, number(8))])));
  await settled();
  assert.equal(outcome(wire), "GOAWAY ENHANCE_YOUR_CALM");
});

test("more data than a window holds is an error of its stream or of the connection", async () => {
  const full = Buffer.alloc(16_384);
  const { wire } = serve(() => {});
  wire.sink.onData(Buffer.concat([opening, open(1)]));
  for (let i = 0; i < 65; i++) wire.sink.onData(frame(DATA, 0, 1, full));
  await settled();
  assert.equal(outcome(wire), "RST_STREAM 1 FLOW_CONTROL_ERROR");
  const other = serve(() => {});
  other.wire.sink.onData(opening);
  for (let id = 1; id < 80; id += 2) {
    other.wire.sink.onData(open(id));
    for (let i = 0; i < 64; i++) other.wire.sink.onData(frame(DATA, 0, id, full));
  }
  await settled();
  assert.equal(outcome(other.wire), "GOAWAY FLOW_CONTROL_ERROR");
});

test("a header bomb costs its sender an answer of 431, and the connection goes on", async () => {
  const { wire } = serve();
  const long = block({ ...GET, bomb: "x".repeat(900) });
  // Literal with indexing, then thousands of references to it.
  const bomb = Buffer.concat([long, Buffer.alloc(15_000, 0xbe)]);
  wire.sink.onData(Buffer.concat([opening, frame(HEADERS, END_STREAM | END_HEADERS, 1, bomb)]));
  await settled();
  const answer = wire.frames.find(({ type, id }) => type === HEADERS && id === 1)!;
  assert.ok(answer.payload.includes("431"));
  wire.sink.onData(
    frame(HEADERS, END_STREAM | END_HEADERS, 3, block({ ":method": "GET", ":scheme": "http", ":path": "/" })),
  );
  await settled();
  assert.ok(wire.frames.some(({ type, id }) => type === DATA && id === 3));
  assert.equal(outcome(wire), "nothing");
});

test("answers to pings that nobody reads don't pile up", async () => {
  const { wire } = serve();
  wire.stuck = true;
  wire.sink.onData(opening);
  await settled();
  let sent = 0;
  for (; sent < 20_000 && !wire.ended; sent++) {
    wire.sink.onData(frame(PING, 0, 0, "12345678"));
    // With a request in between, as if it were at work.
    if (sent % 4 === 0) wire.sink.onData(ask(sent * 2 + 1));
  }
  await settled();
  assert.equal(outcome(wire), "GOAWAY ENHANCE_YOUR_CALM");
  assert.ok(sent < 10_100, `${sent} pings`);
});

test("pings too close together are too many where the listener says so", async () => {
  const { wire, clock } = serve(() => {}, { minPingIntervalMs: 5000 });
  wire.sink.onData(Buffer.concat([opening, ask(1)]));
  const ping = () => wire.sink.onData(frame(PING, 0, 0, "12345678"));
  for (let i = 0; i < 5; i++) {
    await clock.advance(5001);
    ping();
  }
  await settled();
  assert.equal(outcome(wire), "nothing");
  for (let i = 0; i < 3; i++) ping();
  await settled();
  assert.equal(outcome(wire), "GOAWAY ENHANCE_YOUR_CALM");
  assert.ok(wire.frames.find(({ type }) => type === GOAWAY)!.payload.includes("too_many_pings"));
});

test("a silent connection is asked for a sign of life, and given up without one", async () => {
  const { wire, clock } = serve(() => {}, { pingAfterMs: 1000, pingTimeoutMs: 500 });
  wire.sink.onData(opening);
  const pings = () => wire.frames.filter(({ type, flags }) => type === PING && flags === 0);
  await clock.advance(1100);
  assert.equal(pings().length, 1);
  wire.sink.onData(frame(PING, 1, 0, pings()[0]!.payload));
  await clock.advance(1600);
  assert.equal(wire.destroyed, false);
  await clock.advance(2000);
  assert.equal(wire.destroyed, true);
});
