/** Keeps as many pods as each ReplicaSet asks for. Upstream: pkg/controller/replicaset */
import type { ReplicaSet } from "../../api/generated/apps.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { itself, ownedBy as ownerTrigger } from "../../client/controller-runner.ts";
import { pods, replicaSets } from "../../client/resources.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { controllerOf, keyOf } from "../../machinery/meta/object.ts";
import { claim } from "../shared/claim.ts";
import { sameStatus } from "../shared/equality.ts";
import { createPod, deletePod, messageOf, podFromTemplate } from "../shared/pod-control.ts";
import {
  addControllerIndex,
  isActive,
  isTerminating,
  nextAvailabilityMs,
  ownedAndOrphaned,
  ownedBy,
} from "../shared/pods.ts";
import { matchesSelector } from "../shared/selector.ts";
import { selectorOf } from "../../machinery/selector/labels.ts";
import { allSettled, slowStart } from "../shared/slow-start.ts";
import { type Failure, planReplicas, statusOf } from "./plan.ts";

const wakeOwner = ownerTrigger(pods, { group: "apps", kind: "ReplicaSet" });

export const replicaSetController = defineController({
  name: "replicaset-controller",
  aliases: ["replicaset"],
  workers: { flag: "concurrent-replicaset-syncs", default: 5 },
  triggers: [
    itself(replicaSets),
    {
      resource: pods,
      keys(pod: Pod, informers) {
        if (controllerOf(pod) !== undefined) return wakeOwner.keys(pod, informers);
        // A stray pod concerns every set that would take it in.
        return informers
          .of(replicaSets)
          .list(pod.metadata.namespace)
          .filter(({ spec }) => matchesSelector(spec.selector, pod.metadata.labels))
          .map(keyOf);
      },
    },
  ],

  create({ informers, clock, events }) {
    const sets = informers.of(replicaSets);
    const allPods = informers.of(pods);
    addControllerIndex(allPods);
    addControllerIndex(sets);

    /** Active pods of all sets with the same owner (the revisions of one Deployment). */
    const relatedPods = (set: ReplicaSet): readonly Pod[] => {
      const owner = controllerOf(set);
      if (owner === undefined) return [];
      const siblings = sets.list(set.metadata.namespace).filter((other) => controllerOf(other)?.uid === owner.uid);
      return siblings.flatMap((sibling) => ownedBy(allPods, sibling)).filter(isActive);
    };

    return {
      async reconcile(key, signal, client) {
        const set = sets.get(key);
        if (set === undefined) return done;
        const selector = selectorOf(set.spec.selector);
        const claimed = await claim({
          client,
          owners: replicaSets,
          owner: set,
          resource: pods,
          candidates: ownedAndOrphaned(allPods, set).filter((pod) => isActive(pod) || isTerminating(pod)),
          matches: ({ metadata }) => selector.matches(metadata.labels),
          signal,
        });
        const active = claimed.filter(isActive);
        const now = clock.now();

        let failure: Failure | undefined;
        let error: unknown;
        if (set.metadata.deletionTimestamp === undefined) {
          const plan = planReplicas(set, active, relatedPods(set), now);
          const control = { client, events, owner: set, signal };
          try {
            await slowStart(plan.create, async () => {
              await createPod(control, podFromTemplate(set, set.spec.template));
            });
            await allSettled(plan.remove.map((pod) => deletePod(control, pod)));
          } catch (cause) {
            error = cause;
            const reason = plan.create > 0 ? "FailedCreate" : plan.remove.length > 0 ? "FailedDelete" : "";
            failure = { reason, message: messageOf(cause) };
          }
        }

        const status = statusOf(set, active, claimed.filter(isTerminating).length, failure, {
          ms: now,
          text: formatTime(now),
        });
        if (!sameStatus(status, set.status)) await client.updateStatus(replicaSets, { ...set, status }, { signal });
        if (error !== undefined) throw error;
        const minReadySeconds = set.spec.minReadySeconds ?? 0;
        const wait = minReadySeconds > 0 ? nextAvailabilityMs(active, minReadySeconds, now) : undefined;
        return wait === undefined ? done : again(wait);
      },
    };
  },
});
