/**
 * Charges what an object uses to the quotas of its namespace, or rejects it. It runs last, so that nothing is charged that another plugin rejects;
 * the quota controller corrects what a failed write leaves charged.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota.
 */
import {
  amountsOf,
  inScope,
  meetsScope,
  type Scope,
  sum,
  type Usage,
  usageOf,
} from "../../../api/core/v1/resourcequota/usage.ts";
import { compareQuantities, formatQuantity, subtractQuantities } from "../../../machinery/meta/quantity.ts";
import { required } from "../../../machinery/validation/field-error.ts";
import { listErrors } from "../configuration.ts";
import type { AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse, unclassified } from "../framework.ts";

/** What nobody gets without a quota that covers it. */
interface Limited {
  readonly apiGroup?: string;
  readonly resource: string;
  readonly matchContains?: readonly string[];
  readonly matchScopes?: readonly Scope[];
}

export const resourceQuota = defineAdmission({
  name: "ResourceQuota",
  onByDefault: true,
  reads: ["resourcequotas"],
  handles: { operations: ["CREATE", "UPDATE"] },
  configure({ configuration }) {
    const limited = readLimited(configuration);
    return {
      async validate(request, context) {
        const { namespace, subresource, resource, operation } = request;
        if (namespace === "" || !counts(resource, subresource)) return;
        const quotas = context.cluster.list("resourcequotas", namespace);
        if (quotas.length === 0 && limited.length === 0) return;
        // Most updates change nothing that is counted.
        if (operation === "UPDATE" && resource.group !== "") return;
        const now = context.clock.now();
        const used = usageOf(resource, request.object, now);
        const grown =
          operation === "UPDATE" ? growth(usageOf(resource, request.oldObject, now), used) : growth({}, used);
        const matching = quotas.filter((quota) => inScope(quota, resource, request.object));
        // A quota that an update brings the object into is charged with all of it.
        const deltaOf = (quota: AnyObject) =>
          operation === "UPDATE" && !inScope(quota, resource, request.oldObject) ? growth({}, used) : grown;
        const charges = matching.flatMap((quota) => {
          const change = chargeOf(request, quota, deltaOf(quota));
          // Nothing is charged where another quota refuses.
          change?.(quota);
          return change === undefined ? [] : [{ quota, change }];
        });
        const deltas = matching.length === 0 ? [grown] : matching.map(deltaOf);
        if (deltas.some((delta) => Object.keys(delta).length > 0)) checkCovered(request, limited, quotas, used);
        if (request.dryRun) return;
        for (const { quota, change } of charges)
          await context.cluster.update("resourcequotas", namespace, quota.metadata.name, change, "status");
      },
    };
  },
});

/** Whether a write of this part of an object can change what is counted. */
function counts({ group, plural }: AdmissionRequest["resource"], subresource: string): boolean {
  return (
    subresource === "" ||
    subresource === "resize" ||
    (subresource === "status" && group === "" && plural === "persistentvolumeclaims")
  );
}

function readLimited(configuration: AnyObject): readonly Limited[] {
  const limited: readonly Limited[] = configuration?.limitedResources ?? [];
  const errors = limited.flatMap(({ resource }, i) =>
    (resource ?? "") === "" ? [required(`limitedResources[${i}].resource`)] : [],
  );
  if (errors.length > 0) throw new Error(listErrors(errors.map(({ field, message }) => `${field}: ${message}`)));
  return limited;
}

/** Refuses what is limited to those who have a quota for it, where there is none. */
function checkCovered(
  request: AdmissionRequest,
  limited: readonly Limited[],
  quotas: readonly AnyObject[],
  used: Usage,
): void {
  if (limited.length === 0) return;
  const { resource, object } = request;
  const { group, plural } = resource;
  const mine = limited.filter((one) => (one.apiGroup ?? "") === group && one.resource === plural);
  const patterns = mine.flatMap(({ matchContains = [] }) => matchContains);
  const covered = new Set(
    quotas
      .filter((quota) => inScope(quota, resource, object))
      .flatMap((quota) => Object.keys(quota.status?.hard ?? {})),
  );
  const bare = Object.keys(used)
    .filter((name) => used[name]!.nano > 0n && patterns.some((pattern) => name.includes(pattern)) && !covered.has(name))
    .sort();
  if (bare.length > 0) throw refuse(request, `insufficient quota to consume: ${bare.join(",")}`);
  const matching = (scopes: readonly Scope[]) => scopes.filter((scope) => meetsScope(scope, resource, object));
  const covering = new Set(quotas.flatMap((quota) => matching(scopesOf(quota))).map(({ scopeName }) => scopeName));
  const open = mine
    .flatMap(({ matchScopes = [] }) => matching(matchScopes))
    .filter(({ scopeName }) => !covering.has(scopeName));
  if (open.length > 0)
    throw unclassified(
      `insufficient quota to match these scopes: [${open.map(({ scopeName, operator, values = [] }) => `{${scopeName} ${operator} [${values.join(" ")}]}`).join(" ")}]`,
    );
}

function scopesOf({ spec }: AnyObject): readonly Scope[] {
  return [
    ...(spec?.scopes ?? []).map((scopeName: string) => ({ scopeName, operator: "Exists" })),
    ...(spec?.scopeSelector?.matchExpressions ?? []),
  ];
}

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

/** What a quota becomes by this request; undefined where it isn't about it. The change throws where there is too little left. */
function chargeOf(
  request: AdmissionRequest,
  quota: AnyObject,
  delta: Usage,
): ((current: AnyObject) => AnyObject) | undefined {
  const isPod = request.resource.group === "" && request.resource.plural === "pods";
  const { name } = quota.metadata;
  if (isPod && request.operation === "CREATE") checkStated(request, quota);
  // A quota that nobody has counted yet limits nothing.
  const mine = Object.keys(quota.status?.hard ?? {}).filter((resource) => delta[resource] !== undefined);
  if (mine.length === 0) return undefined;
  return (current) => {
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
}

/** A quota on an amount makes every container state it. */
function checkStated(request: AdmissionRequest, quota: AnyObject): void {
  const wanted = Object.keys(quota.status?.hard ?? {}).flatMap((resource) => {
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
