import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lease } from "../api/generated/coordination.v1.ts";
import { createClient } from "../client/create-client.ts";
import { deployments, leases, namespaces, pods, serviceAccounts } from "../client/resources.ts";
import { silent } from "../observe/log.ts";
import { fakeTransport } from "../testing/fake-transport.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { CONTROLLERS, GATED, OFF_BY_DEFAULT } from "./index.ts";
import { createControllerManager, enabled } from "./manager.ts";

const web = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    progressDeadlineSeconds: 600,
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "x" }] } },
  },
};

async function run(seed: number): Promise<readonly string[]> {
  const world = simulatedWorld(seed);
  const server = fakeTransport({ now: () => world.clock.now() });
  server.put(namespaces, { metadata: { name: "default" }, status: { phase: "Active" } });
  const stop = new AbortController();
  const manager = createControllerManager({ world, client: createClient(server), log: silent, rootCa: "CA" });
  let ready = false;
  const running = manager.run(stop.signal, () => {
    ready = true;
  });
  await world.clock.until(() => ready, 10_000);
  server.put(deployments, web);
  await world.clock.until(() => server.objects(pods).length === 3, 10_000);
  await world.clock.advance(30_000);
  stop.abort();
  await running;
  return server.requests.map(({ method, path, body }) => `${method} ${path} ${JSON.stringify(body)}`);
}

test("the same seed gives the same writes, in the same order", async () => {
  const first = await run(7);
  assert.ok(first.length > 10);
  assert.deepEqual(await run(7), first);
});

test("of two managers only the leader acts", async () => {
  const world = simulatedWorld(1);
  const server = fakeTransport({ now: () => world.clock.now() });
  server.put(namespaces, { metadata: { name: "default" }, status: { phase: "Active" } });
  const stops = ["a", "b"].map((identity) => {
    const stop = new AbortController();
    const manager = createControllerManager({
      world,
      client: createClient(server),
      log: silent,
      leaderElection: { identity },
    });
    return { stop, running: manager.run(stop.signal, () => {}) };
  });
  const holder = () => server.get<Lease>(leases, "kube-system/kube-controller-manager")?.spec?.holderIdentity;
  await world.clock.until(() => server.objects(serviceAccounts).length === 1, 10_000);
  assert.equal(holder(), "a");
  stops[0]!.stop.abort();
  await stops[0]!.running;
  server.take(serviceAccounts, "default/default");
  await world.clock.until(() => holder() === "b" && server.objects(serviceAccounts).length === 1, 60_000);
  stops[1]!.stop.abort();
  await stops[1]!.running;
});

test("--controllers takes names, old names, a star and minus signs", () => {
  const names = (...selection: string[]) => enabled(selection).map(({ name }) => name);
  assert.deepEqual(
    names("*"),
    CONTROLLERS.map(({ name }) => name).filter((name) => !OFF_BY_DEFAULT.has(name) && !GATED.has(name)),
  );
  const gated = enabled(["*"], new Map([["ClusterTrustBundle", true]]));
  assert.equal(gated.length, names("*").length + 1);
  assert.ok(names("*", "tokencleaner").includes("token-cleaner-controller"));
  assert.deepEqual(names("deployment", "cronjob-controller"), ["deployment-controller", "cronjob-controller"]);
  assert.ok(!names("*", "-garbagecollector").includes("garbage-collector-controller"));
  assert.equal(new Set(CONTROLLERS.map(({ name }) => name)).size, CONTROLLERS.length);
});
