/** The configuration, the progress of each member, and the votes. Upstream: tracker/tracker.go */
import { jointCommittedIndex, jointVoteResult, voterIds, type JointConfig } from "../quorum/joint.ts";
import { byId } from "../quorum/ids.ts";
import type { AckedIndexes, VoteResult } from "../quorum/majority.ts";
import type { ConfState, NodeId } from "../types.ts";
import { Inflights } from "./inflights.ts";
import { Progress } from "./progress.ts";

/**
 * Voters and learners never overlap. While two sets of voters are in force, a voter of the outgoing one that is to become a learner
 * waits in `learnersNext`, because it still has a vote there.
 */
export interface TrackerConfig {
  readonly voters: JointConfig;
  readonly learners: readonly NodeId[];
  readonly learnersNext: readonly NodeId[];
  /** The leader ends the joint configuration by itself as soon as it is applied. */
  readonly autoLeave: boolean;
}

const EMPTY_TRACKER_CONFIG: TrackerConfig = {
  voters: { incoming: [], outgoing: [] },
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

export type ProgressMap = ReadonlyMap<NodeId, Progress>;

/** A configuration with the progress of each of its members. */
export interface Membership {
  readonly config: TrackerConfig;
  readonly progress: ProgressMap;
}

export class ProgressTracker implements AckedIndexes {
  readonly maxInflight: number;
  readonly maxInflightBytes: number;
  #config: TrackerConfig = EMPTY_TRACKER_CONFIG;
  #progress: ProgressMap = new Map();
  /** The members of `#progress` in rising order of id: what goes out to all goes out in this order. */
  #members: readonly Progress[] = [];
  readonly #votes = new Map<NodeId, boolean>();

  constructor(maxInflight: number, maxInflightBytes: number) {
    this.maxInflight = maxInflight;
    this.maxInflightBytes = maxInflightBytes;
  }

  get config(): TrackerConfig {
    return this.#config;
  }

  get progress(): ProgressMap {
    return this.#progress;
  }

  get members(): readonly Progress[] {
    return this.#members;
  }

  get voters(): readonly NodeId[] {
    return voterIds(this.#config.voters);
  }

  /** Whether this member decides all by itself. A leader that was removed doesn't, even if only one is left. */
  isAlone(id: NodeId): boolean {
    const { incoming, outgoing } = this.#config.voters;
    return incoming.length === 1 && outgoing.length === 0 && incoming[0] === id;
  }

  switchTo({ config, progress }: Membership): void {
    this.#config = config;
    this.#progress = progress;
    this.#members = [...progress.values()].sort((a, b) => byId(a.id, b.id));
  }

  /** Forgets how far each has come: a new term knows nothing yet. */
  resetProgress(next: number): void {
    const progress = new Map<NodeId, Progress>();
    for (const { id, isLearner } of this.#members)
      progress.set(id, new Progress(id, next, this.newInflights(), isLearner));
    this.switchTo({ config: this.#config, progress });
  }

  newInflights(): Inflights {
    return new Inflights(this.maxInflight, this.maxInflightBytes);
  }

  confState(): ConfState {
    const { voters, learners, learnersNext, autoLeave } = this.#config;
    return { voters: voters.incoming, learners, votersOutgoing: voters.outgoing, learnersNext, autoLeave };
  }

  ackedIndex(id: NodeId): number | undefined {
    return this.#progress.get(id)?.match;
  }

  /** The highest index that a quorum has. */
  committed(): number {
    return jointCommittedIndex(this.#config.voters, this);
  }

  quorumActive(): boolean {
    const votes = new Map<NodeId, boolean>();
    for (const member of this.#members) if (!member.isLearner) votes.set(member.id, member.recentActive);
    return jointVoteResult(this.#config.voters, votes) === "VoteWon";
  }

  resetVotes(): void {
    this.#votes.clear();
  }

  /** The first vote of a member counts; what it says later in the same election doesn't. */
  recordVote(id: NodeId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  tallyVotes(): { readonly granted: number; readonly rejected: number; readonly result: VoteResult } {
    let granted = 0;
    let rejected = 0;
    for (const { id, isLearner } of this.#members) {
      const vote = isLearner ? undefined : this.#votes.get(id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    return { granted, rejected, result: jointVoteResult(this.#config.voters, this.#votes) };
  }
}
