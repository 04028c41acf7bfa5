/** Keeps the number of pods that each ReplicaSet asks for. Upstream: pkg/controller/replicaset */
import type { ReplicaSet } from "../../api/generated/apps.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { type ControllerDefinition, again, defineController, done } from "../../client/controller.ts";
import { itself, ownedBy as ownerTrigger } from "../../client/controller-runner.ts";
import { pods, replicaSets } from "../../client/resources.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { type KubeObject, controllerOf, keyOf } from "../../machinery/meta/object.ts";
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
import type { ResourceOf } from "../../machinery/resource.ts";

/** A ReplicaSet, or a kind that is one in older words. */
export interface ReplicaKind<T extends KubeObject> {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly workersFlag: string;
  readonly resource: ResourceOf<T>;
  /** The object as a ReplicaSet: its selector, size, template and status are read from there. */
  view(object: T): ReplicaSet;
  withStatus(object: T, status: ReplicaSet["status"]): T;
}

export const replicaSetController = replicaController<ReplicaSet>({
  name: "replicaset-controller",
  aliases: ["replicaset"],
  workersFlag: "concurrent-replicaset-syncs",
  resource: replicaSets,
  view: (set) => set,
  withStatus: (set, status) => ({ ...set, status }),
});

export function replicaController<T extends KubeObject>(kind: ReplicaKind<T>): ControllerDefinition {
  const { resource, view } = kind;
  const wakeOwner = ownerTrigger(pods, resource);
  return defineController({
    name: kind.name,
    aliases: kind.aliases,
    workers: { flag: kind.workersFlag, default: 5 },
    triggers: [
      itself(resource),
      {
        resource: pods,
        keys(pod: Pod, informers) {
          if (controllerOf(pod) !== undefined) return wakeOwner.keys(pod, informers);
          // A stray pod concerns every set that would take it in.
          return informers
            .of(resource)
            .list(pod.metadata.namespace)
            .filter((object) => matchesSelector(view(object).spec.selector, pod.metadata.labels))
            .map(keyOf);
        },
      },
    ],

    create({ informers, clock, events }) {
      const sets = informers.of(resource);
      const allPods = informers.of(pods);
      addControllerIndex(allPods);
      addControllerIndex(sets);

      /** Active pods of all sets with the same owner (the revisions of one Deployment). */
      const relatedPods = (set: T): readonly Pod[] => {
        const owner = controllerOf(set);
        if (owner === undefined) return [];
        const siblings = sets.list(set.metadata.namespace).filter((other) => controllerOf(other)?.uid === owner.uid);
        return siblings.flatMap((sibling) => ownedBy(allPods, sibling)).filter(isActive);
      };

      return {
        async reconcile(key, signal, client) {
          const object = sets.get(key);
          if (object === undefined) return done;
          const set = view(object);
          const selector = selectorOf(set.spec.selector);
          const claimed = await claim({
            client,
            owners: resource,
            owner: object,
            resource: pods,
            candidates: ownedAndOrphaned(allPods, object).filter((pod) => isActive(pod) || isTerminating(pod)),
            matches: ({ metadata }) => selector.matches(metadata.labels),
            signal,
          });
          const active = claimed.filter(isActive);
          const now = clock.now();

          let failure: Failure | undefined;
          let error: unknown;
          if (set.metadata.deletionTimestamp === undefined) {
            const plan = planReplicas(set, active, relatedPods(object), now);
            const control = { client, events, owner: object, signal };
            try {
              await slowStart(plan.create, async () => {
                await createPod(control, podFromTemplate(object, set.spec.template));
              });
              await allSettled(plan.remove.map((pod) => deletePod(control, pod)));
            } catch (cause) {
              error = cause;
              const reason = plan.create > 0 ? "FailedCreate" : plan.remove.length > 0 ? "FailedDelete" : "";
              failure = { reason, message: messageOf(cause) };
            }
          }

          const terminating = claimed.filter(isTerminating).length;
          const status = statusOf(set, active, terminating, failure, { ms: now, text: formatTime(now) });
          if (!sameStatus(status, set.status))
            await client.updateStatus(resource, kind.withStatus(object, status), { signal });
          if (error !== undefined) throw error;
          const minReadySeconds = set.spec.minReadySeconds ?? 0;
          const wait = minReadySeconds > 0 ? nextAvailabilityMs(active, minReadySeconds, now) : undefined;
          return wait === undefined ? done : again(wait);
        },
      };
    },
  });
}
