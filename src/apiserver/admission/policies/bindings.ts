/**
 * Which policies apply to a request: those whose constraints it matches and which a binding selects, each with the parameters that the binding
 * refers to.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/generic, pkg/admission/plugin/policy/matching
 */
import { selectorOf } from "../../../machinery/selector/labels.ts";
import type { Resource, ResourceName } from "../../../machinery/resource.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { labelsMatch, meantBy } from "../selection.ts";

const GROUP = "admissionregistration.k8s.io";
/** Policies don't decide about policies: one could lock itself in. */
const EXEMPT: ReadonlySet<string> = new Set([
  "validatingadmissionpolicies",
  "validatingadmissionpolicybindings",
  "mutatingadmissionpolicies",
  "mutatingadmissionpolicybindings",
]);

export interface Invocation {
  readonly policy: AnyObject;
  readonly binding: AnyObject;
  /** Null where the policy takes none, or the binding gives none. */
  readonly params: AnyObject | null;
  /** What the policy's rules name: the request's resource, or one in another version of the same objects. */
  readonly resource: ResourceName;
}

/** A policy or a binding that is not what it should be. */
export interface Misconfigured {
  readonly policy: AnyObject;
  readonly binding: AnyObject | undefined;
  readonly message: string;
}

/** What decides which policies apply. */
export const readsOf = (kind: "validating" | "mutating"): readonly string[] => [
  `${kind}admissionpolicies.${GROUP}`,
  `${kind}admissionpolicybindings.${GROUP}`,
  "namespaces",
];

/** In the order of the policies' names, then of the bindings'. */
export async function invocationsFor(
  request: AdmissionRequest,
  context: AdmissionContext,
  kind: "validating" | "mutating",
): Promise<{ readonly invocations: readonly Invocation[]; readonly misconfigured: readonly Misconfigured[] }> {
  const invocations: Invocation[] = [];
  const misconfigured: Misconfigured[] = [];
  if (request.resource.group === GROUP && EXEMPT.has(request.resource.plural)) return { invocations, misconfigured };
  const { cluster } = context;
  const policies = cluster.list(`${kind}admissionpolicies.${GROUP}`);
  if (policies.length === 0) return { invocations, misconfigured };
  const bindings = cluster.list(`${kind}admissionpolicybindings.${GROUP}`);
  let known: readonly ResourceName[] | undefined;
  const equivalents = () => (known ??= context.equivalents(request.resource));
  for (const policy of policies) {
    const own = bindings.filter(({ spec }) => spec.policyName === policy.metadata.name);
    if (own.length === 0) continue;
    const seenResource = matchedAs(policy.spec.matchConstraints, request, context, equivalents);
    if (seenResource === undefined) continue;
    const { paramKind } = policy.spec;
    const resource = paramKind === undefined ? undefined : resourceOf(paramKind, context);
    if (paramKind !== undefined && resource === undefined) {
      const message = `failed to configure policy: failed to find resource referenced by paramKind: '${gvkText(paramKind)}'`;
      misconfigured.push({ policy, binding: undefined, message });
      continue;
    }
    for (const binding of own) {
      const { matchResources } = binding.spec;
      if (matchResources !== undefined && !matchedAs(matchResources, request, context, equivalents, true)) continue;
      const params = await paramsOf(paramKind, resource, binding.spec.paramRef, request.namespace, context);
      if (typeof params === "string")
        misconfigured.push({ policy, binding, message: `failed to configure binding: ${params}` });
      else for (const one of params) invocations.push({ policy, binding, params: one, resource: seenResource });
    }
  }
  return { invocations, misconfigured };
}

/** As which resource a policy or a binding is about the request. `rulesOptional`: a binding without rules is about all that its policy is about. */
function matchedAs(
  match: AnyObject,
  request: AdmissionRequest,
  { cluster }: AdmissionContext,
  equivalents: () => readonly ResourceName[],
  rulesOptional = false,
): ResourceName | undefined {
  if (match === undefined) return undefined;
  const meant = (rules: readonly AnyObject[]) => meantBy(rules, match.matchPolicy, request, equivalents);
  if (meant(match.excludeResourceRules ?? []) !== undefined) return undefined;
  const rules: readonly AnyObject[] = match.resourceRules ?? [];
  const found = rulesOptional && rules.length === 0 ? request.resource : meant(rules);
  return found !== undefined && labelsMatch(match, request, cluster) ? found : undefined;
}

function resourceOf({ apiVersion = "", kind = "" }: AnyObject, context: AdmissionContext): Resource | undefined {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  return context.findKind(group, version, kind);
}

function gvkText({ apiVersion = "", kind = "" }: AnyObject): string {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  return `${group}/${version}, Kind=${kind}`;
}

/** The objects to evaluate with, one after the other; or why it can't be told which. */
async function paramsOf(
  paramKind: AnyObject,
  resource: Resource | undefined,
  reference: AnyObject,
  requestNamespace: string,
  { cluster }: AdmissionContext,
): Promise<readonly (AnyObject | null)[] | string> {
  if (paramKind === undefined || resource === undefined || reference === undefined) return [null];
  let namespace = "";
  if (resource.scope === "Namespaced") {
    namespace = reference.namespace || requestNamespace;
    if (namespace === "")
      return "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
  } else if (reference.namespace) return "paramRef.namespace must not be provided for a cluster-scoped `paramKind`";
  let found: readonly AnyObject[];
  if (reference.name) {
    if (reference.selector !== undefined) return "paramRef.name and paramRef.selector are mutually exclusive";
    found = await cluster.inVersion(resource, namespace, reference.name);
  } else if (reference.selector !== undefined) {
    const selector = selectorOf(reference.selector);
    const all = await cluster.inVersion(resource, namespace);
    found = all.filter(({ metadata }) => selector.matches(metadata.labels));
  } else return "one of name or selector must be provided";
  if (found.length === 0 && reference.parameterNotFoundAction === "Deny")
    return "no params found for policy binding with `Deny` parameterNotFoundAction";
  return found;
}
