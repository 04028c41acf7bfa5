/**
 * What raft hands to its driver, and what it tells about itself.
 *
 * Upstream: Ready and SoftState in node.go, status.go
 */
import type { Entry, HardState, Message, NodeId, Snapshot } from "./types.ts";

export type RaftState = "StateFollower" | "StateCandidate" | "StateLeader" | "StatePreCandidate";

/** What a member knows of the moment; it is not kept. */
export interface SoftState {
  readonly lead: NodeId;
  readonly raftState: RaftState;
}

/** A read asked for with `context` may be answered once the entry at `index` is applied. */
export interface ReadState {
  readonly index: number;
  readonly context: Uint8Array;
}

/**
 * Work for the driver, in this order: keep `hardState`, `entries` and `snapshot` (durably when `mustSync`), then send `messages`,
 * then apply `snapshot` and `committedEntries`, then call `advance`. A leader may send before it has kept; a follower never.
 */
export interface Ready {
  /** Set when it changed. */
  readonly softState: SoftState | undefined;
  /** Set when it changed. */
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  readonly messages: readonly Message[];
  /** False when only the commit index moved: losing that in a crash costs nothing. */
  readonly mustSync: boolean;
}

export interface BasicStatus {
  readonly id: NodeId;
  readonly term: number;
  readonly vote: NodeId;
  readonly commit: number;
  readonly lead: NodeId;
  readonly raftState: RaftState;
  readonly applied: number;
  readonly leadTransferee: NodeId;
}
