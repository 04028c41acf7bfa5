import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigMap } from "../api/generated/core.v1.ts";
import { silent } from "../observe/log.ts";
import { fakeTransport } from "../testing/fake-transport.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { splitKey } from "../machinery/meta/object.ts";
import { done, type ControllerDefinition, type Reconciler } from "./controller.ts";
import { createControllerRunner, itself } from "./controller-runner.ts";
import { createClient } from "./create-client.ts";
import { createInformers } from "./informer/informers.ts";
import { configMaps } from "./resources.ts";
import type { Transport } from "./transport.ts";

function setUp(reconcile: Reconciler["reconcile"], more: Partial<ControllerDefinition> = {}, lag = 0) {
  const { clock, random } = simulatedWorld(1);
  const server = fakeTransport();
  // A watch that shows everything `lag` ms late.
  const late: Transport = {
    send: (request) => server.send(request),
    raw: (request) => server.raw(request),
    close: () => server.close(),
    async *watch(request) {
      for await (const event of server.watch(request)) {
        await new Promise<void>((resolve) => void clock.after(lag, resolve));
        yield event;
      }
    },
  };
  const client = createClient(late);
  const informers = createInformers({ client, clock, random, log: silent });
  const runner = createControllerRunner(
    {
      name: "test-controller",
      workers: { default: 2 },
      triggers: [itself(configMaps)],
      create: () => ({ reconcile }),
      ...more,
    },
    { context: { client, informers, clock, random, log: silent, events: { event() {} }, options: {} } },
  );
  const stop = new AbortController();
  const running = Promise.all([informers.run(stop.signal, () => {}), runner.run(stop.signal)]);
  const end = async () => {
    stop.abort();
    await running;
  };
  return { clock, server, client, informers, end };
}
const map = (name: string) => ({ metadata: { name, namespace: "default" } });

test("a key comes again only when the informers show what its last reconcile wrote", async () => {
  const counts: number[] = [];
  const world = setUp(
    async (key, _signal, client) => {
      const { name } = splitKey(key);
      const cached = world.informers.of<ConfigMap>(configMaps).get(key);
      if (cached === undefined) return done;
      const count = Number(cached.data?.["count"] ?? 0);
      counts.push(count);
      if (count < 5)
        await client.patch(configMaps, { namespace: "default", name }, "application/merge-patch+json", {
          data: { count: String(count + 1) },
        });
      return { againMs: 1 };
    },
    {},
    50,
  );
  world.server.put(configMaps, map("a"));
  await world.clock.until(() => counts.includes(5), 10_000);
  assert.deepEqual(counts.slice(0, 6), [0, 1, 2, 3, 4, 5], "no count is decided on twice");
  await world.end();
});

test("a key whose last reconcile deleted something waits until that is gone from the cache", async () => {
  const found: boolean[] = [];
  const world = setUp(
    async (key, _signal, client) => {
      if (key !== "default/owner") return done;
      const there = world.informers.of(configMaps).get("default/victim") !== undefined;
      found.push(there);
      if (there) await client.delete(configMaps, { namespace: "default", name: "victim" });
      return { againMs: 1 };
    },
    {},
    50,
  );
  world.server.put(configMaps, map("victim"));
  world.server.put(configMaps, map("owner"));
  await world.clock.until(() => found.includes(false), 10_000);
  assert.equal(found.filter(Boolean).length, 1);
  await world.end();
});

test("a failing key is tried again later and later, up to its limit", async () => {
  const at: number[] = [];
  const world = setUp(
    async () => {
      at.push(world.clock.monotonic());
      throw new Error("no");
    },
    { retriesMax: 3 },
  );
  world.server.put(configMaps, map("a"));
  await world.clock.advance(60_000);
  assert.deepEqual(
    at.map((time) => time - at[0]!),
    [0, 5, 15, 35],
  );
  await world.end();
});
