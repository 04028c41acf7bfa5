import assert from "node:assert/strict";
import { test } from "node:test";
import type { PersistentVolume, PersistentVolumeClaim } from "../../api/generated/core.v1.ts";
import { persistentVolumeClaims, persistentVolumes, pods, storageClasses } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { ephemeralVolumeController } from "../ephemeral-volume/controller.ts";
import { claimProtectionController } from "../volume-protection/claims.ts";
import { volumeProtectionController } from "../volume-protection/volumes.ts";
import { persistentVolumeBinder } from "./controller.ts";
import { findVolume, mismatch } from "./plan.ts";

const volume = (name: string, storage: string, more: object = {}) => ({
  metadata: { name },
  spec: {
    capacity: { storage },
    accessModes: ["ReadWriteOnce"],
    storageClassName: "",
    persistentVolumeReclaimPolicy: "Retain",
    ...more,
  },
  status: {},
});
const claim = (name: string, storage: string, more: object = {}) => ({
  metadata: { name, namespace: "default" },
  spec: { accessModes: ["ReadWriteOnce"], storageClassName: "", resources: { requests: { storage } }, ...more },
  status: {},
});
const setUp = () => {
  const world = controllerWorld([
    persistentVolumeBinder,
    claimProtectionController,
    volumeProtectionController,
    ephemeralVolumeController,
  ]);
  const pv = (name: string) => world.server.get<PersistentVolume>(persistentVolumes, name);
  const pvc = (name: string) => world.server.get<PersistentVolumeClaim>(persistentVolumeClaims, `default/${name}`);
  return { world, pv, pvc };
};

test("a claim gets the smallest volume that fits, and both say so", async () => {
  const { world, pv, pvc } = setUp();
  await using _ = world;
  for (const [name, size] of [
    ["large", "10Gi"],
    ["small", "1Gi"],
    ["middle", "5Gi"],
  ] as const)
    world.server.put(persistentVolumes, volume(name, size));
  await world.settle();
  world.server.put(persistentVolumeClaims, claim("c", "3Gi"));
  await world.settle();
  assert.deepEqual(
    [pvc("c")!.spec.volumeName, pvc("c")!.status!.phase, pvc("c")!.status!.capacity],
    ["middle", "Bound", { storage: "5Gi" }],
  );
  assert.deepEqual([pv("middle")!.status!.phase, pv("middle")!.spec.claimRef!.uid], ["Bound", pvc("c")!.metadata.uid]);
  assert.equal(pvc("c")!.metadata.annotations!["pv.kubernetes.io/bind-completed"], "yes");
  const writes = world.server.requests.length;
  await world.settle(60_000);
  assert.equal(world.server.requests.length, writes);
});

test("a claim waits for its volume; a volume whose claim is gone is released and kept", async () => {
  const { world, pv, pvc } = setUp();
  await using _ = world;
  world.server.put(persistentVolumeClaims, claim("c", "3Gi"));
  await world.settle();
  assert.equal(pvc("c")!.status!.phase, "Pending");
  assert.ok(
    world
      .events()
      .includes("Normal FailedBinding: no persistent volumes available for this claim and no storage class is set"),
  );
  world.server.put(persistentVolumes, volume("v", "5Gi"));
  await world.clock.until(() => pvc("c")!.status!.phase === "Bound", 20_000);
  await world.client.delete(persistentVolumeClaims, { namespace: "default", name: "c" });
  await world.clock.until(() => pvc("c") === undefined && pv("v")!.status!.phase === "Released", 5_000);
});

test("a claim that a pod uses is not deleted under it", async () => {
  const { world, pvc } = setUp();
  await using _ = world;
  world.server.put(persistentVolumeClaims, claim("c", "1Gi"));
  world.server.put(pods, {
    metadata: { name: "p", namespace: "default" },
    spec: { nodeName: "n", containers: [], volumes: [{ name: "v", persistentVolumeClaim: { claimName: "c" } }] },
    status: {},
  });
  await world.settle();
  assert.deepEqual(pvc("c")!.metadata.finalizers, ["kubernetes.io/pvc-protection"]);
  await world.client.delete(persistentVolumeClaims, { namespace: "default", name: "c" });
  await world.settle(5_000);
  assert.ok(pvc("c")!.metadata.deletionTimestamp);
  await world.client.delete(pods, { namespace: "default", name: "p" });
  await world.clock.until(() => pvc("c") === undefined, 5_000);
});

test("claims without a class get the default one, and its provisioner is called when a consumer has a node", async () => {
  const { world, pvc } = setUp();
  await using _ = world;
  world.server.put(storageClasses, {
    metadata: { name: "local", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: "example.com/local",
    volumeBindingMode: "WaitForFirstConsumer",
  });
  world.server.put(persistentVolumeClaims, claim("c", "1Gi", { storageClassName: undefined }));
  await world.settle();
  assert.equal(pvc("c")!.spec.storageClassName, "local");
  assert.ok(
    world.events().includes("Normal WaitForFirstConsumer: waiting for first consumer to be created before binding"),
  );
  assert.equal(pvc("c")!.metadata.annotations?.["volume.kubernetes.io/storage-provisioner"], undefined);
  const current = pvc("c")!;
  world.server.put(persistentVolumeClaims, {
    ...current,
    metadata: { ...current.metadata, annotations: { "volume.kubernetes.io/selected-node": "n1" } },
  });
  await world.settle();
  assert.equal(pvc("c")!.metadata.annotations!["volume.kubernetes.io/storage-provisioner"], "example.com/local");
  // The provisioner's volume names the claim.
  const { uid } = pvc("c")!.metadata;
  world.server.put(
    persistentVolumes,
    volume("made", "1Gi", {
      storageClassName: "local",
      claimRef: { kind: "PersistentVolumeClaim", namespace: "default", name: "c", uid },
    }),
  );
  await world.clock.until(() => pvc("c")!.status!.phase === "Bound", 20_000);
});

test("a pod's ephemeral volume becomes a claim that goes with it", async () => {
  const { world, pvc } = setUp();
  await using _ = world;
  const template = { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } };
  world.server.put(pods, {
    metadata: { name: "p", namespace: "default" },
    spec: { containers: [], volumes: [{ name: "scratch", ephemeral: { volumeClaimTemplate: template } }] },
    status: {},
  });
  await world.clock.until(() => pvc("p-scratch") !== undefined, 1000);
  assert.equal(pvc("p-scratch")!.metadata.ownerReferences![0]!.kind, "Pod");
});

test("where the scheduler chooses, only a volume that is set aside for the claim is taken", () => {
  const it = claim("c", "1Gi") as unknown as PersistentVolumeClaim;
  const free = { ...volume("free", "1Gi"), status: { phase: "Available" } } as unknown as PersistentVolume;
  const reserved = volume("reserved", "9Gi", {
    claimRef: { namespace: "default", name: "c" },
  }) as unknown as PersistentVolume;
  const found = (all: PersistentVolume[], delayed: boolean) => findVolume(it, all, delayed)?.metadata.name;
  assert.deepEqual(
    [found([free], false), found([free], true), found([free, reserved], true)],
    ["free", undefined, "reserved"],
  );
});

test("why a volume doesn't fit", () => {
  const why = (v: object, c: object = {}) =>
    mismatch(
      volume("v", "5Gi", v) as unknown as PersistentVolume,
      claim("c", "3Gi", c) as unknown as PersistentVolumeClaim,
    );
  assert.equal(why({}), undefined);
  assert.equal(why({ capacity: { storage: "2Gi" } }), "requested PV is too small");
  assert.equal(why({ storageClassName: "x" }), "storageClassName does not match");
  assert.equal(why({ volumeMode: "Block" }), "incompatible volumeMode");
  assert.equal(why({}, { accessModes: ["ReadWriteMany"] }), "incompatible accessMode");
});
