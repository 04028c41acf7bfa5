/**
 * Charges what an object uses to the quotas of its namespace, or refuses it. It runs last, so that nothing is charged that another plugin refuses; the
 * controller corrects what a failed write left charged. Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota.
 */
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";
import type { Amounts } from "./usage.ts";
import { addUp, compare, inScope, numberOf, subtract, usageOf } from "./usage.ts";

export const resourceQuota = defineAdmission({
  name: "ResourceQuota",
  onByDefault: true,
  handles: { operations: ["CREATE", "UPDATE"] },
  async validate(request, context) {
    const { namespace, subresource, resource, operation } = request;
    if (namespace === "" || (subresource !== "" && subresource !== "resize")) return;
    const quotas = context.cluster.list("resourcequotas", namespace);
    if (quotas.length === 0) return;
    // Most updates change nothing that is counted.
    if (operation === "UPDATE" && resource.group !== "") return;
    const used = usageOf(resource, request.object);
    const delta = operation === "UPDATE" ? positive(subtract(used, usageOf(resource, request.oldObject))) : used;
    for (const quota of quotas) await charge(request, context, quota, delta);
  },
});

function positive(amounts: Amounts): Amounts {
  return Object.fromEntries(Object.entries(amounts).filter(([, text]) => numberOf(text) > 0));
}

async function charge(
  request: AdmissionRequest,
  { cluster }: AdmissionContext,
  quota: AnyObject,
  delta: Amounts,
): Promise<void> {
  const isPod = request.resource.group === "" && request.resource.plural === "pods";
  if (!inScope(quota, isPod, request.object)) return;
  const { name, namespace } = quota.metadata;
  if (isPod && request.operation === "CREATE") checkStated(request, quota);
  const mine = Object.keys(quota.spec.hard ?? {}).filter((resource) => delta[resource] !== undefined);
  if (mine.length === 0) return;
  const change = (current: AnyObject) => {
    const hard: Amounts = current.status?.hard ?? {};
    const used: Amounts = current.status?.used ?? {};
    const unknown = mine.filter((resource) => hard[resource] === undefined || used[resource] === undefined);
    if (unknown.length > 0)
      throw refuse(request, `status unknown for quota: ${name}, resources: ${unknown.sort().join(",")}`);
    const asked = Object.fromEntries(mine.map((resource) => [resource, delta[resource]!]));
    const after = addUp([used, asked]);
    const exceeded = mine.filter((resource) => compare(after[resource]!, hard[resource]!) > 0).sort();
    if (exceeded.length > 0) {
      const show = (amounts: Amounts) => exceeded.map((resource) => `${resource}=${amounts[resource]}`).join(",");
      throw refuse(
        request,
        `exceeded quota: ${name}, requested: ${show(asked)}, used: ${show(used)}, limited: ${show(hard)}`,
      );
    }
    return { ...current, status: { ...current.status, used: after } };
  };
  if (request.dryRun) change(quota);
  else await cluster.update("resourcequotas", namespace, name, change);
}

/** A quota on an amount makes every container state it. */
function checkStated(request: AdmissionRequest, quota: AnyObject): void {
  const wanted = Object.keys(quota.spec.hard ?? {}).flatMap((resource) => {
    if (resource === "cpu" || resource === "memory") return [["requests", resource, resource]];
    const match = /^(requests|limits)\.(cpu|memory)$/.exec(resource);
    return match === null ? [] : [[match[1]!, match[2]!, resource]];
  }) as [string, string, string][];
  const missing = new Map<string, string[]>();
  for (const container of [...(request.object.spec.initContainers ?? []), ...request.object.spec.containers])
    for (const [field, name, resource] of wanted)
      if (container.resources?.[field]?.[name] === undefined)
        missing.set(resource, [...(missing.get(resource) ?? []), container.name]);
  if (missing.size === 0) return;
  const words = [...missing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([resource, names]) => `${resource} for: ${names.sort().join(",")}`)
    .join("; ");
  throw refuse(request, `failed quota: ${quota.metadata.name}: must specify ${words}`);
}
