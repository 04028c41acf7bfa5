/**
 * Decisions of one set of voters: more than half must agree.
 *
 * Upstream: quorum/majority.go
 */
import type { NodeId } from "../types.ts";

/** Voters in rising order of id, each once. */
export type MajorityConfig = readonly NodeId[];

/** How far each voter's log reaches; undefined where nothing is known. */
export interface AckedIndexes {
  ackedIndex(id: NodeId): number | undefined;
}

export type VoteResult = "VotePending" | "VoteLost" | "VoteWon";

/** The highest index that a majority has acknowledged. No voters agree to everything, so that they never hold up a joint decision. */
export function committedIndex(voters: MajorityConfig, acked: AckedIndexes): number {
  const count = voters.length;
  if (count === 0) return Infinity;
  if (count === 1) return acked.ackedIndex(voters[0]!) ?? 0;
  if (count === 3) return middleOf(voters, acked);
  const indexes = new Float64Array(count);
  for (let i = 0; i < count; i++) indexes[i] = acked.ackedIndex(voters[i]!) ?? 0;
  indexes.sort();
  // With the lowest first, the majority is the upper part of the list, and its lowest is what all of it has.
  return indexes[count - (Math.floor(count / 2) + 1)]!;
}

/** Three voters are the usual cluster, and each answer of a follower asks this. */
function middleOf(voters: MajorityConfig, acked: AckedIndexes): number {
  const a = acked.ackedIndex(voters[0]!) ?? 0;
  const b = acked.ackedIndex(voters[1]!) ?? 0;
  const c = acked.ackedIndex(voters[2]!) ?? 0;
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/** What `votes` decide: won or lost once no outstanding vote could change it. No voters always win, as above. */
export function voteResult(voters: MajorityConfig, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (voters.length === 0) return "VoteWon";
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const quorum = Math.floor(voters.length / 2) + 1;
  if (granted >= quorum) return "VoteWon";
  return granted + missing >= quorum ? "VotePending" : "VoteLost";
}
