/**
 * Charges what an object uses to the quotas of its namespace, or refuses it. It runs last, so that nothing is charged that another plugin refuses; the
 * controller corrects what a failed write left charged. Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota.
 */
import { amountsOf, inScope, sum, type Usage, usageOf } from "../../../api/core/v1/resourcequota/usage.ts";
import { compareQuantities, formatQuantity, subtractQuantities } from "../../../machinery/meta/quantity.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

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
    const now = context.clock.now();
    const used = usageOf(resource, request.object, now);
    const delta = operation === "UPDATE" ? growth(usageOf(resource, request.oldObject, now), used) : used;
    for (const quota of quotas) await charge(request, context, quota, delta);
  },
});

/** What `after` uses more than `before`. */
function growth(before: Usage, after: Usage): Usage {
  return Object.fromEntries(
    Object.entries(after)
      .map(
        ([name, amount]) =>
          [name, before[name] === undefined ? amount : subtractQuantities(amount, before[name])] as const,
      )
      .filter(([, amount]) => amount.nano > 0n),
  );
}

async function charge(
  request: AdmissionRequest,
  { cluster }: AdmissionContext,
  quota: AnyObject,
  delta: Usage,
): Promise<void> {
  const isPod = request.resource.group === "" && request.resource.plural === "pods";
  if (!inScope(quota, isPod ? request.object : undefined)) return;
  const { name, namespace } = quota.metadata;
  if (isPod && request.operation === "CREATE") checkStated(request, quota);
  const mine = Object.keys(quota.spec.hard ?? {}).filter((resource) => delta[resource] !== undefined);
  if (mine.length === 0) return;
  const change = (current: AnyObject) => {
    const hard = amountsOf(current.status?.hard);
    const used = amountsOf(current.status?.used);
    const unknown = mine.filter((resource) => hard[resource] === undefined || used[resource] === undefined);
    if (unknown.length > 0)
      throw refuse(request, `status unknown for quota: ${name}, resources: ${unknown.sort().join(",")}`);
    const asked = Object.fromEntries(mine.map((resource) => [resource, delta[resource]!]));
    const after = sum([used, asked]);
    const exceeded = mine.filter((resource) => compareQuantities(after[resource]!, hard[resource]!) > 0).sort();
    if (exceeded.length > 0) {
      const show = (usage: Usage) =>
        exceeded.map((resource) => `${resource}=${formatQuantity(usage[resource]!)}`).join(",");
      throw refuse(
        request,
        `exceeded quota: ${name}, requested: ${show(asked)}, used: ${show(used)}, limited: ${show(hard)}`,
      );
    }
    const written = Object.fromEntries(
      Object.entries(after).map(([resource, amount]) => [resource, formatQuantity(amount)]),
    );
    return { ...current, status: { ...current.status, used: written } };
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
