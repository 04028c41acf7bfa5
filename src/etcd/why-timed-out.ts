/**
 * The error for a client whose request was proposed and neither committed nor rejected in time.
 * Upstream: server/etcdserver/server.go (parseProposeCtxErr)
 */
import type { EtcdErrorName } from "../protocols/etcd/errors.ts";
import { NONE, type NodeId } from "../raft/types.ts";

export interface Circumstances {
  readonly localId: NodeId;
  /** Of the request. Times are of one monotonic clock. */
  readonly startedAt: number;
  readonly leader: NodeId;
  /** When this member last became the leader. */
  readonly electedAt: number;
  readonly electionTimeoutMs: number;
  readonly voters: readonly NodeId[];
  /** Since when a member is reached without a break. */
  readonly activeSince: (id: NodeId) => number | undefined;
}

export function whyTimedOut(of: Circumstances): EtcdErrorName {
  const { activeSince, electedAt, electionTimeoutMs, leader, localId, startedAt, voters } = of;
  // The leader before was lost about so long before this one was elected.
  if (startedAt > electedAt - 2 * electionTimeoutMs && startedAt < electedAt) return "timeoutLeaderFailed";
  if (leader === NONE) return "timeout";
  const isReached = (id: NodeId) => id === localId || (activeSince(id) ?? Infinity) <= startedAt;
  if (leader !== localId) return isReached(leader) ? "timeout" : "timeoutConnectionLost";
  return voters.filter(isReached).length > voters.length / 2 ? "timeout" : "timeoutConnectionLost";
}
