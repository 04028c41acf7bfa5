/** Windows: how much leaves and when, and that who is slow holds up nobody else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Http2Wire } from "../../testing/http2-wire.ts";
import { Simulation } from "../../testing/sim/simulation.ts";
import type { HttpHandler, ResponseStream } from "../../world/net.ts";
import { http2Engine } from "./engine.ts";
import { FrameWriter } from "./frame-writer.ts";
import { HeaderEncoder } from "./hpack/encoder.ts";
import { DATA, PREFACE, RST_STREAM, SETTING, WINDOW_UPDATE } from "./protocol.ts";

/** A client that writes frames by hand. */
function client(handle: HttpHandler, windowBytes: number) {
  const wire = new Http2Wire();
  http2Engine(new Simulation()).serve(wire, { encrypted: false, handle, onError() {} });
  const writer = new FrameWriter();
  const encoder = new HeaderEncoder();
  const send = async (write: (writer: FrameWriter) => void) => {
    write(writer);
    for (const chunk of writer.take()) wire.sink.onData(chunk);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const ask = (id: number, path: string, ends = true) =>
    send((to) => to.headers(id, encoder.encode({ ":method": "POST", ":scheme": "http", ":path": path }), ends, 16_384));
  const received = (id: number) =>
    wire.frames.reduce((sum, frame) => sum + (frame.type === DATA && frame.id === id ? frame.payload.length : 0), 0);
  const open = () =>
    send((to) => {
      to.raw(Buffer.from(PREFACE));
      to.settings([[SETTING.initialWindowSize, windowBytes]]);
    });
  return { wire, send, ask, received, open };
}

test("a stream sends what its window holds, and the rest as it opens", async () => {
  const { wire, send, ask, received, open } = client((exchange) => exchange.respond(200, {}, Buffer.alloc(1000)), 300);
  await open();
  await ask(1, "/");
  assert.equal(received(1), 300);
  await send((to) => to.windowUpdate(1, 500));
  assert.equal(received(1), 800);
  await send((to) => to.settings([[SETTING.initialWindowSize, 100]])); // The window is 200 below nothing now.
  await send((to) => to.windowUpdate(1, 200));
  assert.equal(received(1), 800);
  await send((to) => to.windowUpdate(1, 1000));
  assert.equal(received(1), 1000);
  assert.equal(wire.frames.at(-1)!.flags, 1);
});

test("a stream that nobody reads holds up none of the others, and its writer is told", async () => {
  let slow!: ResponseStream;
  let drained = false;
  const { ask, send, received, open } = client((exchange) => {
    if (exchange.request.url === "/fast") return exchange.respond(200, {}, Buffer.alloc(500));
    slow = exchange.stream(200, {});
  }, 1000);
  await open();
  await ask(1, "/slow");
  assert.equal(slow.write(Buffer.alloc(1000)), true);
  assert.equal(slow.write(Buffer.alloc(100_000)), false);
  assert.equal(slow.queuedBytes, 100_000);
  void slow.drained.then(() => (drained = true));
  for (let id = 3; id < 21; id += 2) {
    await ask(id, "/fast");
    assert.equal(received(id), 500);
  }
  assert.equal(received(1), 1000);
  assert.equal(drained, false);
  await send((to) => to.windowUpdate(0, 1 << 20));
  await send((to) => to.windowUpdate(1, 1 << 20));
  assert.equal(received(1), 101_000);
  assert.equal(drained, true);
  assert.equal(slow.queuedBytes, 0);
});

test("streams share the connection's window by turns", async () => {
  const { ask, send, received, open } = client((exchange) => exchange.respond(200, {}, Buffer.alloc(1 << 20)), 1 << 22);
  await open();
  for (const id of [1, 3, 5, 7]) await ask(id, "/");
  const before = [1, 3, 5, 7].map(received);
  assert.deepEqual(before, [65_535, 0, 0, 0]);
  for (let i = 0; i < 8; i++) await send((to) => to.windowUpdate(0, 65_536));
  for (const id of [1, 3, 5, 7]) assert.ok(received(id) >= 2 * 65_536 - 1, `stream ${id} got ${received(id)}`);
});

test("a connection that takes no more is not written to until it does", async () => {
  const { wire, ask, received, open } = client((exchange) => exchange.respond(200, {}, Buffer.alloc(1 << 20)), 1 << 22);
  await open();
  await new Promise((resolve) => setImmediate(resolve));
  wire.sink.onData(Buffer.from([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 64, 0, 0])); // WINDOW_UPDATE of the connection.
  wire.stuck = true;
  await ask(1, "/");
  assert.ok(received(1) < 300_000);
  wire.stuck = false;
  wire.sink.onDrain();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(received(1), 1 << 20);
});

test("windows open again as a body is read, and not before", async () => {
  let body!: AsyncIterable<Uint8Array>;
  const { wire, ask, send, open } = client((exchange) => void (body = exchange.request.body), 1000);
  await open();
  await ask(1, "/", false);
  const opened = (id: number) => wire.frames.filter((frame) => frame.type === WINDOW_UPDATE && frame.id === id).length;
  for (let i = 0; i < 40; i++) await send((to) => to.data(1, Buffer.alloc(16_384), false));
  assert.equal(opened(1), 0);
  let read = 0;
  for await (const chunk of body) if ((read += chunk.length) === 40 * 16_384) break;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(opened(1), 2);
});

test("a body that nobody wants costs the connection's window nothing", async () => {
  const { wire, ask, send, open } = client((exchange) => {
    if (exchange.request.url === "/refused") exchange.respond(413, {});
  }, 1000);
  await open();
  // Twenty megabytes to streams that are answered: more than the window, had it not been given back.
  for (let id = 1; id <= 61; id += 2) {
    await ask(id, "/refused", false);
    for (let i = 0; i < 40; i++) await send((to) => to.data(id, Buffer.alloc(16_384), false));
  }
  assert.ok(wire.frames.some((frame) => frame.type === WINDOW_UPDATE && frame.id === 0));
  assert.ok(!wire.ended);
  assert.ok(!wire.frames.some(({ type }) => type === RST_STREAM));
});

test("settings that widen the windows let go what waits", async () => {
  const { send, ask, received, open } = client((exchange) => exchange.respond(200, {}, Buffer.alloc(1000)), 0);
  await open();
  await ask(1, "/");
  assert.equal(received(1), 0);
  await send((to) => to.settings([[SETTING.initialWindowSize, 600]]));
  assert.equal(received(1), 600);
});

test("padding is given back at once", async () => {
  const { wire, ask, send, open } = client(() => {}, 1000);
  await open();
  await ask(1, "/", false);
  const padded = Buffer.concat([Buffer.from([0, 1, 2, 0, 8, 0, 0, 0, 1, 255]), Buffer.alloc(257)]);
  for (let i = 0; i < 1100; i++) await send((to) => to.raw(padded));
  assert.ok(wire.frames.some((frame) => frame.type === WINDOW_UPDATE && frame.id === 1));
  assert.ok(!wire.ended);
});

test("an answer given while the last of the request is handed over is not too early", async () => {
  const { wire, ask, send, received, open } = client((exchange) => {
    exchange.request.receive!({ onData: () => exchange.respond(200, {}, "at once"), onEnd() {}, onError() {} });
  }, 1000);
  await open();
  await ask(1, "/", false);
  await send((to) => to.data(1, Buffer.alloc(10), true));
  assert.equal(received(1), "at once".length);
  assert.ok(!wire.frames.some(({ type }) => type === RST_STREAM));
});
