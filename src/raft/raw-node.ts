/**
 * One member of a raft group, driven from outside: input by the methods, output by `ready`.
 *
 * Nothing here waits, reads a clock, or touches a disk or a network. The same calls always give the same output.
 *
 * Upstream: rawnode.go
 */
import { InvariantError } from "../base/assert.ts";
import type { Config } from "./config.ts";
import type { BasicStatus, Ready } from "./ready.ts";
import type { Progress } from "./tracker/progress.ts";
import type { TrackerConfig } from "./tracker/tracker.ts";
import type { ConfChange, ConfState, Entry, Message, NodeId } from "./types.ts";

export interface Status extends BasicStatus {
  readonly config: TrackerConfig;
  /** How far each member has come, as the leader sees it; empty elsewhere. */
  readonly progress: ReadonlyMap<NodeId, Progress>;
}

/** A member that the group starts with; `context` goes into the change that adds it. */
export interface Peer {
  readonly id: NodeId;
  readonly context: Uint8Array;
}

export class RawNode {
  constructor(_config: Config) {}

  /** Writes the first members of a new group into an empty log, as changes that are committed already. */
  bootstrap(_peers: readonly Peer[]): void {
    throw notYet();
  }

  tick(): void {
    throw notYet();
  }

  campaign(): void {
    throw notYet();
  }

  /**
   * Asks for an entry. A leader appends it and returns it: the same object comes back in `committedEntries`. A follower passes it on and
   * returns undefined. Throws `RaftError` "proposal dropped" when there is no leader, or too much waits already.
   */
  propose(_data: Uint8Array): Entry | undefined {
    throw notYet();
  }

  /** Asks for a change of members, written in its first form when `form` is 1. Returns and throws what `propose` does. */
  proposeConfChange(_change: ConfChange, _form: 1 | 2 = 2): Entry | undefined {
    throw notYet();
  }

  /** Puts a committed change of members into force. A change that the state machine refuses isn't handed in. */
  applyConfChange(_change: ConfChange): ConfState {
    throw notYet();
  }

  /** Takes a message from another member. Throws `RaftError` "local message" or "peer not found". */
  step(_message: Message): void {
    throw notYet();
  }

  hasReady(): boolean {
    throw notYet();
  }

  /** The work to do now. Each must be done and confirmed by `advance` before the next is asked for. */
  ready(): Ready {
    throw notYet();
  }

  advance(): void {
    throw notYet();
  }

  /** Asks for an index up to which to apply before a read may be answered; it comes as a `ReadState` with the same context, or never. */
  readIndex(_context: Uint8Array): void {
    throw notYet();
  }

  transferLeader(_id: NodeId): void {
    throw notYet();
  }

  /** A follower forgets its leader, so that a pre-vote of another member can win. */
  forgetLeader(): void {
    throw notYet();
  }

  reportUnreachable(_id: NodeId): void {
    throw notYet();
  }

  reportSnapshot(_id: NodeId, _outcome: "finish" | "failure"): void {
    throw notYet();
  }

  status(): Status {
    throw notYet();
  }

  basicStatus(): BasicStatus {
    throw notYet();
  }
}

function notYet(): Error {
  return new InvariantError("not yet");
}
