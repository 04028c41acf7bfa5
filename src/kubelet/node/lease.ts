/** The node's heartbeat: a lease, renewed every 10 s. Upstream: component-helpers/apimachinery/lease */
import { formatMicroTime } from "../../machinery/meta/time.ts";
import type { Lease } from "../../api/generated/coordination.v1.ts";
import type { Client } from "../../client/client.ts";
import { leases } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";

const NAMESPACE = "kube-node-lease";
const RENEW_FRACTION = 0.25;
const JITTER = 0.04;
const RETRIES = 5;

export async function keepLease(
  deps: { readonly client: Client; readonly world: Pick<World, "clock" | "random">; readonly log: Logger },
  node: { readonly name: string; readonly uid: () => string | undefined },
  durationSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  const { client, world, log } = deps;
  let known: Lease | undefined;
  const spec = () => ({
    holderIdentity: node.name,
    leaseDurationSeconds: durationSeconds,
    renewTime: formatMicroTime(world.clock.now()),
  });
  const owner = () => {
    const uid = node.uid();
    return uid === undefined ? undefined : [{ apiVersion: "v1", kind: "Node", name: node.name, uid }];
  };
  const renew = async (): Promise<void> => {
    for (let i = 0; ; i++) {
      try {
        known ??= await client.get(leases, { namespace: NAMESPACE, name: node.name });
        const { ownerReferences } = known.metadata;
        const references = ownerReferences === undefined || ownerReferences.length === 0 ? owner() : ownerReferences;
        known = await client.update(leases, {
          ...known,
          metadata: { ...known.metadata, ...(references && { ownerReferences: references }) },
          spec: { ...known.spec, ...spec() },
        });
        return;
      } catch (error) {
        known = undefined;
        if (hasReason(error, "NotFound")) {
          const ownerReferences = owner();
          if (ownerReferences === undefined) return; // The node object comes first.
          known = await client.create(leases, {
            metadata: { name: node.name, namespace: NAMESPACE, ownerReferences },
            spec: spec(),
          });
          return;
        }
        if (i >= RETRIES - 1) throw error;
      }
    }
  };
  const periodMs = durationSeconds * 1000 * RENEW_FRACTION;
  let backOffMs = 200;
  while (!signal.aborted) {
    let waitMs = periodMs * (1 + world.random.next() * JITTER);
    try {
      await renew();
      backOffMs = 200;
    } catch (error) {
      if (signal.aborted) return;
      log.error("Failed to ensure lease exists, will retry", error, { node: node.name });
      waitMs = backOffMs;
      backOffMs = Math.min(7000, backOffMs * 2);
    }
    if (!(await pause(world.clock, waitMs, signal))) return;
  }
}
