/**
 * What of its own API the server decides by: who may do what, which policies, webhooks, limits and defaults there are, which kinds are served. It
 * reads them from its watch caches, and a cache hears of a write a moment after etcd has it. So the answer to a write of such a kind waits until
 * this server's own cache has it, and whoever got the answer can rely on what they wrote in their next request to this server: a binding is in
 * force, a definition is served, a namespace that is gone is gone. Other kinds are answered at once, and these too where the cache is there
 * already, as it is with an etcd in the same process.
 *
 * Upstream promises nothing of the kind, so nobody may depend on it between servers, and it never costs much: a cache that does not follow is
 * waited for as long as a consistent read waits, once, and then not until it is heard of again. Two things stay as late as upstream's: pods, as the
 * kubelets that pods give rights to hear of them from the same caches, and configuration that is digested in the background (flow schemas, the
 * reachability of extension servers).
 *
 * Each reader says beside its code what it reads; parameters of admission policies join when a policy first refers to their kind, as upstream's
 * informers do.
 */
import type { AdmissionPlugin } from "./admission/framework.ts";
import { READ_FOR_SERVICES } from "./aggregation/aggregator.ts";
import { READ_FOR_TOKENS } from "./authn/service-account.ts";
import { READ_FOR_NODES } from "./authz/node.ts";
import { READ_FOR_ROLES } from "./authz/rbac.ts";
import { READ_FOR_DEFINITIONS } from "./crd/controller.ts";
import { READ_FOR_ADDRESSES } from "./registry/specials/cluster-ips.ts";
import { READ_FOR_EVICTIONS } from "./registry/specials/eviction.ts";

/** By `plural` or `plural.group`, with what those plugins read that are on. */
export function ownReads(plugins: readonly AdmissionPlugin[]): readonly string[] {
  return [
    ...READ_FOR_ROLES,
    ...READ_FOR_NODES,
    ...READ_FOR_TOKENS,
    ...READ_FOR_DEFINITIONS,
    ...READ_FOR_SERVICES,
    ...READ_FOR_ADDRESSES,
    ...READ_FOR_EVICTIONS,
    ...plugins.flatMap(({ reads = [] }) => reads),
  ];
}
