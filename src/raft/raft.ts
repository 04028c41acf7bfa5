/**
 * The state of one member, the transitions between its roles, and the part of every message that is the same in all of them.
 *
 * What a role does with a message is in `leader.ts`, `candidate.ts` and `follower.ts`; `RawNode` is the way in from outside. Section
 * numbers are those of the Raft paper (Ongaro, Ousterhout: In Search of an Understandable Consensus Algorithm).
 *
 * Upstream: raft.go
 */
import { assert, InvariantError } from "../base/assert.ts";
import { stepCandidate } from "./candidate.ts";
import { entersJoint, leavesJoint } from "./conf-change.ts";
import { validateConfig, type Config, type ReadOnlyOption } from "./config.ts";
import { enterJoint, leaveJoint, simpleChange, type ChangeBase } from "./confchange/changer.ts";
import { restoreMembership } from "./confchange/restore.ts";
import { describeConfState } from "./describe.ts";
import { encodedSizes, payloadSizes } from "./entry-size.ts";
import { RaftError } from "./errors.ts";
import { stepFollower } from "./follower.ts";
import { propose, stepLeader } from "./leader.ts";
import { RaftLog } from "./log.ts";
import { silentLogger, type Logger } from "./logger.ts";
import { createMessage, type MessageDraft } from "./message.ts";
import { byId } from "./quorum/ids.ts";
import { PendingReads } from "./read-only.ts";
import type { RaftState, ReadState } from "./ready.ts";
import { broadcastAppend, maybeSendAppend } from "./replication.ts";
import { describeConfig } from "./tracker/describe.ts";
import { ProgressTracker, type Membership } from "./tracker/tracker.ts";
import {
  NONE,
  type ConfChange,
  type ConfState,
  type Entry,
  type EntryType,
  type HardState,
  type Message,
  type NodeId,
  type Snapshot,
} from "./types.ts";

/** An entry that has no place in the log yet. */
export interface EntryDraft {
  readonly type: EntryType;
  readonly data: Uint8Array;
}

const NO_DATA = new Uint8Array(0);

/** Why a member campaigns. A transfer is wanted by the leader itself, so nobody may refuse it for the leader's sake. */
type CampaignType = "CampaignPreElection" | "CampaignElection" | "CampaignTransfer";

const TRANSFER = new Uint8Array([..."CampaignTransfer"].map((letter) => letter.charCodeAt(0)));

export class Raft {
  readonly id: NodeId;
  readonly logger: Logger;
  readonly log: RaftLog;
  readonly tracker: ProgressTracker;
  readonly maxMessageBytes: number;
  readonly readOnlyOption: ReadOnlyOption;
  readonly electionTimeout: number;
  readonly disableProposalForwarding: boolean;
  readonly disableConfChangeValidation: boolean;

  term = 0;
  vote: NodeId = NONE;
  state: RaftState = "StateFollower";
  lead: NodeId = NONE;
  /** To whom leadership is being handed; proposals are dropped meanwhile (thesis, section 3.10). */
  leadTransferee: NodeId = NONE;
  /** A change of members at or before this index may not be applied yet: no second one until it is. */
  pendingConfIndex = 0;
  electionElapsed = 0;
  /** Drawn anew in each term, so that members rarely campaign at the same time (section 5.2). */
  randomizedElectionTimeout = 0;

  /** Messages to send, and those that may leave only when what was kept before them is kept: they promise it. */
  messages: Message[] = [];
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];
  pendingReads = new PendingReads();
  /** Reads that came before the leader had committed anything in its term: until then it can't know what is committed. */
  earlyReads: Message[] = [];

  readonly #heartbeatTimeout: number;
  readonly #checkQuorum: boolean;
  readonly #preVote: boolean;
  readonly #stepDownOnRemoval: boolean;
  readonly #maxUncommittedBytes: number;
  readonly #random: () => number;
  #heartbeatElapsed = 0;
  /** Bytes of proposals in a leader's log that aren't applied yet. May be too low after an election, never too high. */
  #uncommittedBytes = 0;

  constructor(config: Config) {
    validateConfig(config);
    const { maxSizePerMsg = Infinity } = config;
    this.id = config.id;
    this.logger = config.logger ?? silentLogger;
    this.maxMessageBytes = maxSizePerMsg;
    this.readOnlyOption = config.readOnlyOption ?? "safe";
    this.electionTimeout = config.electionTick;
    this.disableProposalForwarding = config.disableProposalForwarding ?? false;
    this.disableConfChangeValidation = config.disableConfChangeValidation ?? false;
    this.#heartbeatTimeout = config.heartbeatTick;
    this.#checkQuorum = config.checkQuorum ?? false;
    this.#preVote = config.preVote ?? false;
    this.#stepDownOnRemoval = config.stepDownOnRemoval ?? false;
    this.#maxUncommittedBytes = config.maxUncommittedEntriesSize || Infinity;
    this.#random = config.random;
    this.log = new RaftLog(config.storage, this.logger, config.maxCommittedSizePerReady || maxSizePerMsg);
    this.tracker = new ProgressTracker(config.maxInflightMsgs, config.maxInflightBytes || Infinity);

    const { hardState, confState } = config.storage.initialState();
    this.#restoreConfig(confState);
    this.#loadHardState(hardState);
    if (config.applied !== undefined && config.applied > 0) this.log.appliedTo(config.applied, 0);
    this.becomeFollower(this.term, NONE);

    const peers = this.tracker.voters.map((id) => id.toString(16)).join(",");
    const { committed, applied } = this.log;
    this.logger.info(
      `newRaft ${this.name} [peers: [${peers}], term: ${this.term}, commit: ${committed}, applied: ${applied}, ` +
        `lastindex: ${this.log.lastIndex()}, lastterm: ${this.log.lastTerm()}]`,
    );
  }

  /** How log lines call this member. */
  get name(): string {
    return this.id.toString(16);
  }

  /*
   * Time.
   */

  tick(): void {
    if (this.state === "StateLeader") this.#tickHeartbeat();
    else this.#tickElection();
  }

  #tickElection(): void {
    this.electionElapsed++;
    if (!this.#promotable || this.electionElapsed < this.randomizedElectionTimeout) return;
    this.electionElapsed = 0;
    this.step(createMessage({ type: "MsgHup", from: this.id }));
  }

  #tickHeartbeat(): void {
    this.#heartbeatElapsed++;
    this.electionElapsed++;
    if (this.electionElapsed >= this.electionTimeout) {
      this.electionElapsed = 0;
      if (this.#checkQuorum) this.step(createMessage({ type: "MsgCheckQuorum", from: this.id }));
      // A transfer that takes longer than an election would is given up: the leader takes proposals again.
      if (this.isLeader) this.leadTransferee = NONE;
    }
    if (!this.isLeader || this.#heartbeatElapsed < this.#heartbeatTimeout) return;
    this.#heartbeatElapsed = 0;
    this.step(createMessage({ type: "MsgBeat", from: this.id }));
  }

  get isLeader(): boolean {
    return this.state === "StateLeader";
  }

  /** Whether this member may become leader: it has a vote, and no snapshot to put in place first. */
  get #promotable(): boolean {
    const progress = this.tracker.progress.get(this.id);
    return progress !== undefined && !progress.isLearner && this.log.unstable.snapshot === undefined;
  }

  /*
   * Sending.
   */

  /** Queues a message. Its sender and, but for votes, its term are filled in. */
  send(draft: MessageDraft): void {
    const { type } = draft;
    let term = draft.term ?? 0;
    switch (type) {
      case "MsgVote":
      case "MsgVoteResp":
      case "MsgPreVote":
      case "MsgPreVoteResp":
        // Its term is the one campaigned for, which isn't always the sender's.
        if (term === 0) throw new InvariantError(`term should be set when sending ${type}`);
        break;
      case "MsgProp":
      case "MsgReadIndex":
        // Passed on to the leader on behalf of a client: not a part of any term.
        if (term !== 0) throw new InvariantError(`term should not be set when sending ${type} (was ${term})`);
        break;
      default:
        if (term !== 0) throw new InvariantError(`term should not be set when sending ${type} (was ${term})`);
        term = this.term;
    }
    const message = createMessage(draft, draft.from || this.id, term);
    if (type === "MsgAppResp" || type === "MsgVoteResp" || type === "MsgPreVoteResp") {
      // These promise that something is kept: an entry, or a vote, which a crash must not make undone. Even those to oneself wait.
      this.messagesAfterAppend.push(message);
    } else {
      if (message.to === this.id) throw new InvariantError(`message should not be self-addressed when sending ${type}`);
      this.messages.push(message);
    }
  }

  /*
   * Roles.
   */

  becomeFollower(term: number, lead: NodeId): void {
    this.#reset(term);
    this.lead = lead;
    this.state = "StateFollower";
    this.logger.info(`${this.name} became follower at term ${this.term}`);
  }

  #becomeCandidate(): void {
    assert(this.state !== "StateLeader", "invalid transition [leader -> candidate]");
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.state = "StateCandidate";
    this.logger.info(`${this.name} became candidate at term ${this.term}`);
  }

  /** Asks how an election would end, and changes nothing that is kept: neither term nor vote. */
  #becomePreCandidate(): void {
    assert(this.state !== "StateLeader", "invalid transition [leader -> pre-candidate]");
    this.tracker.resetVotes();
    this.lead = NONE;
    this.state = "StatePreCandidate";
    this.logger.info(`${this.name} became pre-candidate at term ${this.term}`);
  }

  becomeLeader(): void {
    assert(this.state !== "StateFollower", "invalid transition [follower -> leader]");
    this.#reset(this.term);
    this.lead = this.id;
    this.state = "StateLeader";
    const own = this.tracker.progress.get(this.id)!;
    own.becomeReplicate();
    own.recentActive = true;
    // There may be a change of members among the entries that aren't applied yet. To take all of them for one costs little.
    this.pendingConfIndex = this.log.lastIndex();
    // An entry of its own term lets the leader commit those of earlier terms (section 5.4.2).
    const appended = this.appendAsLeader([{ type: 0, data: NO_DATA }]);
    assert(appended !== undefined, "empty entry was dropped");
    this.logger.info(`${this.name} became leader at term ${this.term}`);
  }

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = NONE;
    }
    this.lead = NONE;
    this.electionElapsed = 0;
    this.#heartbeatElapsed = 0;
    this.randomizedElectionTimeout = this.electionTimeout + Math.floor(this.#random() * this.electionTimeout);
    this.leadTransferee = NONE;
    this.tracker.resetVotes();
    const last = this.log.lastIndex();
    this.tracker.resetProgress(last + 1);
    const own = this.tracker.progress.get(this.id);
    if (own !== undefined) own.match = last;
    this.pendingConfIndex = 0;
    this.#uncommittedBytes = 0;
    this.pendingReads = new PendingReads();
  }

  /*
   * Elections.
   */

  campaignIfPossible(type: CampaignType): void {
    if (this.isLeader) {
      this.logger.debug(`${this.name} ignoring MsgHup because already leader`);
    } else if (!this.#promotable) {
      this.logger.warning(`${this.name} is unpromotable and can not campaign`);
    } else if (this.#hasUnappliedConfChanges()) {
      this.logger.warning(
        `${this.name} cannot campaign at term ${this.term} since there are still pending configuration changes to apply`,
      );
    } else {
      this.logger.info(`${this.name} is starting a new election at term ${this.term}`);
      this.#campaign(type);
    }
  }

  campaignAfterTransfer(): void {
    // Never by way of a pre-vote: this isn't a member that comes back from a partition, and a round trip would only cost time.
    this.campaignIfPossible("CampaignTransfer");
  }

  campaignAfterPreVote(): void {
    this.#campaign("CampaignElection");
  }

  #hasUnappliedConfChanges(): boolean {
    const { applied, committed } = this.log;
    return applied < committed && this.log.some(applied + 1, committed + 1, (entry) => entry.type !== 0);
  }

  #campaign(type: CampaignType): void {
    const preVote = type === "CampaignPreElection";
    if (preVote) this.#becomePreCandidate();
    else this.#becomeCandidate();
    const request = preVote ? "MsgPreVote" : "MsgVote";
    const term = preVote ? this.term + 1 : this.term;
    const index = this.log.lastIndex();
    const logTerm = this.log.lastTerm();
    for (const id of this.tracker.voters) {
      if (id === this.id) {
        // Its own vote counts once it is kept, like everyone's.
        this.send({ type: preVote ? "MsgPreVoteResp" : "MsgVoteResp", to: id, term });
        continue;
      }
      this.logger.info(
        `${this.name} [logterm: ${logTerm}, index: ${index}] sent ${request} request to ${id.toString(16)} at term ${this.term}`,
      );
      const context = type === "CampaignTransfer" ? TRANSFER : undefined;
      this.send({ type: request, to: id, term, index, logTerm, context });
    }
  }

  /*
   * Messages.
   */

  step(message: Message): void {
    if (message.term > this.term) {
      if (!this.#acceptHigherTerm(message)) return;
    } else if (message.term !== 0 && message.term < this.term) {
      this.#answerLowerTerm(message);
      return;
    }

    switch (message.type) {
      case "MsgHup":
        this.campaignIfPossible(this.#preVote ? "CampaignPreElection" : "CampaignElection");
        return;
      case "MsgStorageAppendResp":
        if (message.index !== 0) this.log.unstable.stableTo(message.index, message.logTerm);
        if (message.snapshot !== undefined) this.#appliedSnapshot(message.snapshot);
        return;
      case "MsgStorageApplyResp": {
        const last = message.entries.at(-1);
        if (last === undefined) return;
        this.appliedTo(last.index, encodedSizes(message.entries));
        this.#uncommittedBytes = Math.max(this.#uncommittedBytes - payloadSizes(message.entries), 0);
        return;
      }
      case "MsgVote":
      case "MsgPreVote":
        this.#answerVote(message);
        return;
      default:
    }

    switch (this.state) {
      case "StateLeader":
        stepLeader(this, message);
        return;
      case "StateCandidate":
      case "StatePreCandidate":
        stepCandidate(this, message);
        return;
      case "StateFollower":
        stepFollower(this, message);
    }
  }

  /** A later term has begun somewhere. False when this member keeps to its own: its leader is alive. */
  #acceptHigherTerm(message: Message): boolean {
    const { type, from, term } = message;
    if (type === "MsgVote" || type === "MsgPreVote") {
      const inLease = this.#checkQuorum && this.lead !== NONE && this.electionElapsed < this.electionTimeout;
      if (inLease && !isTransfer(message)) {
        // Whoever campaigns although there is a leader was cut off or removed, and would only disturb (section 6).
        const remaining = this.electionTimeout - this.electionElapsed;
        this.logger.info(
          `${this.#voteState()} ignored ${describeVote(message)} at term ${this.term}: lease is not expired (remaining ticks: ${remaining})`,
        );
        return false;
      }
    }
    // A pre-vote doesn't start a term; nor does its grant, which carries the term that was asked about. Its refusal carries a real one.
    if (type === "MsgPreVote" || (type === "MsgPreVoteResp" && !message.reject)) return true;
    this.logger.info(
      `${this.name} [term: ${this.term}] received a ${type} message with higher term from ${from.toString(16)} [term: ${term}]`,
    );
    const fromLeader = type === "MsgApp" || type === "MsgHeartbeat" || type === "MsgSnap";
    this.becomeFollower(term, fromLeader ? from : NONE);
    return true;
  }

  #answerLowerTerm(message: Message): void {
    const { type, from, term } = message;
    if ((this.#checkQuorum || this.#preVote) && (type === "MsgHeartbeat" || type === "MsgApp")) {
      // A leader of an earlier term, of which this member's term keeps it from hearing: with check-quorum its votes are ignored, and with
      // pre-vote it can't win one. The answer tells the old leader of the term, so that it steps down and the two come together again.
      this.send({ type: "MsgAppResp", to: from });
    } else if (type === "MsgPreVote") {
      // Told of the term, a pre-candidate that is behind stops trying. Silence could leave two of them waiting for each other.
      this.logger.info(`${this.#voteState()} rejected ${describeVote(message)} at term ${this.term}`);
      this.send({ type: "MsgPreVoteResp", to: from, term: this.term, reject: true });
    } else if (type === "MsgStorageAppendResp") {
      // Entries written in an earlier term may be overwritten by writes still under way: not a word about them counts. The snapshot does,
      // as it is committed.
      if (message.index !== 0)
        this.logger.info(
          `${this.name} [term: ${this.term}] ignored entry appends from a ${type} message with lower term [term: ${term}]`,
        );
      if (message.snapshot !== undefined) this.#appliedSnapshot(message.snapshot);
    } else {
      this.logger.info(
        `${this.name} [term: ${this.term}] ignored a ${type} message with lower term from ${from.toString(16)} [term: ${term}]`,
      );
    }
  }

  /**
   * Votes are asked of learners too: one may have been made a voter without knowing it yet, and its vote be needed (paper, section 6).
   */
  #answerVote(message: Message): void {
    const { type, from, term, index, logTerm } = message;
    const answer = type === "MsgVote" ? "MsgVoteResp" : "MsgPreVoteResp";
    const canVote =
      this.vote === from || (this.vote === NONE && this.lead === NONE) || (type === "MsgPreVote" && term > this.term);
    if (canVote && this.log.isUpToDate(index, logTerm)) {
      this.logger.info(`${this.#voteState()} cast ${describeVote(message, "for")} at term ${this.term}`);
      // With the term that was asked about: for a pre-vote it isn't this member's, and with that the answer would be ignored.
      this.send({ type: answer, to: from, term });
      if (type === "MsgPreVote") return;
      this.electionElapsed = 0;
      this.vote = from;
    } else {
      this.logger.info(`${this.#voteState()} rejected ${describeVote(message)} at term ${this.term}`);
      this.send({ type: answer, to: from, term: this.term, reject: true });
    }
  }

  #voteState(): string {
    return `${this.name} [logterm: ${this.log.lastTerm()}, index: ${this.log.lastIndex()}, vote: ${this.vote.toString(16)}]`;
  }

  /*
   * The log.
   */

  /** Puts proposals at the end of a leader's log. Undefined when too much waits for a quorum already. */
  appendAsLeader(drafts: readonly EntryDraft[]): readonly Entry[] | undefined {
    let bytes = 0;
    for (const { data } of drafts) bytes += data.length;
    // One that is too large alone may pass; an empty one always does, for terms begin and joint configurations end with it.
    if (this.#uncommittedBytes > 0 && bytes > 0 && this.#uncommittedBytes + bytes > this.#maxUncommittedBytes) {
      this.logger.warning(
        `${this.name} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
      );
      return undefined;
    }
    this.#uncommittedBytes += bytes;
    const { term } = this;
    const next = this.log.lastIndex() + 1;
    const entries = drafts.map(({ type, data }, i): Entry => ({ term, index: next + i, type, data }));
    this.log.append(entries);
    // The leader counts itself like any follower: when its own log is kept.
    this.send({ type: "MsgAppResp", to: this.id, index: next + entries.length - 1 });
    return entries;
  }

  maybeCommit(): boolean {
    return this.log.maybeCommit(this.tracker.committed(), this.term);
  }

  get committedInCurrentTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }

  appliedTo(index: number, bytes: number): void {
    const applied = Math.max(index, this.log.applied);
    this.log.appliedTo(applied, bytes);
    const { config } = this.tracker;
    if (!config.autoLeave || applied < this.pendingConfIndex || !this.isLeader) return;
    try {
      propose(this, [{ type: 2, data: NO_DATA }]);
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.logger.debug(
        `not initiating automatic transition out of joint configuration ${describeConfig(config)}: ${error.message}`,
      );
      return;
    }
    this.logger.info(`initiating automatic transition out of joint configuration ${describeConfig(config)}`);
  }

  #appliedSnapshot(snapshot: Snapshot): void {
    const { index } = snapshot.metadata;
    this.log.unstable.stableSnapshotTo(index);
    this.appliedTo(index, 0);
  }

  /** Replaces log and members by a snapshot. False when it has nothing new, or isn't for this member. */
  restore(snapshot: Snapshot): boolean {
    const { index, term, confState } = snapshot.metadata;
    if (index <= this.log.committed) return false;
    if (this.state !== "StateFollower") {
      this.logger.warning(`${this.name} attempted to restore snapshot as leader; should never happen`);
      this.becomeFollower(this.term + 1, NONE);
      return false;
    }
    const { voters, learners, votersOutgoing } = confState;
    if (![voters, learners, votersOutgoing].some((ids) => ids.includes(this.id))) {
      this.logger.warning(
        `${this.name} attempted to restore snapshot but it is not in the ConfState ${describeConfState(confState)}; should never happen`,
      );
      return false;
    }
    const state = () =>
      `${this.name} [commit: ${this.log.committed}, lastindex: ${this.log.lastIndex()}, lastterm: ${this.log.lastTerm()}]`;
    if (this.log.matchTerm(index, term)) {
      this.logger.info(`${state()} fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`);
      this.log.commitTo(index);
      return false;
    }
    this.log.restore(snapshot);
    this.#restoreConfig(confState);
    this.logger.info(`${state()} restored snapshot [index: ${index}, term: ${term}]`);
    return true;
  }

  /*
   * Members.
   */

  applyConfChange(change: ConfChange): ConfState {
    const base = this.#changeBase(this.tracker);
    if (leavesJoint(change)) return this.#switchTo(leaveJoint(base));
    const way = entersJoint(change);
    if (way === "no") return this.#switchTo(simpleChange(base, change.changes));
    return this.#switchTo(enterJoint(base, way === "auto-leave", change.changes));
  }

  #changeBase({ config, progress }: Membership): ChangeBase {
    return { config, progress, lastIndex: this.log.lastIndex(), newInflights: () => this.tracker.newInflights() };
  }

  #restoreConfig(confState: ConfState): void {
    const nobody = new ProgressTracker(this.tracker.maxInflight, this.tracker.maxInflightBytes);
    const restored = this.#switchTo(restoreMembership(this.#changeBase(nobody), confState));
    assert(sameMembers(confState, restored), "ConfStates not equivalent after sorting");
  }

  #switchTo(membership: Membership): ConfState {
    this.tracker.switchTo(membership);
    const { config, progress } = this.tracker;
    this.logger.info(`${this.name} switched to configuration ${describeConfig(config)}`);
    const confState = this.tracker.confState();
    if (!this.isLeader) return confState;
    const own = progress.get(this.id);
    if (own === undefined || own.isLearner) {
      // Its removal is committed, so it may go; without the option it leads on until it is replaced or stopped.
      if (this.#stepDownOnRemoval) this.becomeFollower(this.term, NONE);
      return confState;
    }
    if (config.voters.incoming.length === 0) return confState;
    if (this.maybeCommit()) {
      // A smaller quorum may have what the larger one waited for.
      broadcastAppend(this);
    } else {
      // New members needn't wait for a heartbeat to hear of the leader.
      for (const { id } of this.tracker.members) if (id !== this.id) maybeSendAppend(this, id, false);
    }
    if (this.leadTransferee !== NONE && !this.tracker.voters.includes(this.leadTransferee)) this.leadTransferee = NONE;
    return confState;
  }

  #loadHardState({ term, vote, commit }: HardState): void {
    if (term === 0 && vote === NONE && commit === 0) return;
    const last = this.log.lastIndex();
    if (commit < this.log.committed || commit > last)
      throw new InvariantError(`${this.name} state.commit ${commit} is out of range [${this.log.committed}, ${last}]`);
    this.log.committed = commit;
    this.term = term;
    this.vote = vote;
  }
}

function isTransfer({ context }: Message): boolean {
  return context?.length === TRANSFER.length && TRANSFER.every((byte, i) => context[i] === byte);
}

function describeVote({ type, from, logTerm, index }: Message, relation: "from" | "for" = "from"): string {
  return `${type} ${relation} ${from.toString(16)} [logterm: ${logTerm}, index: ${index}]`;
}

function sameMembers(a: ConfState, b: ConfState): boolean {
  const same = (x: readonly NodeId[], y: readonly NodeId[]) =>
    x.length === y.length && [...x].sort(byId).every((id, i) => id === y[i]);
  return (
    same(a.voters, b.voters) &&
    same(a.learners, b.learners) &&
    same(a.votersOutgoing, b.votersOutgoing) &&
    same(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}
