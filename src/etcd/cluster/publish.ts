/**
 * Publishes a member's name and client URLs to the cluster. The member is not ready until that is done.
 * Upstream: server/etcdserver/server.go (publishV3)
 */
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import { hexId } from "./identity.ts";
import type { Remotes } from "./remote.ts";
import { findRequestForm } from "./request-form.ts";
import type { ClusterSelf } from "./self.ts";

const RETRY_MS = 100;

export interface Attributes {
  readonly name: string;
  readonly clientURLs: readonly string[];
}

/** Tries until it is applied, or `signal` aborts. */
export async function publish(
  self: ClusterSelf,
  { name, clientURLs }: Attributes,
  deps: { readonly clock: Clock; readonly log: Logger; readonly remotes: Remotes },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, remotes } = deps;
  const { membership } = self;
  const fields = {
    "local-member-id": hexId(membership.localId),
    "local-member-attributes": `{Name:${name} ClientURLs:[${clientURLs.join(" ")}]}`,
    "cluster-id": hexId(membership.clusterId),
  };
  const isKnown = () => {
    const own = membership.member(membership.localId);
    return own !== undefined && own.name === name && own.clientURLs.join() === clientURLs.join();
  };
  const wasKnown = isKnown();
  while (!signal.aborted) {
    try {
      const form = await findRequestForm(self, remotes, clock, signal);
      let isApplied = false;
      const applied = self
        .proposeAs(form, {
          cluster_member_attr_set: {
            member_ID: membership.localId,
            member_attributes: { name, client_urls: [...clientURLs] },
          },
        })
        .then(() => {
          isApplied = true;
        });
      applied.catch(() => {}); // Or it comes with a snapshot, and is never heard of as an entry.
      while (!isApplied && !(!wasKnown && isKnown()))
        await Promise.race([
          applied,
          pause(clock, RETRY_MS, signal).then((passed) => passed || Promise.reject(signal.reason)),
        ]);
      return log.info("published local member to cluster through raft", fields);
    } catch (error) {
      if (signal.aborted) return;
      log.warn("failed to publish local member to cluster through raft", { ...fields, error: String(error) });
      await pause(clock, RETRY_MS, signal);
    }
  }
}
