/** Defaults and bounds of a namespace for containers, pods and claims. Upstream: plugin/pkg/admission/limitranger. */
import { compareQuantities, parseQuantity } from "../../../machinery/meta/quantity.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";
import { amountsOf, sum } from "../../../api/core/v1/resourcequota/usage.ts";
import { formatQuantity } from "../../../machinery/meta/quantity.ts";

export const limitRanger = defineAdmission({
  name: "LimitRanger",
  onByDefault: true,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods", "persistentvolumeclaims"] },
  admit(request, context) {
    if (request.resource.plural !== "pods" || request.operation !== "CREATE") return;
    for (const limit of limitsOf(request, context)) if (limit.type === "Container") fillIn(request.object, limit);
  },
  validate(request, context) {
    if (request.resource.plural === "pods" && request.operation === "UPDATE") return;
    const errors = limitsOf(request, context).flatMap((limit) => check(request, limit));
    if (errors.length > 0) throw refuse(request, errors.length === 1 ? errors[0]! : `[${errors.join(", ")}]`);
  },
});

function limitsOf({ namespace }: AdmissionRequest, { cluster }: AdmissionContext): readonly AnyObject[] {
  return cluster.list("limitranges", namespace).flatMap((range) => range.spec?.limits ?? []);
}

function fillIn(pod: AnyObject, limit: AnyObject): void {
  const filled: string[] = [];
  for (const list of ["initContainers", "containers"] as const)
    for (const container of pod.spec[list] ?? []) {
      const set: string[] = [];
      container.resources ??= {};
      for (const [kind, words] of [
        ["defaultRequest", "request"],
        ["default", "limit"],
      ] as const) {
        const field = kind === "default" ? "limits" : "requests";
        for (const [name, quantity] of Object.entries(limit[kind] ?? {})) {
          if (container.resources[field]?.[name] !== undefined) continue;
          container.resources[field] = { ...container.resources[field], [name]: quantity };
          set.push(`${name} ${words}`);
        }
      }
      if (set.length > 0)
        filled.push(`${set.join(", ")} for ${list === "containers" ? "" : "init "}container ${container.name}`);
    }
  if (filled.length > 0)
    pod.metadata.annotations = {
      ...pod.metadata.annotations,
      "kubernetes.io/limit-ranger": `LimitRanger plugin set: ${filled.join("; ")}`,
    };
}

function check({ resource, object }: AdmissionRequest, limit: AnyObject): readonly string[] {
  if (resource.plural === "persistentvolumeclaims")
    return limit.type === "PersistentVolumeClaim"
      ? checkBounds(limit, object.spec.resources?.requests ?? {}, object.spec.resources?.limits ?? {}, true)
      : [];
  if (limit.type === "Container")
    return [...(object.spec.initContainers ?? []), ...object.spec.containers].flatMap((container: AnyObject) =>
      checkBounds(limit, container.resources?.requests ?? {}, container.resources?.limits ?? {}),
    );
  if (limit.type !== "Pod") return [];
  return checkBounds(
    limit,
    addUp(object.spec.containers.map((c: AnyObject) => c.resources?.requests ?? {})),
    addUp(object.spec.containers.map((c: AnyObject) => c.resources?.limits ?? {})),
  );
}

type Amounts = Readonly<Record<string, string>>;
const compare = (a: string, b: string) => compareQuantities(parseQuantity(a)!, parseQuantity(b)!);

function checkBounds(limit: AnyObject, requests: Amounts, limits: Amounts, requestsOnly = false): readonly string[] {
  const errors: string[] = [];
  const of = (name: string) => `${name} usage per ${limit.type} is`;
  for (const [name, least] of Object.entries((limit.min ?? {}) as Amounts)) {
    const [request, upper] = [requests[name], limits[name]];
    if (request === undefined) errors.push(`minimum ${of(name)} ${least}.  No request is specified`);
    else if (compare(request, least) < 0) errors.push(`minimum ${of(name)} ${least}, but request is ${request}`);
    if (upper !== undefined && compare(upper, least) < 0)
      errors.push(`minimum ${of(name)} ${least}, but limit is ${upper}`);
  }
  for (const [name, most] of Object.entries((limit.max ?? {}) as Amounts)) {
    const [request, upper] = [requests[name], limits[name]];
    if (requestsOnly) {
      if (request === undefined) errors.push(`maximum ${of(name)} ${most}.  No request is specified`);
      else if (compare(request, most) > 0) errors.push(`maximum ${of(name)} ${most}, but request is ${request}`);
      continue;
    }
    if (upper === undefined) errors.push(`maximum ${of(name)} ${most}.  No limit is specified`);
    else if (compare(upper, most) > 0) errors.push(`maximum ${of(name)} ${most}, but limit is ${upper}`);
    if (request !== undefined && compare(request, most) > 0)
      errors.push(`maximum ${of(name)} ${most}, but request is ${request}`);
  }
  for (const [name, ratio] of Object.entries((limit.maxLimitRequestRatio ?? {}) as Amounts)) {
    const words = `${name} max limit to request ratio per ${limit.type} is ${ratio}`;
    const [request, upper] = [numberOf(requests[name]), numberOf(limits[name])];
    if (!(request > 0)) errors.push(`${words}, but no request is specified or request is 0`);
    if (!(upper > 0)) errors.push(`${words}, but no limit is specified or limit is 0`);
    else if (request > 0 && upper / request > numberOf(ratio))
      errors.push(`${words}, but provided ratio is ${(upper / request).toFixed(6)}`);
  }
  return errors;
}

/** Amounts of several containers together, as text. */
function addUp(all: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(sum(all.map(amountsOf))).map(([name, amount]) => [name, formatQuantity(amount)]),
  );
}

function numberOf(text: string | undefined): number {
  return text === undefined ? 0 : Number(parseQuantity(text)?.nano ?? 0n) / 1e9;
}
