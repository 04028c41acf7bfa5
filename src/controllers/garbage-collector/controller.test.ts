import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps, deployments, pods, replicaSets } from "../../client/resources.ts";
import type { KubeObject } from "../../machinery/meta/object.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { garbageCollector } from "./controller.ts";

const at = (name: string, more: object = {}) => ({ metadata: { name, namespace: "default", ...more } });
const ownedBy = (owner: KubeObject, more: object = {}) => ({
  ownerReferences: [
    {
      apiVersion: owner.apiVersion,
      kind: owner.kind,
      name: owner.metadata.name,
      uid: owner.metadata.uid,
      controller: true,
      blockOwnerDeletion: true,
      ...more,
    },
  ],
});

function family(world: ReturnType<typeof controllerWorld>) {
  const deployment = world.server.put(deployments, at("d"));
  const set = world.server.put(replicaSets, at("rs", ownedBy(deployment)));
  const pod = world.server.put(pods, at("pod", ownedBy(set)));
  const other = world.server.put(pods, at("other"));
  return { deployment, set, pod, other };
}
const names = (world: ReturnType<typeof controllerWorld>) =>
  [deployments, replicaSets, pods].flatMap((resource) =>
    world.server.objects(resource).map(({ metadata }) => metadata.name),
  );

test("in the background, dependents follow their owners out", async () => {
  await using world = controllerWorld([garbageCollector]);
  family(world);
  await world.settle();
  await world.client.delete(deployments, { namespace: "default", name: "d" }, { propagationPolicy: "Background" });
  await world.clock.until(() => names(world).length === 1, 10_000);
  assert.deepEqual(names(world), ["other"]);
});

test("in the foreground, the owner leaves last", async () => {
  await using world = controllerWorld([garbageCollector]);
  const { pod } = family(world);
  await world.settle();
  // A pod that takes its time.
  world.server.put(pods, { ...pod, metadata: { ...pod.metadata, finalizers: ["test/slow"] } });
  await world.settle();
  await world.client.delete(deployments, { namespace: "default", name: "d" }, { propagationPolicy: "Foreground" });
  await world.settle(5_000);
  assert.deepEqual(names(world), ["d", "rs", "pod", "other"]);
  world.server.take(pods, "default/pod");
  await world.clock.until(() => names(world).length === 1, 10_000);
});

test("orphans stay and lose the reference", async () => {
  await using world = controllerWorld([garbageCollector]);
  family(world);
  await world.settle();
  await world.client.delete(deployments, { namespace: "default", name: "d" }, { propagationPolicy: "Orphan" });
  await world.clock.until(() => !names(world).includes("d"), 10_000);
  await world.settle(5_000);
  assert.deepEqual(names(world), ["rs", "pod", "other"]);
  assert.equal(world.server.get(replicaSets, "default/rs")!.metadata.ownerReferences, undefined);
});

test("an owner that was never there is asked for, and its dependent deleted", async () => {
  await using world = controllerWorld([garbageCollector]);
  const ghost = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "ghost", uid: "no-such" } } as KubeObject;
  world.server.put(pods, at("pod", ownedBy(ghost)));
  await world.clock.until(() => names(world).length === 0, 10_000);
});

test("one owner that is left keeps the object, and the lost reference goes", async () => {
  await using world = controllerWorld([garbageCollector]);
  const [a, b] = [world.server.put(configMaps, at("a")), world.server.put(configMaps, at("b"))];
  const references = [
    ...ownedBy(a, { controller: false }).ownerReferences,
    ...ownedBy(b, { controller: false }).ownerReferences,
  ];
  world.server.put(pods, at("pod", { ownerReferences: references }));
  await world.settle();
  await world.client.delete(configMaps, { namespace: "default", name: "a" });
  await world.clock.until(() => world.server.get(pods, "default/pod")!.metadata.ownerReferences!.length === 1, 10_000);
  assert.equal(world.server.get(pods, "default/pod")!.metadata.ownerReferences![0]!.name, "b");
});

test("an owner in another namespace is none, and the dependent is told so", async () => {
  await using world = controllerWorld([garbageCollector]);
  const owner = world.server.put(configMaps, at("a"));
  await world.settle();
  world.server.put(pods, { metadata: { name: "pod", namespace: "elsewhere", ...ownedBy(owner) } });
  await world.clock.until(() => names(world).length === 0, 10_000);
  assert.match(
    world.events().join(),
    /Warning OwnerRefInvalidNamespace: ownerRef \[v1\/ConfigMap, namespace: elsewhere, name: a, uid: .*\] does not exist in namespace "elsewhere"/,
  );
});
