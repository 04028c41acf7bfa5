/** Decisions while two sets of voters are in effect together: both must agree (thesis, section 4.3). Upstream: quorum/joint.go */
import type { NodeId } from "../types.ts";
import { byId } from "./ids.ts";
import { committedIndex, voteResult, type AckedIndexes, type MajorityConfig, type VoteResult } from "./majority.ts";

export interface JointConfig {
  /** The voters that stay. */
  readonly incoming: MajorityConfig;
  /** The voters that were; empty outside a change that goes through a joint configuration. */
  readonly outgoing: MajorityConfig;
}

/** All voters of both halves, in rising order. */
export function voterIds(config: JointConfig): readonly NodeId[] {
  if (config.outgoing.length === 0) return config.incoming;
  return [...new Set([...config.incoming, ...config.outgoing])].sort(byId);
}

export function jointCommittedIndex(config: JointConfig, acked: AckedIndexes): number {
  const incoming = committedIndex(config.incoming, acked);
  return config.outgoing.length === 0 ? incoming : Math.min(incoming, committedIndex(config.outgoing, acked));
}

export function jointVoteResult(config: JointConfig, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const incoming = voteResult(config.incoming, votes);
  const outgoing = voteResult(config.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === "VoteLost" || outgoing === "VoteLost" ? "VoteLost" : "VotePending";
}
