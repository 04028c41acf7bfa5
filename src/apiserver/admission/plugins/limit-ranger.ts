/** Defaults and bounds of a namespace for containers, pods and claims. Upstream: plugin/pkg/admission/limitranger. */
import { podTotal, type Usage } from "../../../api/core/v1/resourcequota/usage.ts";
import { compareQuantities, formatQuantity, parseQuantity } from "../../../machinery/meta/quantity.ts";
import { listErrors } from "../configuration.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

export const limitRanger = defineAdmission({
  name: "LimitRanger",
  onByDefault: true,
  reads: ["limitranges"],
  handles: {
    operations: ["CREATE", "UPDATE"],
    resources: ["pods", "persistentvolumeclaims"],
    subresources: ["resize"],
  },
  admit(request, context) {
    if (request.resource.plural !== "pods" || !counts(request)) return;
    for (const range of rangesOf(request, context)) fillIn(request.object, range.spec?.limits ?? []);
  },
  validate(request, context) {
    if (!counts(request)) return;
    // The first range that is broken answers for all.
    for (const range of rangesOf(request, context)) {
      const errors = ((range.spec?.limits ?? []) as readonly AnyObject[]).flatMap((limit) => check(request, limit));
      if (errors.length > 0) throw refuse(request, listErrors(errors));
    }
  },
});

/** What a pod asks for changes by resizing only; what is going is left alone. */
function counts({ resource, operation, subresource, oldObject }: AdmissionRequest): boolean {
  if (oldObject?.metadata.deletionTimestamp !== undefined) return false;
  if (resource.plural !== "pods") return subresource === "";
  return subresource === "resize" ? operation === "UPDATE" : operation === "CREATE";
}

function rangesOf({ namespace }: AdmissionRequest, { cluster }: AdmissionContext): readonly AnyObject[] {
  return cluster.list("limitranges", namespace);
}

/** Of several limits for containers the last word counts. */
function fillIn(pod: AnyObject, limits: readonly AnyObject[]): void {
  const own = limits.filter(({ type }) => type === "Container");
  const defaults = {
    requests: Object.assign({}, ...own.map(({ defaultRequest }) => defaultRequest)) as Amounts,
    limits: Object.assign({}, ...own.map((limit) => limit.default)) as Amounts,
  };
  const filled: string[] = [];
  for (const [list, words] of [
    ["containers", "container"],
    ["initContainers", "init container"],
  ] as const)
    for (const container of pod.spec[list] ?? [])
      for (const [field, kind] of [
        ["requests", "request"],
        ["limits", "limit"],
      ] as const) {
        const missing = Object.entries(defaults[field]).filter(
          ([name]) => container.resources?.[field]?.[name] === undefined,
        );
        if (missing.length === 0) continue;
        container.resources = {
          ...container.resources,
          [field]: { ...container.resources?.[field], ...Object.fromEntries(missing) },
        };
        const names = missing.map(([name]) => name).sort();
        filled.push(`${names.join(", ")} ${kind} for ${words} ${container.name}`);
      }
  if (filled.length > 0)
    pod.metadata.annotations = {
      ...pod.metadata.annotations,
      "kubernetes.io/limit-ranger": `LimitRanger plugin set: ${filled.join("; ")}`,
    };
}

function check({ resource, object: { spec } }: AdmissionRequest, limit: AnyObject): readonly string[] {
  if (resource.plural === "persistentvolumeclaims")
    return limit.type === "PersistentVolumeClaim" ? checkClaim(limit, spec.resources?.requests ?? {}) : [];
  if (limit.type === "Container")
    return [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ resources }: AnyObject) =>
      checkBounds(limit, resources?.requests ?? {}, resources?.limits ?? {}),
    );
  if (limit.type !== "Pod") return [];
  // The overhead is nobody's wish.
  const { overhead: _, ...own } = spec;
  return checkBounds(limit, textOf(podTotal(own, "requests")), textOf(podTotal(own, "limits")));
}

const textOf = (usage: Usage): Amounts =>
  Object.fromEntries(Object.entries(usage).map(([name, amount]) => [name, formatQuantity(amount)]));

type Amounts = Readonly<Record<string, string>>;

const compare = (a: string, b: string) => compareQuantities(parseQuantity(a)!, parseQuantity(b)!);
const inOrder = (amounts: Amounts | undefined) => Object.entries(amounts ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));

function checkClaim(limit: AnyObject, requests: Amounts): readonly string[] {
  const least = inOrder(limit.min).flatMap(([name, bound]) => tooLittle(limit.type, name, bound, requests, {}));
  const most = inOrder(limit.max).flatMap(([name, bound]) => {
    const request = requests[name];
    const words = `maximum ${name} usage per ${limit.type} is ${bound}`;
    if (request === undefined) return [`${words}.  No request is specified`];
    return compare(request, bound) > 0 ? [`${words}, but request is ${request}`] : [];
  });
  return [...least, ...most];
}

function checkBounds(limit: AnyObject, requests: Amounts, limits: Amounts): readonly string[] {
  return [
    ...inOrder(limit.min).flatMap(([name, bound]) => tooLittle(limit.type, name, bound, requests, limits)),
    ...inOrder(limit.max).flatMap(([name, bound]) => tooMuch(limit.type, name, bound, requests, limits)),
    ...inOrder(limit.maxLimitRequestRatio).flatMap(([name, bound]) =>
      tooWide(limit.type, name, bound, requests, limits),
    ),
  ];
}

type Bound = (type: string, name: string, bound: string, requests: Amounts, limits: Amounts) => readonly string[];

const tooLittle: Bound = (type, name, bound, requests, limits) => {
  const [request, limit] = [requests[name], limits[name]];
  const words = `minimum ${name} usage per ${type} is ${bound}`;
  if (request === undefined) return [`${words}.  No request is specified`];
  if (compare(request, bound) < 0) return [`${words}, but request is ${request}`];
  return limit !== undefined && compare(limit, bound) < 0 ? [`${words}, but limit is ${limit}`] : [];
};

const tooMuch: Bound = (type, name, bound, requests, limits) => {
  const [request, limit] = [requests[name], limits[name]];
  const words = `maximum ${name} usage per ${type} is ${bound}`;
  if (limit === undefined) return [`${words}.  No limit is specified`];
  if (compare(limit, bound) > 0) return [`${words}, but limit is ${limit}`];
  return request !== undefined && compare(request, bound) > 0 ? [`${words}, but request is ${request}`] : [];
};

const tooWide: Bound = (type, name, bound, requests, limits) => {
  const [request, limit] = [numberOf(requests[name]), numberOf(limits[name])];
  const words = `${name} max limit to request ratio per ${type} is ${bound}`;
  if (request === 0) return [`${words}, but no request is specified or request is 0`];
  if (limit === 0) return [`${words}, but no limit is specified or limit is 0`];
  return limit / request > numberOf(bound) ? [`${words}, but provided ratio is ${(limit / request).toFixed(6)}`] : [];
};

function numberOf(text: string | undefined): number {
  return text === undefined ? 0 : Number(parseQuantity(text)?.nano ?? 0n) / 1e9;
}
