import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "../client/create-client.ts";
import { createInformers } from "../client/informer/informers.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { fakeTransport } from "../testing/fake-transport.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { createProxy } from "./proxy.ts";

test("a stop while rules are written takes effect at once, not at the next sync", async () => {
  const { clock, random, net, host } = simulatedWorld(1);
  const client = createClient(fakeTransport({ now: () => clock.now() }));
  const informers = createInformers({ client, clock, random, log: silent });
  const stop = new AbortController();
  let cleaned = false;
  const proxy = createProxy(
    {
      nodeName: "node",
      family: 4,
      minSyncPeriodMs: 1000,
      syncPeriodMs: 30_000,
      healthzBindAddress: "",
      metricsBindAddress: "",
      cleanupOnExit: true,
    },
    {
      clock,
      net,
      host,
      informers,
      log: silent,
      metrics: new Metrics(),
      backend: {
        name: "fake",
        intact: async () => true,
        sync: async () => stop.abort(),
        cleanup: async () => {
          cleaned = true;
        },
      },
    },
  );
  const running = Promise.all([informers.run(stop.signal, () => {}), proxy.run(stop.signal, () => {})]);
  const begun = clock.monotonic();
  await clock.until(() => cleaned, 60_000);
  await running;
  assert.ok(clock.monotonic() - begun < 1000, `${clock.monotonic() - begun} ms`);
});
