/** Clients that take their time, over HTTP/1.1 and in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Http1Wire } from "../testing/http1-wire.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { http1Engine } from "../wire/http1/engine.ts";
import { ASKABLE } from "./testing/ask.ts";
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
