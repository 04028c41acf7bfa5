/**
 * The clients' side of leases: the leader renews and describes them, whichever member is asked, and revokes them when they expire.
 * Upstream: server/etcdserver/v3_server.go (LeaseRenew, LeaseTimeToLive), server.go (revokeExpiredLeases)
 */
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { Member as MemberInfo } from "../../protocols/etcd/generated.ts";
import { sleep } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import type { Failpoint, Failpoints } from "../failpoints.ts";
import type { Leadership } from "../leadership.ts";
import * as counted from "../metrics.ts";
import { keyBytes } from "../mvcc/key-text.ts";
import type { LeaseCheckpoint, Lessor } from "./lessor.ts";

export interface LeaseTimes {
  readonly id: bigint;
  /** Seconds left, and as granted. */
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Uint8Array[];
}

/** Asks the leader, over the peers' HTTP. What can't be reached or doesn't lead any more is thrown; the caller tries again. */
export interface LeaseForwarder {
  /** The TTL, or undefined where there is no such lease. */
  renew(leader: MemberInfo, id: bigint): Promise<number | undefined>;
  timeToLive(leader: MemberInfo, id: bigint, keys: boolean): Promise<LeaseTimes | undefined>;
}

export interface LeaseKeeperDeps {
  readonly clock: World["clock"];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly lessor: Lessor;
  readonly leadership: Leadership;
  readonly forwarder: LeaseForwarder | undefined;
  readonly electionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly checkpoints: boolean;
  readonly closing: AbortSignal;
  memberOf(id: bigint): MemberInfo | undefined;
  revoke(id: bigint): Promise<unknown>;
  checkpoint(checkpoints: readonly LeaseCheckpoint[]): Promise<unknown>;
  /** Whether this member leads for certain, though it may have slept. */
  ensureLeadership(): Promise<boolean> | boolean;
  readonly failpoints: Failpoints;
  /** Until what is committed now is applied; throws when that takes too long. */
  caughtUp(): Promise<void> | undefined;
}

/** Revocations under way at a time. */
const REVOCATIONS = 16;
/** Between two attempts to reach the leader. */
const RETRY_MS = 50;

export class LeaseKeeper {
  readonly #deps: LeaseKeeperDeps;

  constructor(deps: LeaseKeeperDeps) {
    this.#deps = deps;
    deps.leadership.onLeadership((isLeader) => {
      if (!isLeader) deps.lessor.demote();
    });
  }

  /** This member leads, and has applied all that earlier leaders committed. */
  promote(): void {
    const { lessor, electionTimeoutMs, checkpoints } = this.#deps;
    lessor.promote(electionTimeoutMs, {
      onExpired: (ids) => void this.#revoke(ids),
      ...(checkpoints && { onCheckpoint: (due: readonly LeaseCheckpoint[]) => this.#checkpoint(due) }),
    });
  }

  /** Renews here or at the leader. Gives the TTL; undefined where there is no such lease. `check` looks at the lease once it is known here. */
  async renew(id: bigint): Promise<number | undefined> {
    const { leadership } = this.#deps;
    if (leadership.isLeader) {
      const ttl = await this.renewHere(id);
      if (ttl !== "not primary") return ttl;
    }
    return this.#forward((forwarder, leader) => forwarder.renew(leader, id));
  }

  /** As the leader, for those who ask it on behalf of their clients too. */
  async renewHere(id: bigint): Promise<number | undefined | "not primary"> {
    const { lessor } = this.#deps;
    if (!(await this.#deps.ensureLeadership())) throw etcdError("notPrimary");
    // It may be about to be granted.
    if (lessor.get(id) === undefined) await this.#deps.caughtUp();
    return lessor.renew(id);
  }

  async timeToLive(id: bigint, keys: boolean): Promise<LeaseTimes | undefined> {
    const { failpoints, leadership } = this.#deps;
    if (leadership.isLeader) return this.timeToLiveHere(id, keys, failpoints.beforeLookupWhenLeaseTimeToLive);
    return this.#forward((forwarder, leader) => forwarder.timeToLive(leader, id, keys));
  }

  /** Also on behalf of another member; the point stands between what is waited for and what is looked up. */
  async timeToLiveHere(
    id: bigint,
    keys: boolean,
    point: Failpoint | undefined = this.#deps.failpoints.beforeLookupWhenForwardLeaseTimeToLive,
  ): Promise<LeaseTimes | undefined> {
    const { lessor } = this.#deps;
    await this.#deps.caughtUp();
    point?.strike();
    const lease = lessor.get(id);
    if (lease === undefined) return undefined;
    if (!lessor.isPrimary) throw etcdError("leaderChanged");
    return {
      id,
      ttl: lessor.remaining(lease),
      grantedTtl: lease.ttl,
      keys: keys ? [...lease.keys].sort().map(keyBytes) : [],
    };
  }

  /** Tries for as long as a request may take. */
  async #forward<T>(ask: (forwarder: LeaseForwarder, leader: MemberInfo) => Promise<T>): Promise<T> {
    const { clock, closing, electionTimeoutMs, forwarder, leadership, log, memberOf, requestTimeoutMs } = this.#deps;
    const until = clock.monotonic() + requestTimeoutMs;
    for (;;) {
      if (closing.aborted) throw etcdError("stopped");
      const leader = memberOf(leadership.leader);
      if (leader !== undefined && forwarder !== undefined)
        try {
          return await ask(forwarder, leader);
        } catch (error) {
          log.v(2).info("failed to ask the leader about a lease", { error: String(error) });
        }
      const wait = leader === undefined ? electionTimeoutMs : RETRY_MS;
      if (clock.monotonic() + wait > until) throw etcdError(leader === undefined ? "noLeader" : "timeout");
      await sleep(clock, wait, closing).catch(() => {}); // Closing: the loop sees it.
    }
  }

  async #revoke(ids: readonly bigint[]): Promise<void> {
    const { closing, log, metrics, revoke } = this.#deps;
    if (!(await this.#deps.ensureLeadership())) {
      log.warn("Ignore the lease revoking request because current member isn't a leader");
      return;
    }
    let next = 0;
    const work = async (): Promise<void> => {
      for (let id = ids[next++]; id !== undefined && !closing.aborted; id = ids[next++]) {
        if (!this.#deps.lessor.hasExpired(id)) continue;
        try {
          await revoke(id);
          metrics.add(counted.leaseExpired, {});
        } catch (error) {
          if (!closing.aborted)
            log.warn("failed to revoke lease", { "lease-id": id.toString(16).padStart(16, "0"), error: String(error) });
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(REVOCATIONS, ids.length) }, work));
  }

  async #checkpoint(due: readonly LeaseCheckpoint[]): Promise<boolean> {
    try {
      await this.#deps.checkpoint(due);
      return true;
    } catch (error) {
      if (!this.#deps.closing.aborted) this.#deps.log.error("failed to checkpoint leases", error);
      return false;
    }
  }
}
