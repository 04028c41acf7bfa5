import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment, ReplicaSet } from "../../api/generated/apps.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { deployments, pods, replicaSets } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { replicaSetController } from "../replicaset/controller.ts";
import { deploymentController } from "./controller.ts";

const web = (replicas: number, image = "nginx:1", more: object = {}) => ({
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas,
    selector: { matchLabels: { app: "web" } },
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image }] } },
    ...more,
  },
  status: {},
});
const setUp = () => controllerWorld([deploymentController, replicaSetController]);
type World = ReturnType<typeof setUp>;
const get = ({ server }: World) => server.get<Deployment>(deployments, "default/web")!;
const sets = ({ server }: World) => server.objects<ReplicaSet>(replicaSets);
const reasons = (world: World) =>
  get(world).status.conditions!.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
const scalings = (world: World) =>
  world
    .events()
    .filter((text) => text.includes("ScalingReplicaSet"))
    .map((text) => text.replace(/.*replica set web-\S+ /, ""));
async function rolledOut(world: World, limitMs = 60_000) {
  await world.clock.until(() => {
    const { metadata, status, spec } = get(world);
    return (
      status?.observedGeneration === metadata.generation &&
      status.updatedReplicas === spec.replicas &&
      status.availableReplicas === spec.replicas &&
      status.replicas === spec.replicas
    );
  }, limitMs);
  await world.settle();
}

test("a deployment comes up as upstream tells it", async () => {
  await using world = setUp();
  world.server.put(deployments, web(3));
  await world.settle();
  assert.deepEqual(reasons(world).sort(), [
    "Available=False MinimumReplicasUnavailable",
    "Progressing=True ReplicaSetUpdated",
  ]);
  const [set] = sets(world);
  assert.equal(set!.spec.replicas, 3);
  assert.match(set!.metadata.name, /^web-[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
  assert.deepEqual(set!.metadata.annotations, {
    "deployment.kubernetes.io/desired-replicas": "3",
    "deployment.kubernetes.io/max-replicas": "4",
    "deployment.kubernetes.io/revision": "1",
  });
  assert.equal(get(world).metadata.annotations!["deployment.kubernetes.io/revision"], "1");
  world.kubelet();
  await rolledOut(world);
  assert.deepEqual(reasons(world).sort(), [
    "Available=True MinimumReplicasAvailable",
    "Progressing=True NewReplicaSetAvailable",
  ]);
  assert.deepEqual(scalings(world), ["from 0 to 3"]);
  const writes = world.server.requests.length;
  await world.settle(60_000);
  assert.equal(world.server.requests.length, writes, "a finished rollout writes nothing more");
});

test("a new image rolls out one up, one down", async () => {
  await using world = setUp();
  world.kubelet();
  world.server.put(deployments, web(3));
  await rolledOut(world);
  world.server.put(deployments, { ...get(world), spec: web(3, "nginx:2").spec });
  await rolledOut(world);
  assert.deepEqual(scalings(world), [
    "from 0 to 3",
    "from 0 to 1",
    "from 3 to 2",
    "from 1 to 2",
    "from 2 to 1",
    "from 2 to 3",
    "from 1 to 0",
  ]);
  assert.equal(get(world).metadata.annotations!["deployment.kubernetes.io/revision"], "2");
  assert.equal(
    world.server.objects<Pod>(pods).every(({ spec }) => spec.containers[0]!.image === "nginx:2"),
    true,
  );
});

test("going back to an earlier template takes its set again, under a new revision", async () => {
  await using world = setUp();
  world.kubelet();
  for (const image of ["nginx:1", "nginx:2", "nginx:1"]) {
    world.server.put(deployments, {
      ...web(2),
      ...world.server.get(deployments, "default/web"),
      spec: web(2, image).spec,
    });
    await rolledOut(world);
  }
  assert.equal(sets(world).length, 2);
  const active = sets(world).find(({ spec }) => spec.replicas === 2)!;
  assert.equal(active.metadata.annotations!["deployment.kubernetes.io/revision"], "3");
  assert.equal(active.metadata.annotations!["deployment.kubernetes.io/revision-history"], "1");
});

test("a rollout that gets nowhere is called stuck after its deadline, and the old pods stay", async () => {
  await using world = setUp();
  world.kubelet();
  world.server.put(deployments, web(4));
  await rolledOut(world);
  world.kubelet = () => {};
  const old = new Set(world.server.objects<Pod>(pods).map(({ metadata }) => metadata.uid));
  world.server.put(deployments, { ...get(world), spec: web(4, "broken", { minReadySeconds: 100_000 }).spec });
  await world.clock.until(() => reasons(world).includes("Progressing=False ProgressDeadlineExceeded"), 700_000);
  assert.ok(world.server.objects<Pod>(pods).filter(({ metadata }) => old.has(metadata.uid)).length >= 3);
});

test("a Recreate deployment makes new pods only when the old ones are gone", async () => {
  await using world = setUp();
  world.kubelet();
  const recreate = (image: string) => web(2, image, { strategy: { type: "Recreate" } });
  world.server.put(deployments, recreate("nginx:1"));
  await rolledOut(world);
  // A pod that takes its time to go.
  const slow = world.server.objects<Pod>(pods)[0]!;
  world.server.put(pods, { ...slow, metadata: { ...slow.metadata, finalizers: ["test/slow"] } });
  world.server.put(deployments, { ...get(world), spec: recreate("nginx:2").spec });
  await world.settle(5_000);
  assert.equal(world.server.objects<Pod>(pods).length, 1, "one old pod left, no new one yet");
  world.server.take(pods, `default/${slow.metadata.name}`);
  await rolledOut(world);
  assert.equal(
    world.server.objects<Pod>(pods).every(({ spec }) => spec.containers[0]!.image === "nginx:2"),
    true,
  );
});

test("a paused deployment rolls nothing out but still takes a new size", async () => {
  await using world = setUp();
  world.kubelet();
  world.server.put(deployments, web(2));
  await rolledOut(world);
  world.server.put(deployments, { ...get(world), spec: web(4, "nginx:2", { paused: true }).spec });
  await world.settle(1000);
  assert.equal(sets(world).length, 1);
  assert.equal(sets(world)[0]!.spec.replicas, 4);
  assert.ok(reasons(world).includes("Progressing=Unknown DeploymentPaused"));
  world.server.put(deployments, { ...get(world), spec: web(4, "nginx:2").spec });
  await rolledOut(world);
  assert.equal(sets(world).length, 2);
});

test("pods of a deleted set are replaced, stray pods are taken in, and those that no longer match are let go", async () => {
  await using world = setUp();
  world.kubelet();
  world.server.put(deployments, web(2));
  await rolledOut(world);
  const [pod] = world.server.objects<Pod>(pods);
  world.server.put(pods, { ...pod!, metadata: { ...pod!.metadata, labels: { app: "other" } } });
  await world.settle(1000);
  assert.equal(world.server.get<Pod>(pods, `default/${pod!.metadata.name}`)!.metadata.ownerReferences?.length ?? 0, 0);
  assert.equal(world.server.objects<Pod>(pods).length, 3);
  const now = world.server.get<Pod>(pods, `default/${pod!.metadata.name}`)!;
  world.server.put(pods, { ...now, metadata: { ...now.metadata, labels: pod!.metadata.labels } });
  await world.settle(1000);
  assert.equal(world.server.objects<Pod>(pods).length, 2, "with it there is one too many");
});
