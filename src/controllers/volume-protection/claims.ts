/** Keeps a claim until no pod uses it. Upstream: pkg/controller/volume/pvcprotection */
import type { PersistentVolumeClaim, Pod } from "../../api/generated/core.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { persistentVolumeClaims, pods } from "../../client/resources.ts";
import { isFinished } from "../shared/pods.ts";
import { BY_CLAIM, addClaimIndex, claimNames } from "../shared/pod-claims.ts";

const FINALIZER = "kubernetes.io/pvc-protection";

/** A pod uses its claims from when it has a node; ended ones still name them. */
function isUsing(pod: Pod, claim: PersistentVolumeClaim): boolean {
  return (pod.spec.nodeName ?? "") !== "" && claimNames(pod).includes(claim.metadata.name);
}

export const claimProtectionController = defineController({
  name: "persistentvolumeclaim-protection-controller",
  aliases: ["pvc-protection"],
  workers: { default: 1 },
  triggers: [
    itself(persistentVolumeClaims),
    {
      resource: pods,
      on: ["update", "delete"],
      changed: (old: Pod, pod: Pod) => isFinished(old) !== isFinished(pod) || old.spec.nodeName !== pod.spec.nodeName,
      keys: (pod: Pod) => claimNames(pod).map((name) => `${pod.metadata.namespace}/${name}`),
    },
  ],
  create({ informers }) {
    addClaimIndex(informers.of(pods));
    return {
      async reconcile(key, signal, client) {
        const claim = informers.of(persistentVolumeClaims).get(key);
        if (claim === undefined) return done;
        const finalizers = claim.metadata.finalizers ?? [];
        const isProtected = finalizers.includes(FINALIZER);
        if (claim.metadata.deletionTimestamp === undefined) {
          if (!isProtected)
            await client.update(
              persistentVolumeClaims,
              { ...claim, metadata: { ...claim.metadata, finalizers: [...finalizers, FINALIZER] } },
              { signal },
            );
          return done;
        }
        if (
          !isProtected ||
          informers
            .of(pods)
            .byIndex(BY_CLAIM, key)
            .some((pod) => isUsing(pod, claim))
        )
          return done;
        // The cache may be behind, and what is deleted too early is lost: ask the server last.
        const { items } = await client.list(pods, { namespace: claim.metadata.namespace ?? "", signal });
        if (items.some((pod) => isUsing(pod, claim))) return done;
        const rest = finalizers.filter((each) => each !== FINALIZER);
        await client.update(
          persistentVolumeClaims,
          { ...claim, metadata: { ...claim.metadata, finalizers: rest } },
          { signal },
        );
        return done;
      },
    };
  },
});
