/** Computes how many pods each disruption budget can spare. Upstream: pkg/controller/disruption */
import { conditionOf } from "../../machinery/meta/conditions.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { PodDisruptionBudget } from "../../api/generated/policy.v1.ts";
import { type ControllerContext, again, defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { type DiscoveredResource, discover } from "../../client/discovery.ts";
import type { Client } from "../../client/client.ts";
import {
  deployments,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
} from "../../client/resources.ts";
import { type KubeObject, controllerOf, keyOf } from "../../machinery/meta/object.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import type { OwnerReference } from "../../machinery/meta/types.ts";
import { pathOf } from "../../machinery/resource.ts";
import { selectorOf } from "../../machinery/selector/labels.ts";
import { hasReason } from "../../machinery/status.ts";
import { every } from "../../world/time.ts";
import { sameStatus } from "../shared/equality.ts";
import { messageOf } from "../shared/pod-control.ts";
import { isDeleting, isFinished } from "../shared/pods.ts";
import { matchesSelector } from "../shared/selector.ts";
import { disruptedOf, expectationOf, failSafe, needsScale, statusOf } from "./plan.ts";

const STALE_MS = 120_000;
const STALE_SCAN_MS = 30_000;

export const disruptionController = defineController({
  name: "disruption-controller",
  aliases: ["disruption"],
  eventsAs: "controllermanager",
  workers: { default: 1 },
  triggers: [
    itself(podDisruptionBudgets),
    {
      resource: pods,
      keys: (pod: Pod, informers) =>
        informers
          .of(podDisruptionBudgets)
          .list(pod.metadata.namespace)
          .filter(({ spec }) => matchesSelector(spec.selector, pod.metadata.labels))
          .map(keyOf),
    },
  ],
  reads: [replicaSets, deployments, replicationControllers, statefulSets],
  create(context) {
    const { informers, clock, events } = context;
    const scales = new Scales(context);
    return {
      background: (signal) => every(clock, STALE_SCAN_MS, signal, () => clearStale(context, signal)),
      async reconcile(key, signal, client) {
        const budget = informers.of(podDisruptionBudgets).get(key);
        if (budget === undefined || budget.metadata.deletionTimestamp !== undefined) return done;
        const selector = selectorOf(budget.spec.selector);
        const selected = informers
          .of(pods)
          .list(budget.metadata.namespace)
          .filter(({ metadata }) => selector.matches(metadata.labels));
        if (selected.length === 0) events.event(budget, "Normal", "NoPods", "No matching pods found");
        const now = formatTime(clock.now());
        const { kept, overdue, recheckMs } = disruptedOf(budget, selected, clock.now());
        for (const pod of overdue) {
          const { namespace } = budget.metadata;
          events.event(
            pod,
            "Warning",
            "NotDeleted",
            `Pod was expected by PDB ${namespace}/${namespace} to be deleted but it wasn't`,
          );
        }
        let status: PodDisruptionBudget["status"];
        let failure: unknown;
        try {
          const { total, unmanaged } = needsScale(budget)
            ? await scales.total(client, selected, signal)
            : { total: 0, unmanaged: [] };
          if (unmanaged.length > 0)
            events.event(budget, "Warning", "UnmanagedPods", unmanagedWords(selector.toString()));
          status = statusOf(budget, selected, kept, expectationOf(budget, selected.length, total), now);
        } catch (error) {
          if (signal.aborted) throw error;
          failure = error;
          const words = `Failed to calculate the number of expected pods: ${messageOf(error)}`;
          events.event(budget, "Warning", "CalculateExpectedPodCountFailed", words);
          status = failSafe(budget, messageOf(error), now);
        }
        if (!sameStatus(status, budget.status))
          await client.updateStatus(podDisruptionBudgets, { ...budget, status }, { signal });
        if (failure !== undefined) throw failure;
        return recheckMs === undefined ? done : again(recheckMs);
      },
    };
  },
});

function unmanagedWords(selector: string): string {
  return (
    `Pods selected by this PodDisruptionBudget (selector: ${selector}) were found to be unmanaged. As a result, the status of the PDB cannot be ` +
    `calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB ` +
    `to an integer value.`
  );
}

/** How many pods their controllers want, each controller counted once. */
class Scales {
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  async total(
    client: Client,
    selected: readonly Pod[],
    signal: AbortSignal,
  ): Promise<{ readonly total: number; readonly unmanaged: readonly Pod[] }> {
    const sizes = new Map<string, number>();
    const unmanaged: Pod[] = [];
    for (const pod of selected) {
      const owner = controllerOf(pod);
      if (owner === undefined) {
        unmanaged.push(pod);
        continue;
      }
      if (sizes.has(owner.uid)) continue;
      const found = await this.#scaleOf(client, pod.metadata.namespace ?? "", owner, signal);
      if (found === undefined) throw new Error(`found no controllers for pod ${JSON.stringify(pod.metadata.name)}`);
      sizes.set(owner.uid, 0);
      sizes.set(found.uid, found.replicas);
    }
    return { total: [...sizes.values()].reduce((sum, size) => sum + size, 0), unmanaged };
  }

  async #scaleOf(
    client: Client,
    namespace: string,
    owner: OwnerReference,
    signal: AbortSignal,
  ): Promise<{ readonly uid: string; readonly replicas: number } | undefined> {
    const { informers } = this.#context;
    const key = `${namespace}/${owner.name}`;
    const sized = (object: (KubeObject & { readonly spec?: { readonly replicas?: number } }) | undefined) =>
      object?.metadata.uid === owner.uid ? { uid: owner.uid, replicas: object.spec?.replicas ?? 1 } : undefined;
    if (owner.kind === "ReplicationController") return sized(informers.of(replicationControllers).get(key));
    if (owner.kind === "StatefulSet") return sized(informers.of(statefulSets).get(key));
    if (owner.kind === "ReplicaSet") {
      const set = informers.of(replicaSets).get(key);
      if (set?.metadata.uid !== owner.uid) return undefined;
      const parent = controllerOf(set);
      if (parent?.kind !== "Deployment") return sized(set);
      const deployment = informers.of(deployments).get(`${namespace}/${parent.name}`);
      return deployment?.metadata.uid === parent.uid
        ? { uid: parent.uid, replicas: deployment.spec.replicas ?? 1 }
        : undefined;
    }
    return await this.#customScale(client, namespace, owner, signal);
  }

  /** Any other kind that can be scaled. */
  async #customScale(
    client: Client,
    namespace: string,
    { apiVersion, kind, name, uid }: OwnerReference,
    signal: AbortSignal,
  ) {
    const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
    const { resources } = await discover(client, signal);
    const resource: DiscoveredResource | undefined = resources.find(
      (each) => each.group === group && each.kind === kind,
    );
    if (resource === undefined || !resource.subresources.includes("scale")) return undefined;
    try {
      const path = pathOf(resource, { namespace, name, subresource: "scale" });
      const scale = (await client.transport.send({ method: "GET", path, signal })) as KubeObject & {
        readonly spec?: { readonly replicas?: number };
      };
      return scale.metadata.uid === uid ? { uid, replicas: scale.spec?.replicas ?? 0 } : undefined;
    } catch (error) {
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    }
  }
}

/** A pod that was to be disrupted and still runs after a while is not to be disrupted any more. */
async function clearStale({ informers, client, clock, log }: ControllerContext, signal: AbortSignal): Promise<void> {
  const now = clock.now();
  for (const pod of informers.of(pods).list()) {
    const target = conditionOf(pod.status, "DisruptionTarget");
    if (target?.status !== "True" || target.reason === "TerminationByKubelet" || isDeleting(pod) || isFinished(pod))
      continue;
    if (now - Date.parse(target.lastTransitionTime ?? "") < STALE_MS) continue;
    const { namespace = "", name, uid } = pod.metadata;
    const conditions = [{ type: "DisruptionTarget", status: "False", lastTransitionTime: formatTime(now) }];
    try {
      await client.patch(
        pods,
        { namespace, name },
        "application/strategic-merge-patch+json",
        { metadata: { uid }, status: { conditions } },
        { subresource: "status", signal },
      );
    } catch (error) {
      if (!signal.aborted && !hasReason(error, "NotFound", "Conflict"))
        log.error("Failed to clear a stale disruption", error);
    }
  }
}
