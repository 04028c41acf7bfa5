/** Aggregates cluster roles from others (`admin`, `edit`, `view`). Upstream: pkg/controller/clusterroleaggregation */
import type { ClusterRole, PolicyRule } from "../../api/generated/rbac.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { clusterRoles } from "../../client/resources.ts";
import { semanticallyEqual } from "../shared/equality.ts";
import { matchesSelector } from "../shared/selector.ts";

const MANAGER = "clusterrole-aggregation-controller";

/** The rules of all roles that the selectors choose, each rule once. Pure. */
export function aggregate(role: ClusterRole, all: readonly ClusterRole[]): readonly PolicyRule[] {
  const byName = [...all].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules: PolicyRule[] = [];
  for (const selector of role.aggregationRule?.clusterRoleSelectors ?? [])
    for (const { metadata, rules: theirs } of byName) {
      if (metadata.name === role.metadata.name || !matchesSelector(selector, metadata.labels)) continue;
      for (const rule of theirs ?? []) if (!rules.some((each) => semanticallyEqual(each, rule))) rules.push(rule);
    }
  return rules;
}

export const clusterRoleAggregationController = defineController({
  name: "clusterrole-aggregation-controller",
  aliases: ["clusterrole-aggregation"],
  workers: { default: 5 },
  triggers: [
    {
      resource: clusterRoles,
      keys: (_, informers) =>
        informers
          .of(clusterRoles)
          .list()
          .filter(({ aggregationRule }) => aggregationRule !== undefined)
          .map(({ metadata }) => metadata.name),
    },
  ],
  create: ({ informers }) => ({
    async reconcile(name, signal, client) {
      const role = informers.of(clusterRoles).get(name);
      if (role?.aggregationRule === undefined) return done;
      const rules = aggregate(role, informers.of(clusterRoles).list());
      if (semanticallyEqual(rules, role.rules ?? [])) return done;
      const applied = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name }, rules };
      await client.patch(clusterRoles, { name }, "application/apply-patch+yaml", applied, {
        fieldManager: MANAGER,
        force: true,
        signal,
      });
      return done;
    },
  }),
});
