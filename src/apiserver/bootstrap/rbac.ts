/**
 * Maintains the default roles and bindings: missing rules are added, and rules that users added are kept.
 * Upstream: pkg/registry/rbac/rest/storage_rbac.go.
 */
import { isDeepStrictEqual } from "node:util";
import { bootstrapPolicy } from "../authz/policy.ts";
import type { Services } from "../registry/context.ts";
import type { Entry } from "../storage/entry.ts";
import { ensure } from "./write.ts";

const GROUP = "rbac.authorization.k8s.io";
const AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate";

export async function ensureRbac(services: Services): Promise<void> {
  const policy = bootstrapPolicy(services.featureGates);
  const work: Promise<Entry | undefined>[] = [];
  for (const role of policy.clusterRoles) work.push(ensure(services, `clusterroles.${GROUP}`, role, repairRole(role)));
  for (const binding of policy.clusterRoleBindings)
    work.push(ensure(services, `clusterrolebindings.${GROUP}`, binding, repairBinding(binding)));
  for (const role of policy.roles) work.push(ensure(services, `roles.${GROUP}`, role, repairRole(role)));
  for (const binding of policy.roleBindings)
    work.push(ensure(services, `rolebindings.${GROUP}`, binding, repairBinding(binding)));
  const entries = await Promise.all(work);
  // The authoriser reads the caches: it is ready when they have seen the policy.
  for (const name of ["clusterroles", "clusterrolebindings", "roles", "rolebindings"]) {
    const resource = services.registry.named(`${name}.${GROUP}`);
    if (resource === undefined) continue;
    const { cache } = services.registry.storage(resource);
    const newest = Math.max(
      0,
      ...entries.flatMap((entry) => (entry?.key.startsWith(cache.prefix) === true ? [entry.revision] : [])),
    );
    await cache.waitUntil(newest);
  }
}

function repairRole(wanted: any): (current: any) => any {
  return (current) => {
    if (current.metadata.annotations?.[AUTOUPDATE] === "false") return undefined;
    const missing = (wanted.rules ?? []).filter(
      (rule: unknown) => !(current.rules ?? []).some((known: unknown) => isDeepStrictEqual(known, rule)),
    );
    const metadata = mergeMetadata(current.metadata, wanted.metadata);
    const aggregated = wanted.aggregationRule !== undefined && current.aggregationRule === undefined;
    if (missing.length === 0 && metadata === undefined && !aggregated) return undefined;
    return {
      ...current,
      metadata: metadata ?? current.metadata,
      ...(missing.length > 0 && { rules: [...(current.rules ?? []), ...missing] }),
      ...(aggregated && { aggregationRule: wanted.aggregationRule }),
    };
  };
}

function repairBinding(wanted: any): (current: any) => any {
  return (current) => {
    if (current.metadata.annotations?.[AUTOUPDATE] === "false") return undefined;
    if (current.roleRef.name !== wanted.roleRef.name || current.roleRef.kind !== wanted.roleRef.kind) return undefined;
    const same = (a: any, b: any) =>
      a.kind === b.kind && a.name === b.name && (a.namespace ?? "") === (b.namespace ?? "");
    const missing = (wanted.subjects ?? []).filter(
      (subject: any) => !(current.subjects ?? []).some((known: any) => same(known, subject)),
    );
    const metadata = mergeMetadata(current.metadata, wanted.metadata);
    if (missing.length === 0 && metadata === undefined) return undefined;
    return { ...current, metadata: metadata ?? current.metadata, subjects: [...(current.subjects ?? []), ...missing] };
  };
}

/** Labels and annotations that are missing; those that are there win. Undefined where nothing is missing. */
function mergeMetadata(current: any, wanted: any): any {
  const labels = { ...wanted.labels, ...current.labels };
  const annotations = { ...wanted.annotations, ...current.annotations };
  const grown = (merged: object, before: object | undefined) =>
    Object.keys(merged).length > Object.keys(before ?? {}).length;
  if (!grown(labels, current.labels) && !grown(annotations, current.annotations)) return undefined;
  return { ...current, labels, annotations };
}
