import assert from "node:assert/strict";
import test from "node:test";
import { persistentVolumeClaims, volumeAttributesClasses } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { attributesClassProtectionController } from "./attributes-classes.ts";

test("a class of volume attributes that is deleted stays for as long as a claim has it", async () => {
  await using world = controllerWorld([attributesClassProtectionController]);
  const gold = () => world.server.get(volumeAttributesClasses, "gold");
  world.server.put(volumeAttributesClasses, { metadata: { name: "gold" }, driverName: "example.com/disk" });
  await world.settle();
  assert.deepEqual(gold()!.metadata.finalizers, ["kubernetes.io/vac-protection"]);
  const claim = {
    metadata: { name: "c", namespace: "default" },
    spec: { volumeAttributesClassName: "silver" },
    status: { currentVolumeAttributesClassName: "gold" },
  };
  world.server.put(persistentVolumeClaims, claim);
  await world.settle();
  await world.client.delete(volumeAttributesClasses, { name: "gold" });
  await world.settle(60_000);
  assert.ok(gold()!.metadata.deletionTimestamp);
  world.server.put(persistentVolumeClaims, { ...claim, status: { currentVolumeAttributesClassName: "silver" } });
  await world.clock.until(() => gold() === undefined, 5_000);
});
