/**
 * Applies a membership change to a configuration, or rejects it.
 *
 * A simple change may affect one voter: then any majority before it and any majority after it have a member in common. Larger changes go through a
 * joint configuration, in which both the old and the new voters must agree (thesis, section 4.3).
 *
 * Upstream: confchange/confchange.go
 */
import { voterIds } from "../quorum/joint.ts";
import { withId, withoutId } from "../quorum/ids.ts";
import type { Inflights } from "../tracker/inflights.ts";
import { Progress } from "../tracker/progress.ts";
import type { Membership, TrackerConfig } from "../tracker/tracker.ts";
import type { ConfChangeSingle, NodeId } from "../types.ts";

/** A change that can't be made of this configuration. */
export class ConfChangeError extends Error {
  override readonly name = "ConfChangeError";
}

/** What a change starts from. */
export interface ChangeBase extends Membership {
  /** Where the leader starts to look for the log of a new member. */
  readonly lastIndex: number;
  readonly newInflights: () => Inflights;
}

/** Goes from one configuration to two that are in force together: the one before, and the one after `changes`. */
export function enterJoint(base: ChangeBase, autoLeave: boolean, changes: readonly ConfChangeSingle[]): Membership {
  const draft = new Draft(base);
  if (draft.isJoint) throw new ConfChangeError("config is already joint");
  if (draft.incoming.length === 0) throw new ConfChangeError("can't make a zero-voter config joint");
  draft.outgoing = draft.incoming;
  draft.apply(changes);
  return draft.finish(autoLeave);
}

/** Goes on with the new voters alone. Whoever isn't among them, nor a learner, is forgotten. */
export function leaveJoint(base: ChangeBase): Membership {
  const draft = new Draft(base);
  if (!draft.isJoint) throw new ConfChangeError("can't leave a non-joint config");
  for (const id of draft.learnersNext) {
    draft.learners = withId(draft.learners, id);
    draft.progress.get(id)!.isLearner = true;
  }
  draft.learnersNext = [];
  for (const id of draft.outgoing)
    if (!draft.incoming.includes(id) && !draft.learners.includes(id)) draft.progress.delete(id);
  draft.outgoing = [];
  return draft.finish(false);
}

/** Makes changes in one step, of which one at most may concern a voter. */
export function simpleChange(base: ChangeBase, changes: readonly ConfChangeSingle[]): Membership {
  const draft = new Draft(base);
  if (draft.isJoint) throw new ConfChangeError("can't apply simple config change in joint config");
  draft.apply(changes);
  const before = base.config.voters.incoming;
  const differing =
    before.filter((id) => !draft.incoming.includes(id)).length +
    draft.incoming.filter((id) => !before.includes(id)).length;
  if (differing > 1) throw new ConfChangeError("more than one voter changed without entering joint config");
  return draft.finish(false);
}

/** A copy of a configuration, to be changed. */
class Draft {
  incoming: readonly NodeId[];
  outgoing: readonly NodeId[];
  learners: readonly NodeId[];
  learnersNext: readonly NodeId[];
  readonly progress: Map<NodeId, Progress>;
  readonly #base: ChangeBase;

  constructor(base: ChangeBase) {
    checkInvariants(base);
    const { voters, learners, learnersNext } = base.config;
    this.incoming = voters.incoming;
    this.outgoing = voters.outgoing;
    this.learners = learners;
    this.learnersNext = learnersNext;
    this.progress = new Map();
    for (const [id, progress] of base.progress) this.progress.set(id, progress.clone());
    this.#base = base;
  }

  get isJoint(): boolean {
    return this.outgoing.length > 0;
  }

  apply(changes: readonly ConfChangeSingle[]): void {
    for (const { type, nodeId } of changes) {
      if (nodeId === 0n) continue; // A change that the state machine refused has its member struck out.
      switch (type) {
        case "ConfChangeAddNode":
          this.#makeVoter(nodeId);
          break;
        case "ConfChangeAddLearnerNode":
          this.#makeLearner(nodeId);
          break;
        case "ConfChangeRemoveNode":
          this.#remove(nodeId);
          break;
        case "ConfChangeUpdateNode":
          break;
      }
    }
    if (this.incoming.length === 0) throw new ConfChangeError("removed all voters");
  }

  finish(autoLeave: boolean): Membership {
    const { incoming, outgoing, learners, learnersNext, progress } = this;
    const config: TrackerConfig = { voters: { incoming, outgoing }, learners, learnersNext, autoLeave };
    checkInvariants({ config, progress });
    return { config, progress };
  }

  #makeVoter(id: NodeId): void {
    const progress = this.progress.get(id);
    if (progress === undefined) {
      this.#addProgress(id, false);
    } else {
      progress.isLearner = false;
      this.learners = withoutId(this.learners, id);
      this.learnersNext = withoutId(this.learnersNext, id);
    }
    this.incoming = withId(this.incoming, id);
  }

  #makeLearner(id: NodeId): void {
    const progress = this.progress.get(id);
    if (progress === undefined) {
      this.#addProgress(id, true);
      this.learners = withId(this.learners, id);
      return;
    }
    if (progress.isLearner) return;
    this.#remove(id);
    this.progress.set(id, progress);
    // A voter of the outgoing configuration keeps its vote there, and becomes a learner when that ends.
    if (this.outgoing.includes(id)) {
      this.learnersNext = withId(this.learnersNext, id);
    } else {
      progress.isLearner = true;
      this.learners = withId(this.learners, id);
    }
  }

  #remove(id: NodeId): void {
    if (!this.progress.has(id)) return;
    this.incoming = withoutId(this.incoming, id);
    this.learners = withoutId(this.learners, id);
    this.learnersNext = withoutId(this.learnersNext, id);
    if (!this.outgoing.includes(id)) this.progress.delete(id);
  }

  #addProgress(id: NodeId, isLearner: boolean): void {
    const { lastIndex, newInflights } = this.#base;
    const progress = new Progress(id, Math.max(lastIndex, 1), newInflights(), isLearner);
    // Without this, check-quorum could depose the leader before the new member had a chance to be heard.
    progress.recentActive = true;
    this.progress.set(id, progress);
  }
}

function checkInvariants({ config, progress }: Membership): void {
  const { voters, learners, learnersNext, autoLeave } = config;
  for (const id of [...voterIds(voters), ...learners, ...learnersNext])
    if (!progress.has(id)) throw new ConfChangeError(`no progress for ${id}`);
  for (const id of learnersNext) {
    if (!voters.outgoing.includes(id)) throw new ConfChangeError(`${id} is in LearnersNext, but not Voters[1]`);
    if (progress.get(id)!.isLearner)
      throw new ConfChangeError(`${id} is in LearnersNext, but is already marked as learner`);
  }
  for (const id of learners) {
    if (voters.outgoing.includes(id)) throw new ConfChangeError(`${id} is in Learners and Voters[1]`);
    if (voters.incoming.includes(id)) throw new ConfChangeError(`${id} is in Learners and Voters[0]`);
    if (!progress.get(id)!.isLearner) throw new ConfChangeError(`${id} is in Learners, but is not marked as learner`);
  }
  if (voters.outgoing.length > 0) return;
  if (learnersNext.length > 0) throw new ConfChangeError("cfg.LearnersNext must be nil when not joint");
  if (autoLeave) throw new ConfChangeError("AutoLeave must be false when not joint");
}
