/**
 * What a leader knows of one follower's log, and so what it sends it next.
 *
 * In "StateProbe" the leader doesn't know where the follower's log ends: one message at a time, until an answer tells. In "StateReplicate"
 * it does, and sends ahead of the answers as far as the inflights allow. In "StateSnapshot" it waits for a snapshot to arrive.
 *
 * Upstream: tracker/progress.go
 */
import { InvariantError } from "../../base/assert.ts";
import type { NodeId } from "../types.ts";
import type { Inflights } from "./inflights.ts";

export type ProgressState = "StateProbe" | "StateReplicate" | "StateSnapshot";

export class Progress {
  readonly id: NodeId;
  /** The last entry known to be in the follower's log. */
  match = 0;
  /** The next entry to send; always above `match`. Entries between the two are under way. */
  next: number;
  /** The highest commit index in any message under way: tells whether an empty message would bring news. */
  sentCommit = 0;
  state: ProgressState = "StateProbe";
  /** In "StateSnapshot", where the snapshot ends that was sent. */
  pendingSnapshot = 0;
  /** Something came from the follower since the last look of check-quorum. */
  recentActive = false;
  /** Nothing more is to be sent until an answer comes. */
  msgAppFlowPaused = false;
  readonly inflights: Inflights;
  isLearner: boolean;

  constructor(id: NodeId, next: number, inflights: Inflights, isLearner: boolean) {
    this.id = id;
    this.next = next;
    this.inflights = inflights;
    this.isLearner = isLearner;
  }

  /** A copy that shares only the inflights. */
  clone(): Progress {
    const copy = new Progress(this.id, this.next, this.inflights, this.isLearner);
    copy.match = this.match;
    copy.sentCommit = this.sentCommit;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.msgAppFlowPaused = this.msgAppFlowPaused;
    return copy;
  }

  get paused(): boolean {
    return this.state === "StateSnapshot" || this.msgAppFlowPaused;
  }

  becomeProbe(): void {
    // After a snapshot that arrived, its end is the best guess; one that failed has set `pendingSnapshot` to zero first.
    const after = this.state === "StateSnapshot" ? Math.max(this.match, this.pendingSnapshot) : this.match;
    this.#enter("StateProbe");
    this.next = after + 1;
    this.sentCommit = Math.min(this.sentCommit, after);
  }

  becomeReplicate(): void {
    this.#enter("StateReplicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter("StateSnapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  #enter(state: ProgressState): void {
    this.msgAppFlowPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }

  /** An append message with `count` entries of `bytes` bytes has been sent. */
  sentEntries(count: number, bytes: number): void {
    switch (this.state) {
      case "StateReplicate":
        if (count > 0) {
          this.next += count;
          this.inflights.add(this.next - 1, bytes);
        }
        this.msgAppFlowPaused = this.inflights.full;
        return;
      case "StateProbe":
        if (count > 0) this.msgAppFlowPaused = true;
        return;
      case "StateSnapshot":
        throw new InvariantError("sending append in unhandled state StateSnapshot");
    }
  }

  /** Whether telling the follower that `commit` is committed could move its commit index. */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** The follower's log reaches `index`. False when that is no news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    if (this.next <= index) this.next = index + 1;
    this.msgAppFlowPaused = false;
    return true;
  }

  /** The follower refused what came after `rejected` and says its log may agree at `hint`. False when the refusal is an old one. */
  maybeDecreaseTo(rejected: number, hint: number): boolean {
    if (this.state === "StateReplicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      this.sentCommit = Math.min(this.sentCommit, this.match);
      return true;
    }
    // A probe is the only message under way: a refusal of anything else is late.
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    this.msgAppFlowPaused = false;
    return true;
  }
}
