/**
 * Downgrades by one minor version, on a client's request: validated, started, or cancelled.
 * Upstream: server/etcdserver/version/manager.go, server/etcdserver/v3_server.go (Downgrade)
 */
import { etcdError } from "../../protocols/etcd/errors.ts";
import { shortVersion } from "./membership.ts";
import type { ClusterSelf } from "./self.ts";
import { clusterVersionOf, previousMinor } from "./versions.ts";

export type DowngradeAction = "VALIDATE" | "ENABLE" | "CANCEL";

/** Gives the cluster's version, `3.7`. */
export async function downgrade(self: ClusterSelf, action: DowngradeAction, version: string): Promise<string> {
  const { membership } = self;
  if (action === "CANCEL") {
    await self.linearizable();
    // Upstream answers as if it had, where there was nothing to call off.
    if (membership.downgrade.enabled) await self.proposeAs("v3", { downgrade_info_set: { enabled: false } });
    return shortVersion(membership.version ?? "");
  }
  const target = clusterVersionOf(version);
  if (target === undefined) throw etcdError("downgradeVersionFormat");
  if (membership.version === undefined) throw etcdError("clusterVersionUnavailable");
  await self.linearizable();
  if (target !== previousMinor(membership.version)) throw etcdError("downgradeTargetVersion");
  if (membership.downgrade.enabled) throw etcdError("downgradeInProcess");
  if (action === "ENABLE") await self.proposeAs("v3", { downgrade_info_set: { enabled: true, ver: target } });
  return shortVersion(membership.version);
}
