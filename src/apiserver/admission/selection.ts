/**
 * Whether a request is one that a webhook or a policy is about: its rules, and the labels of the object and of its namespace.
 *
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
  if (rules.some((rule) => ruleMatches(rule, request, "Exact"))) return request.resource;
  if (match.matchPolicy === "Exact") return undefined;
  const others = equivalents(request.resource);
  if (others.length === 0) return undefined;
  for (const rule of rules) {
    const found = others.find((resource) => ruleMatches(rule, { ...request, resource }, "Exact"));
    if (found !== undefined) return found;
  }
  return undefined;
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

function objectSelected(match: AnyObject, { object, oldObject }: AdmissionRequest): boolean {
  const selector = selectorOf(match.objectSelector ?? {});
  if (selector.isEmpty) return true;
  return [object, oldObject].some((one) => one?.metadata !== undefined && selector.matches(one.metadata.labels));
}

export function ruleMatches(rule: AnyObject, request: AdmissionRequest, matchPolicy: string | undefined): boolean {
  const has = (list: readonly string[] | undefined, value: string) =>
    list?.includes("*") === true || list?.includes(value) === true;
  if (!has(rule.operations, request.operation)) return false;
  const { group, version, plural, scope } = request.resource;
  if (!has(rule.apiGroups, group)) return false;
  // Another version of the same resource counts too, unless the rule's owner is exact about it.
  if (!has(rule.apiVersions, version) && matchPolicy === "Exact") return false;
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
