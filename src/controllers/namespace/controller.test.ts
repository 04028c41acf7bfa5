import assert from "node:assert/strict";
import { test } from "node:test";
import type { Namespace, Pod } from "../../api/generated/core.v1.ts";
import { configMaps, namespaces, nodes, pods } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { namespaceController } from "./controller.ts";
import { estimateOfPods, nextLookMs } from "./plan.ts";

const doomed = { metadata: { name: "doomed" }, spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } };
const inside = (name: string, more: object = {}) => ({ metadata: { name, namespace: "doomed", ...more } });

test("a deleted namespace loses its content and then itself, and nothing else", async () => {
  await using world = controllerWorld([namespaceController]);
  world.server.put(namespaces, doomed);
  world.server.put(pods, { ...inside("pod"), spec: { containers: [] }, status: {} });
  world.server.put(configMaps, inside("map"));
  world.server.put(configMaps, { metadata: { name: "map", namespace: "default" } });
  world.server.put(nodes, { metadata: { name: "node" } });
  await world.client.delete(namespaces, { name: "doomed" });
  await world.clock.until(() => world.server.objects(namespaces).length === 0, 60_000);
  assert.deepEqual(world.server.objects(pods), []);
  assert.deepEqual(
    world.server.objects(configMaps).map(({ metadata }) => metadata.namespace),
    ["default"],
  );
  assert.equal(world.server.objects(nodes).length, 1);
});

test("content with finalizers is waited for, and the conditions say so", async () => {
  await using world = controllerWorld([namespaceController]);
  world.server.put(namespaces, doomed);
  world.server.put(configMaps, inside("map", { finalizers: ["example.com/hold"] }));
  await world.client.delete(namespaces, { name: "doomed" });
  await world.settle(10_000);
  const conditions = world.server.get<Namespace>(namespaces, "doomed")!.status!.conditions!;
  const messages = Object.fromEntries(
    conditions.filter(({ status }) => status === "True").map(({ type, message }) => [type, message]),
  );
  assert.deepEqual(messages, {
    NamespaceContentRemaining: "Some resources are remaining: configmaps. has 1 resource instances",
    NamespaceFinalizersRemaining:
      "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
  });
  world.server.take(configMaps, "doomed/map");
  await world.clock.until(() => world.server.objects(namespaces).length === 0, 8_000);
});

test("pods go before what they may use", async () => {
  await using world = controllerWorld([namespaceController]);
  world.server.put(namespaces, doomed);
  world.server.put(pods, {
    ...inside("pod", { finalizers: ["test/slow"] }),
    spec: { containers: [], terminationGracePeriodSeconds: 30 },
    status: {},
  });
  world.server.put(configMaps, inside("map"));
  await world.client.delete(namespaces, { name: "doomed" });
  await world.settle(20_000);
  assert.equal(world.server.objects(configMaps).length, 1);
  world.server.take(pods, "doomed/pod");
  await world.clock.until(() => world.server.objects(namespaces).length === 0, 20_000);
});

test("the estimate is the longest grace of pods that still have some", () => {
  const now = Date.parse("2030-01-01T00:10:00Z");
  const pod = (grace: number, deletedAt?: string, phase = "Running") =>
    ({
      metadata: { ...(deletedAt && { deletionTimestamp: deletedAt }) },
      spec: { terminationGracePeriodSeconds: grace },
      status: { phase },
    }) as unknown as Pod;
  assert.equal(estimateOfPods([pod(30), pod(60, undefined, "Failed"), pod(10)], now), 30);
  assert.equal(estimateOfPods([pod(30, "2030-01-01T00:00:00Z")], now), 0);
  assert.deepEqual([nextLookMs(15), nextLookMs(30)], [8000, 16000]);
});
