/**
 * Transfers the leadership to another voter: on request, or when this member stops.
 * Upstream: server/etcdserver/server.go (moveLeader, tryTransferLeadershipOnShutdown)
 */
import type { Logger } from "../observe/log.ts";
import { etcdError } from "../protocols/etcd/errors.ts";
import type { NodeId } from "../raft/types.ts";
import { sleep } from "../world/time.ts";
import type { World } from "../world/world.ts";
import { duration } from "./duration.ts";
import { hexId } from "./cluster/identity.ts";
import type { Membership } from "./cluster/membership.ts";
import type { Failpoints } from "./failpoints.ts";
import type { Leadership } from "./leadership.ts";
import type { RaftDriver } from "./raft-driver.ts";

export interface LeaderTransferDeps extends Pick<World, "clock"> {
  readonly id: NodeId;
  readonly log: Logger;
  readonly failpoints: Failpoints;
  readonly leadership: Leadership;
  readonly membership: Membership;
  readonly driver: RaftDriver;
  readonly heartbeatIntervalMs: number;
  readonly activeSince: (id: NodeId) => number | undefined;
}

export class LeaderTransfer {
  readonly #deps: LeaderTransferDeps;

  constructor(deps: LeaderTransferDeps) {
    this.#deps = deps;
  }

  /** Makes another voter the leader. Only the leader can. */
  async moveTo(to: NodeId): Promise<void> {
    const { id, clock, log, leadership, membership, driver, failpoints } = this.#deps;
    const member = membership.member(to);
    failpoints.afterIsMemberExist?.strike();
    if (member === undefined || member.isLearner) throw etcdError("badLeaderTransferee");
    const fields = {
      "local-member-id": hexId(id),
      "current-leader-member-id": hexId(leadership.leader),
      "transferee-member-id": hexId(to),
    };
    log.info("leadership transfer starting", fields);
    const started = clock.monotonic();
    driver.transferLeader(to);
    while (leadership.leader !== to) {
      if (clock.monotonic() - started >= driver.requestTimeoutMs) throw etcdError("timeoutLeaderTransfer");
      if (driver.isStopped) throw etcdError("stopped");
      await sleep(clock, this.#deps.heartbeatIntervalMs);
    }
    log.info("leadership transfer finished", { ...fields, took: duration(clock.monotonic() - started) });
  }

  /** To who was reached the longest, where this member leads and there is someone; whatever comes of it. */
  async handOver(): Promise<void> {
    const { id, log, leadership, membership, driver, activeSince } = this.#deps;
    if (!leadership.isLeader || membership.votingMembers.length < 2 || driver.isStopped) return;
    let oldest: { readonly id: NodeId; readonly since: number } | undefined;
    for (const { ID } of membership.votingMembers) {
      const since = ID === id ? undefined : activeSince(ID);
      if (since !== undefined && (oldest === undefined || since < oldest.since)) oldest = { id: ID, since };
    }
    try {
      if (oldest === undefined) throw etcdError("unhealthy");
      await this.moveTo(oldest.id);
    } catch (error) {
      log.warn("leadership transfer failed", { "local-member-id": hexId(id), error: String(error) });
    }
  }
}
