/** Creates the claims of pods' ephemeral volumes. Upstream: pkg/controller/volume/ephemeral */
import type { PersistentVolumeClaim, Pod } from "../../api/generated/core.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { persistentVolumeClaims, pods } from "../../client/resources.ts";
import { controllerOf, keyOf } from "../../machinery/meta/object.ts";
import { controllerReference } from "../shared/claim.ts";
import { BY_CLAIM, addClaimIndex } from "../shared/pod-claims.ts";

export const ephemeralVolumeController = defineController({
  name: "ephemeral-volume-controller",
  aliases: ["ephemeral-volume"],
  eventsAs: "ephemeral_volume",
  workers: { flag: "concurrent-ephemeralvolume-syncs", default: 5 },
  triggers: [
    {
      resource: pods,
      on: ["add"],
      keys: (pod: Pod) => (pod.spec.volumes?.some(({ ephemeral }) => ephemeral !== undefined) ? [keyOf(pod)] : []),
    },
    {
      resource: persistentVolumeClaims,
      on: ["delete"],
      keys: (claim: PersistentVolumeClaim, informers) => informers.of(pods).byIndex(BY_CLAIM, keyOf(claim)).map(keyOf),
    },
  ],
  create({ informers, events }) {
    addClaimIndex(informers.of(pods));
    return {
      async reconcile(key, signal, client) {
        const pod = informers.of(pods).get(key);
        if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return done;
        const { namespace = "" } = pod.metadata;
        for (const { name: volume, ephemeral } of pod.spec.volumes ?? []) {
          const template = ephemeral?.volumeClaimTemplate;
          if (template === undefined) continue;
          const name = `${pod.metadata.name}-${volume}`;
          const existing = informers.of(persistentVolumeClaims).get(`${namespace}/${name}`);
          if (existing !== undefined) {
            if (controllerOf(existing)?.uid === pod.metadata.uid) continue;
            const words = `ephemeral volume ${volume}: PVC ${namespace}/${name} was not created for pod ${key} (pod is not owner)`;
            events.event(pod, "Warning", "FailedBinding", words);
            throw new Error(words);
          }
          const { labels, annotations } = template.metadata ?? {};
          await client.create(
            persistentVolumeClaims,
            {
              metadata: {
                name,
                namespace,
                ...(labels && { labels }),
                ...(annotations && { annotations }),
                ownerReferences: [controllerReference(pod)],
              },
              spec: template.spec,
            },
            { signal },
          );
        }
        return done;
      },
    };
  },
});
