/** Evicts pods from nodes whose NoExecute taints they don't tolerate, or no longer. Upstream: pkg/controller/tainteviction */
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { nodes, pods } from "../../client/resources.ts";
import { keyOf } from "../../machinery/meta/object.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { hasReason } from "../../machinery/status.ts";
import { semanticallyEqual } from "../shared/equality.ts";
import { msUntilEviction } from "./plan.ts";

const BY_NODE = "spec.nodeName";
const noExecute = ({ spec }: Node) => (spec.taints ?? []).filter(({ effect }) => effect === "NoExecute");

export const taintEvictionController = defineController({
  name: "taint-eviction-controller",
  workers: { default: 8 },
  triggers: [
    {
      resource: pods,
      changed: (old: Pod, pod: Pod) =>
        old.spec.nodeName !== pod.spec.nodeName || !semanticallyEqual(old.spec.tolerations, pod.spec.tolerations),
      keys: (pod: Pod) => ((pod.spec.nodeName ?? "") === "" ? [] : [keyOf(pod)]),
    },
    {
      resource: nodes,
      changed: (old: Node, node: Node) => !semanticallyEqual(noExecute(old), noExecute(node)),
      keys: (node: Node, informers) => informers.of(pods).byIndex(BY_NODE, node.metadata.name).map(keyOf),
    },
  ],
  create({ informers, clock, events }) {
    informers.of(pods).addIndex(BY_NODE, ({ spec }) => (spec.nodeName === undefined ? [] : [spec.nodeName]));
    /** When each pod has to go, by our clock. A booking stands: taints that come later don't buy time. */
    const booked = new Map<string, { readonly uid: string; readonly at: number }>();

    return {
      async reconcile(key, signal, client) {
        const pod = informers.of(pods).get(key);
        if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) {
          booked.delete(key);
          return done;
        }
        const node = informers.of(nodes).get(pod.spec.nodeName ?? "");
        const taints = node === undefined ? [] : noExecute(node);
        const wait = taints.length === 0 ? undefined : msUntilEviction(pod, taints);
        const now = clock.monotonic();
        const known = booked.get(key)?.uid === pod.metadata.uid ? booked.get(key) : undefined;
        if (wait === undefined) {
          if (known !== undefined)
            events.event(pod, "Normal", "TaintManagerEviction", `Cancelling deletion of Pod ${key}`);
          booked.delete(key);
          return done;
        }
        const at = wait === 0 ? now : Math.min(known?.at ?? Number.POSITIVE_INFINITY, now + wait);
        booked.set(key, { uid: pod.metadata.uid, at });
        if (at > now) return again(at - now);

        events.event(pod, "Normal", "TaintManagerEviction", `Marking for deletion Pod ${key}`);
        const { namespace = "", name, uid } = pod.metadata;
        const condition = {
          type: "DisruptionTarget",
          status: "True",
          reason: "DeletionByTaintManager",
          message: "Taint manager: deleting due to NoExecute taint",
          lastTransitionTime: formatTime(clock.now()),
        };
        try {
          const patch = { metadata: { uid }, status: { conditions: [condition] } };
          await client.patch(pods, { namespace, name }, "application/strategic-merge-patch+json", patch, {
            subresource: "status",
            signal,
          });
          await client.delete(pods, { namespace, name }, { preconditions: { uid }, signal });
        } catch (error) {
          if (!hasReason(error, "NotFound")) throw error;
        }
        booked.delete(key);
        return done;
      },
    };
  },
});
