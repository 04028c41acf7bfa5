/** Clients that take their time, over HTTP/1.1 and in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Http1Wire } from "../testing/http1-wire.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { http1Engine } from "../wire/http1/engine.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ASKABLE, ask } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

async function start() {
  const world = simulatedWorld(1);
  const harness = await startServer(world, ASKABLE);
  const wire = new Http1Wire();
  http1Engine(world.clock).serve(wire, { encrypted: true, handle: harness.server.handler, onError: assert.fail });
  const say = async (text: string, thenMs: number) => {
    wire.say(text);
    await world.clock.advance(thenMs);
  };
  return { harness, wire, say };
}

const HEAD = [
  "POST /api/v1/namespaces/default/configmaps HTTP/1.1",
  "Host: a",
  "Authorization: Bearer secret",
  "Content-Type: application/json",
];
const MAP = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}';

test("headers have 32 seconds to come", async () => {
  const { wire, say } = await start();
  for (const line of HEAD) await say(`${line}\r\n`, 7900);
  assert.equal(wire.destroyed, false);
  await say(`Content-Length: ${MAP.length}\r\n`, 500);
  assert.equal(wire.destroyed, true);
  assert.equal(wire.text, "");
});

test("a body has the request's time, and its client hears of it when that is over", async () => {
  const { wire, say } = await start();
  const head = [...HEAD, `Content-Length: ${MAP.length}`, "", ""].join("\r\n");
  await say(head, 50_000);
  await say(MAP, 1000);
  // An etcd that isn't in this world takes its own time.
  for (let i = 0; i < 60_000 && wire.text === ""; i++) await setTimeout(1);
  assert.match(wire.text, /^HTTP\/1.1 201 Created\r\n/);
  const before = wire.text.length;
  await say(head.replace("configmaps", "configmaps?dryRun=All"), 30_000);
  await say(MAP.slice(0, 10), 29_999);
  assert.equal(wire.text.length, before);
  await say(MAP[10]!, 1);
  const late = wire.text.slice(before);
  assert.match(late, /^HTTP\/1.1 504 Gateway Timeout\r\n/);
  assert.match(late, /"reason":"Timeout"/);
  // What is missing may still come, and then the next request.
  await say(`${MAP.slice(11)}GET /healthz/ping HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\r\n`, 100);
  assert.match(wire.text, /\r\n\r\nok$/);
  assert.equal(wire.ended, false);
});

test("a body in chunks that never ends has the request's time too, and then the connection goes", async () => {
  const { wire, say } = await start();
  await say([...HEAD, "Transfer-Encoding: chunked", "", ""].join("\r\n"), 0);
  for (let seconds = 0; seconds < 60; seconds += 5) await say("1\r\n \r\n", 5000);
  assert.match(wire.text, /^HTTP\/1.1 504 Gateway Timeout\r\n/);
  await say("1\r\n \r\n", 33_000);
  assert.equal(wire.destroyed, true);
});

test("a list that slow clients read together stays what it was while a deletecollection takes all of it, and who comes then gets none", async () => {
  const world = nodeWorld();
  await using harness = await startServer(world, ASKABLE);
  const all = "/api/v1/namespaces/default/configmaps";
  const names = Array.from({ length: 200 }, (_, i) => `map-${String(i).padStart(3, "0")}`);
  const data = { text: "x".repeat(2000) };
  for (const name of names) {
    const body = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });
    assert.equal((await ask(harness, "POST", all, { body })).status, 201);
  }
  const before = JSON.parse(String((await ask(harness, "GET", all)).body));
  const slow = [new Http1Wire(), new Http1Wire()];
  for (const wire of slow) {
    wire.stuck = true;
    http1Engine(world.clock).serve(wire, { encrypted: true, handle: harness.server.handler, onError: assert.fail });
    wire.say(`GET ${all} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\r\n`);
  }
  const until = async (isSo: () => boolean) => {
    for (let i = 0; !isSo() && i < 30_000; i++) await setTimeout(1);
    assert.ok(isSo());
  };
  await until(() => slow.every(({ text }) => text.length > 0));
  const deleted = await ask(harness, "DELETE", all);
  assert.equal(deleted.status, 200);
  const after = JSON.parse(String((await ask(harness, "GET", all)).body));
  assert.deepEqual(after.items, []);
  assert.ok(Number(after.metadata.resourceVersion) > Number(before.metadata.resourceVersion));
  for (const wire of slow) {
    assert.ok(!wire.text.includes(names.at(-1)!));
    wire.stuck = false;
    wire.sink.onDrain();
    await until(() => wire.text.endsWith("\r\n0\r\n\r\n"));
    const chunks = wire.text.slice(wire.text.indexOf("\r\n\r\n") + 4);
    let body = "";
    for (let at = 0; ;) {
      const end = chunks.indexOf("\r\n", at);
      const size = Number.parseInt(chunks.slice(at, end), 16);
      if (size === 0) break;
      body += chunks.slice(end + 2, end + 2 + size);
      at = end + 2 + size + 2;
    }
    assert.deepEqual(JSON.parse(body), before);
  }
});
