/**
 * Changes the taints of a node, on the latest version of the node.
 * Upstream: pkg/controller/controller_utils.go (AddOrUpdateTaintOnNode), pkg/util/taints
 */
import type { Node, Taint } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { nodes } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";
import { sleep } from "../../world/time.ts";
import type { Clock, Random } from "../../world/world.ts";

const TRIES = 5;
const RETRY_MS = 100;

export interface TaintChange {
  readonly add: readonly Taint[];
  readonly remove: readonly Taint[];
}

export const sameTaint = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect;
export const hasTaint = ({ spec }: Node, taint: Taint) => (spec.taints ?? []).some((each) => sameTaint(each, taint));

/** The taints after the change; the same array when nothing differs. */
function taintsAfter(taints: readonly Taint[], { add, remove }: TaintChange): readonly Taint[] {
  const missing = add.filter((taint) => !taints.some((each) => sameTaint(each, taint)));
  const surplus = taints.filter((taint) => remove.some((each) => sameTaint(each, taint)));
  if (missing.length === 0 && surplus.length === 0) return taints;
  return [...taints.filter((taint) => !surplus.includes(taint)), ...missing];
}

export async function changeTaints(
  { client, clock, random }: { readonly client: Client; readonly clock: Clock; readonly random: Random },
  cached: Node,
  change: TaintChange,
  signal: AbortSignal,
): Promise<void> {
  let node = cached;
  const { name } = cached.metadata;
  for (let attempt = 1; ; attempt++) {
    const taints = node.spec.taints ?? [];
    const next = taintsAfter(taints, change);
    if (next === taints) return;
    const patch = {
      metadata: { resourceVersion: node.metadata.resourceVersion },
      spec: { taints: next.length === 0 ? null : next },
    };
    try {
      await client.patch(nodes, { name }, "application/merge-patch+json", patch, { signal });
      return;
    } catch (error) {
      if (!hasReason(error, "Conflict") || attempt >= TRIES) throw error;
      await sleep(clock, RETRY_MS * (1 + random.next()), signal);
      node = await client.get(nodes, { name }, { signal });
    }
  }
}
