/** Keeps a volume while it is bound. Upstream: pkg/controller/volume/pvprotection */
import { defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { persistentVolumes } from "../../client/resources.ts";

const FINALIZER = "kubernetes.io/pv-protection";

export const volumeProtectionController = defineController({
  name: "persistentvolume-protection-controller",
  aliases: ["pv-protection"],
  workers: { default: 1 },
  triggers: [itself(persistentVolumes)],
  create: ({ informers }) => ({
    async reconcile(name, signal, client) {
      const volume = informers.of(persistentVolumes).get(name);
      if (volume === undefined) return done;
      const finalizers = volume.metadata.finalizers ?? [];
      const isProtected = finalizers.includes(FINALIZER);
      const deleting = volume.metadata.deletionTimestamp !== undefined;
      if (deleting ? !isProtected || volume.status?.phase === "Bound" : isProtected) return done;
      const next = deleting ? finalizers.filter((each) => each !== FINALIZER) : [...finalizers, FINALIZER];
      await client.update(
        persistentVolumes,
        { ...volume, metadata: { ...volume.metadata, finalizers: next } },
        { signal },
      );
      return done;
    },
  }),
});
