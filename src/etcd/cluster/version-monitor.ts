/**
 * The leader keeps the cluster version at the lowest of its members', and completes a downgrade once all members have it.
 * Upstream: server/etcdserver/version/monitor.go, server/etcdserver/server.go (monitorClusterVersions, monitorDowngrade)
 */
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import type { Remotes } from "./remote.ts";
import { findRequestForm } from "./request-form.ts";
import { membersVersions, type ClusterSelf } from "./self.ts";
import { isDowngraded, nextClusterVersion } from "./versions.ts";

const INTERVAL_MS = 4000;

export interface VersionMonitorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly remotes: Remotes;
  readonly downgradeCheckTimeMs: number;
}

export class VersionMonitor {
  readonly #self: ClusterSelf;
  readonly #deps: VersionMonitorDeps;
  readonly #signal: AbortSignal;
  #looking: Promise<void> | undefined;
  #isRunning = false;

  constructor(self: ClusterSelf, deps: VersionMonitorDeps, signal: AbortSignal) {
    this.#self = self;
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Looks now, and again and again while this member leads others. To be called when it has come to lead, and when members have come. */
  wake(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run().finally(() => (this.#isRunning = false));
  }

  /** Asks the members for their versions and sets the cluster's. */
  look(): Promise<void> {
    return (this.#looking ??= this.#look(this.#signal).finally(() => (this.#looking = undefined)));
  }

  async #run(): Promise<void> {
    const { clock, downgradeCheckTimeMs } = this.#deps;
    const signal = this.#signal;
    let checkAt = clock.monotonic() + downgradeCheckTimeMs;
    do {
      await this.look();
      if (downgradeCheckTimeMs <= 0 || clock.monotonic() < checkAt) continue;
      await this.#endDowngrade(signal);
      checkAt = clock.monotonic() + downgradeCheckTimeMs;
    } while (this.#isNeeded && (await pause(clock, INTERVAL_MS, signal)));
  }

  get #isNeeded(): boolean {
    const { isLeader, membership } = this.#self;
    return isLeader && (membership.members.length > 1 || membership.downgrade.enabled);
  }

  async #look(signal: AbortSignal): Promise<void> {
    const self = this.#self;
    if (!self.isLeader) return;
    try {
      const { membership } = self;
      // First, so that everyone has had time to come up when the version is decided.
      const form = await findRequestForm(self, this.#deps.remotes, this.#deps.clock, signal);
      const versions = await membersVersions(self, this.#deps.remotes);
      const next = nextClusterVersion(membership.version, versions, membership.downgrade);
      if (next === undefined || !self.isLeader || signal.aborted) return;
      this.#deps.log.info("updating cluster version using v3 API", { from: membership.version ?? "", to: next });
      await self.proposeAs(form, { cluster_version_set: { ver: next } });
    } catch (error) {
      if (!signal.aborted) this.#deps.log.error("failed to update cluster version", error);
    }
  }

  async #endDowngrade(signal: AbortSignal): Promise<void> {
    const { membership, isLeader } = this.#self;
    const { enabled, targetVersion } = membership.downgrade;
    if (!isLeader || !enabled) return;
    if (!isDowngraded(targetVersion, await membersVersions(this.#self, this.#deps.remotes))) return;
    this.#deps.log.info("the cluster has been downgraded", { "cluster-version": targetVersion });
    try {
      await this.#self.proposeAs("v3", { downgrade_info_set: { enabled: false } });
    } catch (error) {
      if (!signal.aborted) this.#deps.log.error("failed to cancel downgrade", error);
    }
  }
}
