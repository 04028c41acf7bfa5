/**
 * Prevents privilege escalation through RBAC objects: whoever writes a role must already have its permissions or the verb `escalate`, and whoever
 * binds one must have them or the verb `bind`.
 * Upstream: pkg/registry/rbac/{clusterrole,clusterrolebinding,role,rolebinding}/policybased, component-helpers/auth/rbac/validation.
 */
import { isDeepStrictEqual } from "node:util";
import type { Resource } from "../../machinery/resource.ts";
import { forbidden, notFound } from "../../machinery/status.ts";
import type { Services, WriteContext } from "../registry/context.ts";
import { isAllowed, resourceAttributes } from "./authorizer.ts";
import type { PolicyRule } from "./rbac.ts";
import { roleOf, visitRules } from "./rbac.ts";

const GROUP = "rbac.authorization.k8s.io";
const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/** Throws a 403 if `draft` would grant permissions that its writer does not have. */
export async function checkEscalation(
  services: Services,
  context: WriteContext,
  resource: Resource,
  draft: any,
  old: any,
): Promise<void> {
  const { user } = context;
  if (context.internal === true || user.groups.includes("system:masters")) return;
  if (resource.plural.endsWith("bindings")) await checkBinding(services, context, resource, draft, old);
  else await checkRole(services, context, resource, draft, old);
}

async function checkRole(
  services: Services,
  context: WriteContext,
  resource: Resource,
  draft: any,
  old: any,
): Promise<void> {
  const sameRules = old !== undefined && isDeepStrictEqual(draft.rules ?? [], old.rules ?? []);
  if (sameRules && isDeepStrictEqual(draft.aggregationRule, old.aggregationRule)) return;
  const { name = "", namespace = "" } = draft.metadata;
  if (await may(services, context, "escalate", resource, namespace, name)) return;
  confirm(services, context, resource, name, namespace, draft.rules ?? []);
  const aggregates = draft.aggregationRule !== undefined || old?.aggregationRule !== undefined;
  if (aggregates && missingFrom(heldBy(services, context, "").rules, EVERYTHING).length > 0)
    throw forbidden(resource, name, "must have cluster-admin privileges to use the aggregationRule");
}

async function checkBinding(
  services: Services,
  context: WriteContext,
  resource: Resource,
  draft: any,
  old: any,
): Promise<void> {
  if (
    old !== undefined &&
    isDeepStrictEqual(draft.roleRef, old.roleRef) &&
    isDeepStrictEqual(draft.subjects, old.subjects)
  )
    return;
  const { name = "", namespace = "" } = draft.metadata;
  const { kind, name: roleName } = draft.roleRef ?? {};
  const plural = kind === "ClusterRole" ? "clusterroles" : "roles";
  if (await may(services, context, "bind", { group: GROUP, version: "v1", plural }, namespace, roleName)) return;
  const role = roleOf(services.cluster, { kind, name: roleName }, namespace);
  // What isn't there is the role; upstream's answer names the kind that was to be written.
  if (role === undefined) throw notFound(resource, roleName);
  confirm(services, context, resource, name, namespace, role.rules ?? []);
}

function may(
  { authorizer }: Services,
  { user }: WriteContext,
  verb: string,
  { group, version, plural }: { readonly group: string; readonly version: string; readonly plural: string },
  namespace: string,
  name: string,
): Promise<boolean> {
  return isAllowed(authorizer, resourceAttributes({ user, verb, group, version, resource: plural, namespace, name }));
}

function heldBy({ cluster }: Services, { user }: WriteContext, namespace: string) {
  const rules: PolicyRule[] = [];
  const errors: string[] = [];
  visitRules(cluster, user, namespace, (rule, _because, error) => {
    if (rule !== undefined) rules.push(rule);
    if (error !== undefined) errors.push(error);
    return true;
  });
  return { rules, errors };
}

function confirm(
  services: Services,
  context: WriteContext,
  resource: Resource,
  name: string,
  namespace: string,
  wanted: readonly PolicyRule[],
): void {
  const held = heldBy(services, context, namespace);
  const missing = missingFrom(held.rules, wanted);
  if (missing.length === 0) return;
  const { user } = context;
  const unresolved = held.errors.length === 0 ? "" : `; resolution errors: [${held.errors.join(" ")}]`;
  const lines = [...new Set(compact(missing).map(show))].sort().join("\n");
  throw forbidden(
    resource,
    name,
    `user ${JSON.stringify(user.name)} (groups=${list(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${lines}${unresolved}`,
  );
}

/** The single permissions in `wanted` that none of `held` covers. */
export function missingFrom(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): readonly PolicyRule[] {
  return wanted.flatMap(breakDown).filter((one) => !held.some((rule) => covers(rule, one)));
}

function breakDown(rule: PolicyRule): readonly PolicyRule[] {
  const names = rule.resourceNames ?? [];
  return rule.verbs.flatMap((verb) => [
    ...(rule.nonResourceURLs ?? []).map((url): PolicyRule => ({ verbs: [verb], nonResourceURLs: [url] })),
    ...(rule.apiGroups ?? []).flatMap((group) =>
      (rule.resources ?? []).flatMap((resource): PolicyRule[] => {
        const one = { verbs: [verb], apiGroups: [group], resources: [resource] };
        return names.length === 0 ? [one] : names.map((name) => ({ ...one, resourceNames: [name] }));
      }),
    ),
  ]);
}

function covers(held: PolicyRule, one: PolicyRule): boolean {
  const has = (list: readonly string[] | undefined, value: string) =>
    list?.includes("*") === true || list?.includes(value) === true;
  if (!has(held.verbs, one.verbs[0]!)) return false;
  const url = one.nonResourceURLs?.[0];
  if (url !== undefined)
    return (held.nonResourceURLs ?? []).some(
      (known) => known === url || known === "*" || (known.endsWith("*") && url.startsWith(known.slice(0, -1))),
    );
  if (!has(held.apiGroups, one.apiGroups![0]!)) return false;
  const resource = one.resources![0]!;
  const subresource = resource.includes("/") ? `*/${resource.split("/")[1]}` : undefined;
  if (!has(held.resources, resource) && !(subresource !== undefined && held.resources?.includes(subresource) === true))
    return false;
  const names = held.resourceNames ?? [];
  const name = one.resourceNames?.[0];
  return names.length === 0 || (name !== undefined && names.includes(name));
}

/** Permissions on resources that differ in the verb alone, as one rule. */
function compact(rules: readonly PolicyRule[]): readonly PolicyRule[] {
  const byRest = new Map<string, PolicyRule>();
  for (const { verbs, ...rest } of rules) {
    const key = JSON.stringify(rest.nonResourceURLs === undefined ? rest : { verbs, ...rest });
    const known = byRest.get(key);
    byRest.set(key, { ...rest, verbs: known === undefined ? verbs : [...known.verbs, ...verbs] });
  }
  return [...byRest.values()];
}

const list = (values: readonly string[]): string => `[${values.map((value) => JSON.stringify(value)).join(" ")}]`;

function show({ apiGroups, resources, resourceNames, nonResourceURLs, verbs }: PolicyRule): string {
  const parts = [
    ...(nonResourceURLs ? [`NonResourceURLs:${list(nonResourceURLs)}`] : []),
    ...(apiGroups ? [`APIGroups:${list(apiGroups)}`] : []),
    ...(resources ? [`Resources:${list(resources)}`] : []),
    ...(resourceNames ? [`ResourceNames:${list(resourceNames)}`] : []),
    `Verbs:${list(verbs)}`,
  ];
  return `{${parts.join(", ")}}`;
}
