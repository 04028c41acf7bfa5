/** Eviction: a delete that respects the pod's disruption budget. Upstream: pkg/registry/core/pod/storage/eviction.go. */
import { formatTime } from "../../../machinery/meta/time.ts";
import { selectorOf } from "../../../machinery/selector/labels.ts";
import { badRequest, StatusError } from "../../../machinery/status.ts";
import { invalid, invalidObject } from "../../../machinery/validation/field-error.ts";
import { writeContext } from "../../handlers/options.ts";
import type { WriteContext } from "../context.ts";
import { admissionRequest, placeIn } from "../create.ts";
import { object } from "../../request.ts";
import { remove } from "../delete.ts";
import type { DeleteOptions } from "../delete.ts";
import { get } from "../read.ts";
import { UNSAFE } from "../unsafe-delete.ts";
import { update } from "../update.ts";
import { bodyOf, EVICTION, success } from "./body.ts";
import type { SpecialSubresource } from "./index.ts";

const BUDGETS = "poddisruptionbudgets.policy";
export const READ_FOR_EVICTIONS: readonly string[] = [BUDGETS];
const DISRUPTED_MAX = 2000;

export const eviction: SpecialSubresource = {
  verbs: ["create"],
  async handle(services, request, pods, namespace) {
    const context = writeContext(services, request, "CreateOptions");
    const body = await bodyOf(request, context, EVICTION);
    const { name } = request.info;
    if ((body.metadata.name ?? "") !== "" && body.metadata.name !== name)
      throw badRequest("name in URL does not match name in Eviction object");
    if (body.deleteOptions?.[UNSAFE] === true)
      throw invalidObject("policy", "Eviction", name, [
        invalid(`deleteOptions.${UNSAFE}`, true, "can not be set for pod eviction, try after removing the option"),
      ]);
    placeIn(pods, namespace, body);
    const admission = admissionRequest(context, pods, "eviction", "CREATE", namespace, name, body, undefined);
    await services.admission.admit(admission);
    await services.admission.validate(admission);
    const wanted = admission.object;
    const options: DeleteOptions = wanted.deleteOptions ?? {};
    const dryRun = context.dryRun || options.dryRun?.includes("All") === true;
    const pod: any = (await get(services, pods, namespace, name, "")).view(pods);
    let conditioned: DeleteOptions = options;
    if (!ignoresBudget(pod)) {
      const budgets = services.cluster
        .list(BUDGETS, namespace)
        .filter((budget) => selectorOf(budget.spec.selector).matches(pod.metadata.labels));
      if (budgets.length > 1)
        throw new StatusError(
          "Unknown",
          "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
          {},
          { code: 500 },
        );
      const budget = budgets[0];
      if (budget !== undefined && !mayGoUnhealthy(pod, budget))
        await spend({ ...context, dryRun }, namespace, budget, name);
      conditioned = { ...options, preconditions: { uid: pod.metadata.uid, ...options.preconditions } };
    }
    if (!dryRun) await addCondition({ ...context, dryRun }, pods, namespace, name);
    // Whoever admits was asked about the eviction.
    await remove({ ...context, dryRun, internal: true }, pods, namespace, name, conditioned);
    return object(201, success());
  },
};

/** A pod that runs nothing any more, or not yet, disrupts nobody. */
function ignoresBudget({ metadata, status }: any): boolean {
  return ["Succeeded", "Failed", "Pending"].includes(status?.phase) || metadata.deletionTimestamp !== undefined;
}

function mayGoUnhealthy(pod: any, { spec, status }: any): boolean {
  const ready = (pod.status?.conditions ?? []).some((c: any) => c.type === "Ready" && c.status === "True");
  if (ready) return false;
  if (spec.unhealthyPodEvictionPolicy === "AlwaysAllow") return true;
  return status.currentHealthy >= status.desiredHealthy && status.desiredHealthy > 0;
}

/** Takes one of the disruptions that the budget allows; the controller gives it back when the pod is replaced. */
async function spend(context: WriteContext, namespace: string, { metadata }: any, pod: string): Promise<void> {
  const { services } = context;
  const change = (budget: any) => {
    const { status } = budget;
    if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0)) throw stillProcessing(metadata.name);
    if (status.disruptionsAllowed < 0)
      throw new StatusError(
        "Forbidden",
        `poddisruptionbudgets.policy ${JSON.stringify(metadata.name)} is forbidden: pdb disruptions allowed is negative`,
      );
    if (Object.keys(status.disruptedPods ?? {}).length > DISRUPTED_MAX)
      throw new StatusError(
        "Forbidden",
        `poddisruptionbudgets.policy ${JSON.stringify(metadata.name)} is forbidden: DisruptedPods map too big - too many evictions not confirmed by PDB controller`,
      );
    if (status.disruptionsAllowed === 0) throw refused(budget);
    return {
      ...budget,
      status: {
        ...status,
        disruptionsAllowed: status.disruptionsAllowed - 1,
        disruptedPods: { ...status.disruptedPods, [pod]: formatTime(services.clock.now()) },
      },
    };
  };
  if (context.dryRun) change(await services.cluster.live(BUDGETS, namespace, metadata.name));
  else await services.cluster.update(BUDGETS, namespace, metadata.name, change, "status");
}

function refused({ metadata, spec, status }: any): StatusError {
  const name: string = metadata.name;
  const condition = (status.conditions ?? []).find((c: any) => c.type === "DisruptionAllowed" && c.status === "False");
  let message: string;
  if (condition?.reason === "SyncFailed")
    message = `The disruption budget ${name} does not allow evicting pods currently because it failed sync: ${condition.message}`;
  else if (status.currentHealthy <= status.desiredHealthy)
    message = `The disruption budget ${name} needs ${status.desiredHealthy} healthy pods and has ${status.currentHealthy} currently`;
  else if (condition !== undefined && spec !== undefined)
    message = `The disruption budget ${name} does not allow evicting pods currently (${condition.reason}): ${condition.message}`;
  else message = `The disruption budget ${name} does not allow evicting pods currently`;
  return new StatusError("TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ reason: "DisruptionBudget", message }],
  });
}

function stillProcessing(name: string): StatusError {
  return new StatusError("TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [
      { reason: "DisruptionBudget", message: `The disruption budget ${name} is still being processed by the server.` },
    ],
    retryAfterSeconds: 10,
  });
}

async function addCondition(context: WriteContext, pods: any, namespace: string, name: string): Promise<void> {
  await update(context, {
    resource: pods,
    subresource: "eviction",
    namespace,
    name,
    onMissing: "fail",
    behaviour: {},
    skipAdmission: true,
    make: (pod) => ({
      ...pod,
      metadata: { ...pod.metadata },
      status: {
        ...pod.status,
        conditions: [
          ...(pod.status?.conditions ?? []).filter((c: any) => c.type !== "DisruptionTarget"),
          {
            type: "DisruptionTarget",
            status: "True",
            reason: "EvictionByEvictionAPI",
            message: "Eviction API: evicting",
            lastProbeTime: null,
            lastTransitionTime: formatTime(context.services.clock.now()),
          },
        ],
      },
    }),
  });
}
