/**
 * Role-based access control: roles and bindings are read from the watch caches at each decision.
 * Upstream: plugin/pkg/auth/authorizer/rbac, pkg/registry/rbac/validation.
 */
import type { ClusterView } from "../admission/framework.ts";
import type { UserInfo } from "../authn/user.ts";
import { serviceAccountUser } from "../authn/user.ts";
import type { Attributes, Authorizer } from "./authorizer.ts";
import { aggregate } from "./authorizer.ts";

export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

interface Subject {
  readonly kind: string;
  readonly apiGroup?: string;
  readonly name: string;
  readonly namespace?: string;
}

interface Binding {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly subjects?: readonly Subject[] | null;
  readonly roleRef: { readonly apiGroup: string; readonly kind: string; readonly name: string };
}

const GROUP = "rbac.authorization.k8s.io";
export const READ_FOR_ROLES: readonly string[] = ["clusterrolebindings", "rolebindings", "clusterroles", "roles"].map(
  (plural) => `${plural}.${GROUP}`,
);

export function rbacAuthorizer(cluster: ClusterView): Authorizer {
  return {
    authorize(attributes) {
      const errors: string[] = [];
      let reason = "";
      visitRules(cluster, attributes.user, attributes.namespace, (rule, because, error) => {
        if (error !== undefined) errors.push(error);
        if (rule === undefined || !ruleAllows(attributes, rule)) return true;
        reason = `RBAC: allowed by ${because()}`;
        return false;
      });
      if (reason !== "") return { decision: "allow", reason };
      return {
        decision: "no opinion",
        reason: errors.length === 0 ? "" : `RBAC: ${aggregate(errors)}`,
      };
    },
    rulesFor(user, namespace) {
      const rules: PolicyRule[] = [];
      const errors: string[] = [];
      visitRules(cluster, user, namespace, (rule, _because, error) => {
        if (rule !== undefined) rules.push(rule);
        if (error !== undefined) errors.push(error);
        return true;
      });
      return { rules, incomplete: false, ...(errors.length > 0 && { error: aggregate(errors) }) };
    },
  };
}

type Visitor = (rule: PolicyRule | undefined, because: () => string, error: string | undefined) => boolean;

/** Every rule that holds for a user in a namespace (and cluster-wide) until the visitor says stop. */
export function visitRules(cluster: ClusterView, user: UserInfo, namespace: string, visit: Visitor): void {
  for (const binding of cluster.list(`clusterrolebindings.${GROUP}`) as readonly Binding[])
    if (!visitBinding(cluster, binding, user, "", visit)) return;
  if (namespace === "") return;
  for (const binding of cluster.list(`rolebindings.${GROUP}`, namespace) as readonly Binding[])
    if (!visitBinding(cluster, binding, user, namespace, visit)) return;
}

function visitBinding(
  cluster: ClusterView,
  binding: Binding,
  user: UserInfo,
  namespace: string,
  visit: Visitor,
): boolean {
  const subject = binding.subjects?.find((candidate) => appliesTo(candidate, user, namespace));
  if (subject === undefined) return true;
  const { kind, name } = binding.roleRef;
  const role = roleOf(cluster, binding.roleRef, namespace);
  const because = () =>
    namespace === ""
      ? `ClusterRoleBinding "${binding.metadata.name}" of ${kind} "${name}" to ${describe(subject)}`
      : `RoleBinding "${binding.metadata.name}/${namespace}" of ${kind} "${name}" to ${describe(subject)}`;
  if (role === undefined) {
    const plural = kind === "ClusterRole" ? "clusterrole" : "role";
    return visit(undefined, because, `${plural}.${GROUP} "${name}" not found`);
  }
  for (const rule of role.rules ?? []) if (!visit(rule, because, undefined)) return false;
  return true;
}

export function roleOf(
  cluster: ClusterView,
  { kind, name }: { readonly kind: string; readonly name: string },
  namespace: string,
): { readonly rules?: readonly PolicyRule[] | null } | undefined {
  return kind === "ClusterRole"
    ? cluster.get(`clusterroles.${GROUP}`, "", name)
    : cluster.get(`roles.${GROUP}`, namespace, name);
}

function describe({ kind, name, namespace }: Subject): string {
  return kind === "ServiceAccount" ? `ServiceAccount "${name}/${namespace ?? ""}"` : `${kind} "${name}"`;
}

function appliesTo(subject: Subject, user: UserInfo, namespace: string): boolean {
  switch (subject.kind) {
    case "User":
      return user.name === subject.name;
    case "Group":
      return user.groups.includes(subject.name);
    case "ServiceAccount": {
      const home = subject.namespace ?? namespace;
      return home !== "" && user.name === serviceAccountUser(home, subject.name);
    }
    default:
      return false;
  }
}

export function ruleAllows(attributes: Attributes, rule: PolicyRule): boolean {
  if (!matches(rule.verbs, attributes.verb)) return false;
  if (!attributes.resourceRequest)
    return (rule.nonResourceURLs ?? []).some(
      (url) =>
        url === "*" || url === attributes.path || (url.endsWith("*") && attributes.path.startsWith(url.slice(0, -1))),
    );
  if (!matches(rule.apiGroups ?? [], attributes.group)) return false;
  const { resource, subresource } = attributes;
  const combined = subresource === "" ? resource : `${resource}/${subresource}`;
  const named = (rule.resources ?? []).some(
    (one) => one === "*" || one === combined || (subresource !== "" && one === `*/${subresource}`),
  );
  if (!named) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(attributes.name);
}

const matches = (list: readonly string[], value: string) => list.includes("*") || list.includes(value);
