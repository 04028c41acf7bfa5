/** The roles and bindings that a cluster begins with, and those that come with a feature gate. Upstream: plugin/pkg/auth/authorizer/rbac/bootstrappolicy */
import policy from "./bootstrap-policy.json" with { type: "json" };
import gatedPolicy from "./gated-policy.json" with { type: "json" };
import type { PolicyRule } from "./rbac.ts";

interface Named {
  readonly metadata: { readonly name: string };
}

/** What a gate adds: whole roles and bindings, and rules, each before the one of that index in a role that is there anyway. */
interface Addition {
  readonly clusterRoles?: readonly Named[];
  readonly clusterRoleBindings?: readonly Named[];
  readonly rules?: Readonly<Record<string, readonly { readonly before: number; readonly rule: PolicyRule }[]>>;
}

const additions: Readonly<Record<string, Addition>> = gatedPolicy;

export function bootstrapPolicy(gates: ReadonlyMap<string, boolean> | undefined) {
  const open = Object.keys(additions).flatMap((gate) => (gates?.get(gate) === true ? [additions[gate]!] : []));
  if (open.length === 0) return policy as Policy;
  return {
    ...policy,
    clusterRoles: [
      ...(policy as Policy).clusterRoles.map((role) => {
        const more = open.flatMap(({ rules }) => rules?.[role.metadata.name] ?? []);
        if (more.length === 0) return role;
        const at = (index: number) => more.flatMap(({ before, rule }) => (before === index ? [rule] : []));
        const rules = role.rules ?? [];
        return { ...role, rules: [...rules.flatMap((rule, i) => [...at(i), rule]), ...at(rules.length)] };
      }),
      ...open.flatMap(({ clusterRoles }) => clusterRoles ?? []),
    ],
    clusterRoleBindings: [
      ...policy.clusterRoleBindings,
      ...open.flatMap(({ clusterRoleBindings }) => clusterRoleBindings ?? []),
    ],
  } as Policy;
}

interface Policy {
  readonly clusterRoles: readonly (Named & { readonly rules?: readonly PolicyRule[] | null })[];
  readonly clusterRoleBindings: readonly Named[];
  readonly roles: readonly Named[];
  readonly roleBindings: readonly Named[];
}
