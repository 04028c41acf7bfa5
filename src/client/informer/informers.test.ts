import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { silent } from "../../observe/log.ts";
import { fakeTransport } from "../../testing/fake-transport.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { StatusError } from "../../machinery/status.ts";
import { createClient } from "../create-client.ts";
import { pods, services } from "../resources.ts";
import type { Transport } from "../transport.ts";
import { createInformers } from "./informers.ts";
import { olderThan } from "./shared-informer.ts";

const pod = (name: string, labels: Record<string, string> = {}) => ({
  metadata: { name, namespace: "default", labels },
  spec: { containers: [] },
});

function setUp() {
  const { clock, random } = simulatedWorld(1);
  const server = fakeTransport();
  const client = createClient(server);
  const informers = createInformers({ client, clock, random, log: silent });
  const informer = informers.of<Pod>(pods);
  const seen: string[] = [];
  informer.subscribe({
    add: ({ metadata }, initial) => seen.push(`${initial ? "first " : ""}add ${metadata.name}`),
    update: (_, { metadata }) => seen.push(`update ${metadata.name}`),
    delete: ({ metadata }) => seen.push(`delete ${metadata.name}`),
  });
  const stop = new AbortController();
  return { clock, server, client, informers, informer, seen, stop };
}

test("an informer lists, then follows", async () => {
  const { clock, server, client, informers, informer, seen, stop } = setUp();
  server.put(pods, pod("a"));
  let ready = false;
  const running = informers.run(stop.signal, () => (ready = true));
  await clock.until(() => ready, 1000);
  assert.deepEqual(seen, ["first add a"]);

  const b = await client.create(pods, pod("b"));
  await client.update(pods, { ...b, metadata: { ...b.metadata, labels: { x: "y" } } });
  await client.delete(pods, { namespace: "default", name: "a" });
  await clock.until(() => seen.length === 4, 1000);
  assert.deepEqual(seen.slice(1), ["add b", "update b", "delete a"]);
  assert.equal(informer.get("default/b"), server.get(pods, "default/b"), "the object is the server's own");
  assert.equal(informer.resourceVersion, "4");

  stop.abort();
  await running;
});

test("indexes follow changes, and late subscribers hear of everything there is", async () => {
  const { clock, client, informers, informer, stop } = setUp();
  informer.addIndex("app", ({ metadata }) => (metadata.labels?.["app"] === undefined ? [] : [metadata.labels["app"]]));
  const running = informers.run(stop.signal, () => {});
  const a = await client.create(pods, pod("a", { app: "web" }));
  await clock.until(() => informer.byIndex("app", "web").length === 1, 1000);
  await client.update(pods, { ...a, metadata: { ...a.metadata, labels: { app: "db" } } });
  await clock.until(() => informer.byIndex("app", "db").length === 1, 1000);
  assert.deepEqual(informer.byIndex("app", "web"), []);
  const late: string[] = [];
  informer.subscribe({ add: ({ metadata }) => late.push(metadata.name) });
  assert.deepEqual(late, ["a"]);
  stop.abort();
  await running;
});

test("a watch that was cut goes on where it ended, and one from a compacted revision lists anew", async () => {
  const { clock, server, informers, seen, stop } = setUp();
  const running = informers.run(stop.signal, () => {});
  server.put(pods, pod("a"));
  await clock.until(() => seen.length === 1, 1000);
  server.cutWatches();
  server.put(pods, pod("b"));
  await clock.until(() => seen.includes("add b"), 60_000);

  server.cutWatches();
  server.take(pods, "default/a");
  server.put(pods, pod("c"));
  server.compact();
  await clock.until(() => seen.includes("add c"), 60_000);
  assert.deepEqual(seen, ["first add a", "add b", "add c", "delete a"]);
  stop.abort();
  await running;
});

test("a server that is away is asked again, later and later", async () => {
  const { clock, server, informers, informer, stop } = setUp();
  const at: number[] = [];
  server.onRequest = () => {
    at.push(clock.monotonic());
    if (at.length < 5) throw new StatusError("ServiceUnavailable", "away");
  };
  const running = informers.run(stop.signal, () => {});
  await clock.until(() => informer.synced, 120_000);
  const waits = at.slice(1, 5).map((time, i) => time - at[i]!);
  for (const [i, wait] of waits.entries()) {
    const base = 800 * 2 ** i;
    assert.ok(wait >= base && wait <= 2 * base, `wait ${i} was ${wait}`);
  }
  stop.abort();
  await running;
});

test("a watch that the server forgot is given up and begun anew", async () => {
  const { clock, random } = simulatedWorld(1);
  const server = fakeTransport();
  let watches = 0;
  const forgetful: Transport = {
    send: (request) => server.send(request),
    raw: (request) => server.raw(request),
    close: () => server.close(),
    // Nothing ever comes, and nothing ends but by our own hand.
    async *watch({ signal }) {
      watches++;
      await new Promise<void>((_, reject) =>
        signal!.addEventListener("abort", () => reject(signal!.reason), { once: true }),
      );
    },
  };
  const informers = createInformers({ client: createClient(forgetful), clock, random, log: silent });
  informers.of<Pod>(pods);
  const stop = new AbortController();
  const running = informers.run(stop.signal, () => {});
  await clock.until(() => watches === 3, 3 * 640_000);
  stop.abort();
  await running;
});

test("resource versions compare as numbers of any length", () => {
  const table: [string, string, boolean][] = [
    ["9", "10", true],
    ["10", "9", false],
    ["10", "10", false],
    ["", "1", true],
    ["1", "", false],
    ["5", "not a number", false],
  ];
  for (const [a, b, expected] of table) assert.equal(olderThan(a, b), expected, `${a} < ${b}`);
});

test("an informer that somebody uses stays when another drops the resource", () => {
  const { informers, informer } = setUp();
  informers.drop(pods);
  assert.equal(informers.of<Pod>(pods), informer);
  const idle = informers.of(services);
  informers.drop(services);
  assert.notEqual(informers.of(services), idle);
});
