/**
 * Whether a webhook or a policy applies to a request: by its rules, and by the labels of the object and of its namespace.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/predicates, pkg/admission/plugin/policy/matching
 */
import { selectorOf } from "../../machinery/selector/labels.ts";
import type { ResourceName } from "../../machinery/resource.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject, ClusterView } from "./framework.ts";

/**
 * As whose request one is asked of a webhook: its own resource, or an equivalent one that a rule names, unless the webhook's owner is exact about it.
 * Undefined where it isn't asked. `match` has the selectors and the `matchPolicy`.
 */
export function askedAs(
  match: AnyObject,
  rules: readonly AnyObject[],
  request: AdmissionRequest,
  { cluster, equivalents }: Pick<AdmissionContext, "cluster" | "equivalents">,
): ResourceName | undefined {
  if (!labelsMatch(match, request, cluster)) return undefined;
  return meantBy(rules, match.matchPolicy, request, () => equivalents(request.resource));
}

/** As which resource rules are about a request; undefined where they aren't. A rule may name the objects that it is about. */
export function meantBy(
  rules: readonly AnyObject[],
  matchPolicy: string | undefined,
  request: AdmissionRequest,
  equivalents: () => readonly ResourceName[],
): ResourceName | undefined {
  const means = (rule: AnyObject, resource: ResourceName): boolean =>
    ruleMatches(rule, resource === request.resource ? request : { ...request, resource }) &&
    ((rule.resourceNames ?? []).length === 0 || rule.resourceNames.includes(request.name));
  if (rules.some((rule) => means(rule, request.resource))) return request.resource;
  if (matchPolicy === "Exact" || rules.length === 0) return undefined;
  const others = equivalents();
  if (others.length === 0) return undefined;
  for (const rule of rules) {
    const found = others.find((resource) => means(rule, resource));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The request as one for an equivalent resource, with its objects in that version. */
export async function seenAs(
  resource: ResourceName,
  request: AdmissionRequest,
  { carryOver }: Pick<AdmissionContext, "carryOver">,
): Promise<AdmissionRequest> {
  if (resource === request.resource) return request;
  const { kind } = request.resource;
  // A scale, say, is the same in all versions of what is scaled.
  const convert = async (object: AnyObject) =>
    object === undefined || (object.kind ?? kind) !== kind
      ? object
      : structuredClone(await carryOver(object, request.resource, resource));
  const [object, oldObject] = [await convert(request.object), await convert(request.oldObject)];
  return { ...request, resource, original: request.resource, object, oldObject };
}

export function labelsMatch(match: AnyObject, request: AdmissionRequest, cluster: ClusterView): boolean {
  if (!objectSelected(match, request)) return false;
  const isNamespace = request.resource.group === "" && request.resource.plural === "namespaces";
  if (request.namespace === "" && !isNamespace) return true;
  const selector = selectorOf(match.namespaceSelector ?? {});
  if (selector.isEmpty) return true;
  const namespace = isNamespace
    ? (request.object ?? request.oldObject)
    : cluster.get("namespaces", "", request.namespace);
  return selector.matches(namespace?.metadata.labels);
}

/** The namespace that a request is made in, as policies see it; undefined for a request about no namespace or about namespaces themselves. */
export function namespaceOf({ namespace, resource }: AdmissionRequest, cluster: ClusterView): AnyObject | undefined {
  return namespace === "" || resource.plural === "namespaces" ? undefined : cluster.get("namespaces", "", namespace);
}

function objectSelected(match: AnyObject, { object, oldObject }: AdmissionRequest): boolean {
  const selector = selectorOf(match.objectSelector ?? {});
  if (selector.isEmpty) return true;
  return [object, oldObject].some((one) => one?.metadata !== undefined && selector.matches(one.metadata.labels));
}

function ruleMatches(rule: AnyObject, request: Omit<AdmissionRequest, "object" | "oldObject">): boolean {
  const has = (list: readonly string[] | undefined, value: string) =>
    list?.includes("*") === true || list?.includes(value) === true;
  if (!has(rule.operations, request.operation)) return false;
  const { group, version, plural, scope } = request.resource;
  if (!has(rule.apiGroups, group)) return false;
  if (!has(rule.apiVersions, version)) return false;
  const wanted = request.subresource === "" ? plural : `${plural}/${request.subresource}`;
  const named = (rule.resources ?? []).some((one: string) => {
    const [resource, subresource] = one.split("/") as [string, string | undefined];
    if (one === "*/*" || one === wanted) return true;
    if (subresource === undefined) return request.subresource === "" && resource === "*";
    return (
      request.subresource !== "" &&
      (resource === "*" || resource === plural) &&
      (subresource === "*" || subresource === request.subresource)
    );
  });
  if (!named) return false;
  return (
    rule.scope === undefined || rule.scope === "*" || rule.scope === (scope === "Cluster" ? "Cluster" : "Namespaced")
  );
}
