/** Deletes pods that nothing manages any more. Upstream: pkg/controller/podgc */
import type { Pod } from "../../api/generated/core.v1.ts";
import { type ControllerContext, defineController, done } from "../../client/controller.ts";
import { nodes, pods } from "../../client/resources.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { hasReason } from "../../machinery/status.ts";
import { every } from "../../world/time.ts";
import { isFinished } from "../shared/pods.ts";
import { outOfServicePods, terminatedPods, unscheduledPods } from "./plan.ts";

const PERIOD_MS = 20_000;
const QUARANTINE_MS = 40_000;

export const podGarbageCollector = defineController({
  name: "pod-garbage-collector-controller",
  aliases: ["podgc"],
  workers: { default: 0 },
  triggers: [],
  reads: [pods, nodes],
  create(context) {
    const collector = new PodCollector(context);
    return {
      reconcile: async () => done,
      background: (signal) => every(context.clock, PERIOD_MS, signal, () => collector.collect(signal)),
    };
  },
});

class PodCollector {
  readonly #context: ControllerContext;
  readonly #threshold: number;
  /** Nodes that are missing, and since when: one may only be late. */
  readonly #missing = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
    const set = context.options["terminated-pod-gc-threshold"];
    this.#threshold = typeof set === "number" ? set : 12_500;
  }

  async collect(signal: AbortSignal): Promise<void> {
    const { informers } = this.#context;
    const all = informers.of(pods).list();
    for (const pod of terminatedPods(all, this.#threshold)) await this.#remove(pod, undefined, signal);
    for (const pod of outOfServicePods(all, (name) => informers.of(nodes).get(name)))
      await this.#remove(pod, undefined, signal);
    const gone = await this.#goneNodes(all, signal);
    for (const pod of all)
      if (gone.has(pod.spec.nodeName ?? "")) await this.#remove(pod, "PodGC: node no longer exists", signal);
    for (const pod of unscheduledPods(all)) await this.#remove(pod, undefined, signal);
  }

  async #goneNodes(all: readonly Pod[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const { informers, clock, client } = this.#context;
    const missing = new Set(
      all
        .map(({ spec }) => spec.nodeName ?? "")
        .filter((name) => name !== "" && informers.of(nodes).get(name) === undefined),
    );
    for (const name of this.#missing.keys()) if (!missing.has(name)) this.#missing.delete(name);
    const gone = new Set<string>();
    for (const name of missing) {
      const since = this.#missing.get(name);
      if (since === undefined) this.#missing.set(name, clock.monotonic());
      else if (clock.monotonic() - since >= QUARANTINE_MS)
        try {
          await client.get(nodes, { name }, { signal });
        } catch (error) {
          if (hasReason(error, "NotFound")) gone.add(name);
          else this.#warn(error, signal);
        }
    }
    return gone;
  }

  /** What still counts as running is declared failed first, so that nobody waits for it. */
  async #remove(pod: Pod, disruption: string | undefined, signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#context;
    const { namespace = "", name, uid } = pod.metadata;
    try {
      if (!isFinished(pod)) {
        const lastTransitionTime = formatTime(clock.now());
        const conditions = [
          {
            type: "DisruptionTarget",
            status: "True",
            reason: "DeletionByPodGC",
            message: disruption,
            lastTransitionTime,
          },
        ];
        const patch = {
          metadata: { uid },
          status: { phase: "Failed", ...(disruption !== undefined && { conditions }) },
        };
        await client.patch(pods, { namespace, name }, "application/strategic-merge-patch+json", patch, {
          subresource: "status",
          signal,
        });
      }
      await client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid }, signal });
    } catch (error) {
      if (!hasReason(error, "NotFound", "Conflict")) this.#warn(error, signal);
    }
  }

  #warn(error: unknown, signal: AbortSignal): void {
    if (!signal.aborted) this.#context.log.error("Failed to collect pods", error);
  }
}
