/** Keeps a VolumeAttributesClass until no claim and no volume names it. Upstream: pkg/controller/volume/vacprotection */
import type { PersistentVolume, PersistentVolumeClaim } from "../../api/generated/core.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { persistentVolumeClaims, persistentVolumes, volumeAttributesClasses } from "../../client/resources.ts";

const FINALIZER = "kubernetes.io/vac-protection";

/** The class that it has, the one that it asks for, and the one that it is on its way to. */
function classesOf({ spec, status }: PersistentVolumeClaim): readonly string[] {
  const names = [
    spec.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return names.filter((name): name is string => name !== undefined && name !== "");
}

const classOf = ({ spec }: PersistentVolume): readonly string[] =>
  (spec.volumeAttributesClassName ?? "") === "" ? [] : [spec.volumeAttributesClassName!];

export const attributesClassProtectionController = defineController({
  name: "volumeattributesclass-protection-controller",
  workers: { default: 1 },
  triggers: [
    itself(volumeAttributesClasses),
    {
      resource: persistentVolumeClaims,
      on: ["update", "delete"],
      changed: (old: PersistentVolumeClaim, claim: PersistentVolumeClaim) =>
        classesOf(old).some((name) => !classesOf(claim).includes(name)),
      keys: classesOf,
    },
    {
      resource: persistentVolumes,
      on: ["update", "delete"],
      changed: (old: PersistentVolume, volume: PersistentVolume) =>
        classOf(old).some((name) => !classOf(volume).includes(name)),
      keys: classOf,
    },
  ],
  create({ informers }) {
    const claims = informers.of(persistentVolumeClaims);
    const volumes = informers.of(persistentVolumes);
    return {
      async reconcile(name, signal, client) {
        const attributes = informers.of(volumeAttributesClasses).get(name);
        if (attributes === undefined) return done;
        const finalizers = attributes.metadata.finalizers ?? [];
        const isProtected = finalizers.includes(FINALIZER);
        const deleting = attributes.metadata.deletionTimestamp !== undefined;
        if (deleting !== isProtected) return done;
        if (deleting && volumes.list().some((volume) => classOf(volume).includes(name))) return done;
        if (deleting && claims.list().some((claim) => classesOf(claim).includes(name))) return done;
        const next = deleting ? finalizers.filter((each) => each !== FINALIZER) : [...finalizers, FINALIZER];
        await client.update(
          volumeAttributesClasses,
          { ...attributes, metadata: { ...attributes.metadata, finalizers: next } },
          { signal },
        );
        return done;
      },
    };
  },
});
