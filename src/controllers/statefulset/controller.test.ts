import assert from "node:assert/strict";
import { test } from "node:test";
import type { ControllerRevision, StatefulSet } from "../../api/generated/apps.v1.ts";
import type { PersistentVolumeClaim, Pod } from "../../api/generated/core.v1.ts";
import { controllerRevisions, persistentVolumeClaims, pods, statefulSets } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { statefulSetController } from "./controller.ts";
import { planStep } from "./plan.ts";

const db = (replicas: number, image = "db:1", more: object = {}) => ({
  metadata: { name: "db", namespace: "default" },
  spec: {
    replicas,
    serviceName: "db",
    podManagementPolicy: "OrderedReady",
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
    revisionHistoryLimit: 10,
    selector: { matchLabels: { app: "db" } },
    template: { metadata: { labels: { app: "db" } }, spec: { containers: [{ name: "c", image }] } },
    volumeClaimTemplates: [{ metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"] } }],
    ...more,
  },
  status: {},
});

function setUp() {
  const world = controllerWorld([statefulSetController]);
  world.kubelet(1000);
  const names = () =>
    world.server
      .objects<Pod>(pods)
      .map(({ metadata }) => metadata.name)
      .sort();
  const set = () => world.server.get<StatefulSet>(statefulSets, "default/db")!;
  const whole = (n: number) =>
    world.clock.until(() => {
      const { status, metadata } = set();
      return (
        status?.observedGeneration === metadata.generation &&
        status.readyReplicas === n &&
        status.replicas === n &&
        names().length === n &&
        status.currentRevision === status.updateRevision &&
        status.updatedReplicas === n
      );
    }, 120_000);
  const history: string[] = [];
  world.server.onRequest = ({ method, path, body }) => {
    if (path.endsWith("/pods") && method === "POST") history.push(`+${(body as any).metadata.name}`);
    if (path.includes("/pods/") && method === "DELETE") history.push(`-${path.split("/").at(-1)}`);
  };
  return { world, names, set, whole, history };
}
const image = (pod: Pod | undefined) => pod?.spec.containers[0]!.image;

test("pods come in order, each when the one before is well, with a claim and a name of its own", async () => {
  const { world, names, whole, history } = setUp();
  await using _ = world;
  world.server.put(statefulSets, db(3));
  await world.settle(500);
  assert.deepEqual(names(), ["db-0"], "the second waits for the first");
  await whole(3);
  assert.deepEqual(history, ["+db-0", "+db-1", "+db-2"]);
  const pod = world.server.get<Pod>(pods, "default/db-1")!;
  assert.equal(pod.spec.hostname, "db-1");
  assert.equal(pod.spec.subdomain, "db");
  assert.equal(pod.metadata.labels!["apps.kubernetes.io/pod-index"], "1");
  assert.deepEqual(pod.spec.volumes, [
    { name: "data", persistentVolumeClaim: { claimName: "data-db-1", readOnly: false } },
  ]);
  assert.deepEqual(
    world.server.objects(persistentVolumeClaims).map(({ metadata }) => metadata.name),
    ["data-db-0", "data-db-1", "data-db-2"],
  );
  assert.ok(
    world.events().includes("Normal SuccessfulCreate: Create Claim data-db-0 Pod db-0 in StatefulSet db success"),
  );
  assert.ok(world.events().includes("Normal SuccessfulCreate: Create Pod db-0 in StatefulSet db successful"));
});

test("scaled down from the top, the claims stay", async () => {
  const { world, whole, history } = setUp();
  await using _ = world;
  world.server.put(statefulSets, db(3));
  await whole(3);
  world.server.put(statefulSets, { ...world.server.get(statefulSets, "default/db"), spec: db(1).spec });
  await whole(1);
  assert.deepEqual(history.slice(3), ["-db-2", "-db-1"]);
  assert.equal(world.server.objects(persistentVolumeClaims).length, 3);
});

test("an update goes from the top, one by one; a partition holds it; going back takes the old revision", async () => {
  const { world, whole, history, set } = setUp();
  await using _ = world;
  world.server.put(statefulSets, db(3));
  await whole(3);
  const update = (spec: object) =>
    world.server.put(statefulSets, { ...world.server.get(statefulSets, "default/db"), spec });
  update(db(3, "db:2", { updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 2 } } }).spec);
  await world.settle(10_000);
  assert.deepEqual(history.slice(3), ["-db-2", "+db-2"]);
  assert.notEqual(set().status.currentRevision, set().status.updateRevision);
  await world.client.delete(pods, { namespace: "default", name: "db-0" });
  await world.settle(10_000);
  assert.equal(
    image(world.server.get<Pod>(pods, "default/db-0")),
    "db:1",
    "below the partition the old template stays",
  );
  update(db(3, "db:2").spec);
  await whole(3);
  assert.ok(world.server.objects<Pod>(pods).every((pod) => image(pod) === "db:2"));
  update(db(3, "db:1").spec);
  await whole(3);
  assert.deepEqual(
    world.server
      .objects<ControllerRevision>(controllerRevisions)
      .map(({ revision }) => revision)
      .sort(),
    [2, 3],
  );
});

test("in parallel nobody waits", async () => {
  const { world, names, whole } = setUp();
  await using _ = world;
  world.server.put(statefulSets, db(4, "db:1", { podManagementPolicy: "Parallel" }));
  await world.settle(500);
  assert.equal(names().length, 4);
  await whole(4);
});

test("a failed pod is made anew under its name", async () => {
  const { world, whole } = setUp();
  await using _ = world;
  world.server.put(statefulSets, db(2));
  await whole(2);
  const pod = world.server.get<Pod>(pods, "default/db-0")!;
  world.server.put(pods, { ...pod, status: { phase: "Failed" } });
  await world.clock.until(() => world.server.get<Pod>(pods, "default/db-0")?.metadata.uid !== pod.metadata.uid, 10_000);
  await whole(2);
});

test("claims go with the set or with the pod, as the policy says", async () => {
  const { world, whole } = setUp();
  await using _ = world;
  const policy = { persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Delete" } };
  world.server.put(statefulSets, db(2, "db:1", policy));
  await whole(2);
  await world.settle(1000);
  const owner = (name: string) =>
    world.server
      .get<PersistentVolumeClaim>(persistentVolumeClaims, `default/${name}`)!
      .metadata.ownerReferences?.map(({ kind }) => kind);
  assert.deepEqual([owner("data-db-0"), owner("data-db-1")], [["StatefulSet"], ["StatefulSet"]]);
  world.server.put(pods, {
    ...world.server.get<Pod>(pods, "default/db-1")!,
    metadata: { ...world.server.get<Pod>(pods, "default/db-1")!.metadata, finalizers: ["test/slow"] },
  });
  world.server.put(statefulSets, { ...world.server.get(statefulSets, "default/db"), spec: db(1, "db:1", policy).spec });
  await world.settle(1000);
  assert.deepEqual(owner("data-db-1"), ["Pod"]);
});

test("nothing goes on while a pod before is not well", () => {
  const pod = (ordinal: number, ready: boolean, revision = "new") =>
    ({
      metadata: { name: `db-${ordinal}`, labels: { "controller-revision-hash": revision } },
      status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
    }) as unknown as Pod;
  const step = (replicas: number, all: Pod[], more: object = {}) => {
    const { create, delete: remove } = planStep(
      db(replicas, "x", more) as unknown as StatefulSet,
      all,
      { current: "old", update: "new" },
      0,
    );
    return [...create.map(({ ordinal }) => `+${ordinal}`), ...remove.map(({ metadata }) => `-${metadata.name}`)];
  };
  const table: [string, string[], string[]][] = [
    ["waits to create", step(2, [pod(0, false)]), []],
    ["waits to scale down", step(1, [pod(0, false), pod(1, true)]), []],
    ["scales down the top one", step(1, [pod(0, true), pod(1, true), pod(2, true)]), ["-db-2"]],
    ["a broken lower one stops the top one", step(0, [pod(0, false), pod(1, false)]), []],
    ["the first broken one may go", step(0, [pod(0, false)]), ["-db-0"]],
    ["updates the top one first", step(2, [pod(0, true, "old"), pod(1, true, "old")]), ["-db-1"]],
    ["waits for an updated one", step(2, [pod(0, true, "old"), pod(1, false)]), []],
    [
      "in parallel, too, an updated one is waited for",
      step(2, [pod(0, true, "old"), pod(1, false)], { podManagementPolicy: "Parallel" }),
      [],
    ],
    ["updates nothing on delete", step(1, [pod(0, true, "old")], { updateStrategy: { type: "OnDelete" } }), []],
    ["ordinals may start later", step(2, [pod(3, true)], { ordinals: { start: 3 } }), ["+4"]],
  ];
  for (const [name, actual, expected] of table) assert.deepEqual(actual, expected, name);
});
