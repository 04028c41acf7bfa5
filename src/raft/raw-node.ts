/**
 * One member of a raft group, driven from outside: input by the methods, output by `ready`.
 *
 * Nothing here waits, reads a clock, or touches a disk or a network. The same calls always give the same output.
 *
 * Upstream: rawnode.go, bootstrap.go
 */
import { assert, InvariantError } from "../base/assert.ts";
import { encodeConfChange } from "./conf-change.ts";
import type { Config } from "./config.ts";
import { encodedSizes } from "./entry-size.ts";
import { RaftError } from "./errors.ts";
import { propose } from "./leader.ts";
import { createMessage, isLocalMessage, isLocalTarget, isResponseMessage } from "./message.ts";
import { Raft, type EntryDraft } from "./raft.ts";
import type { BasicStatus, RaftState, Ready, ReadState } from "./ready.ts";
import {
  needsAppendResponse,
  storageAppend,
  storageAppendResponse,
  storageApply,
  storageApplyResponse,
} from "./storage-messages.ts";
import type { Progress } from "./tracker/progress.ts";
import type { TrackerConfig } from "./tracker/tracker.ts";
import { NONE, type ConfChange, type ConfState, type Entry, type Message, type NodeId } from "./types.ts";

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

const NO_MESSAGES: readonly Message[] = [];
const NO_READS: readonly ReadState[] = [];

export class RawNode {
  /** The state machine within, for tests that look at it or set its timeout. */
  readonly raft: Raft;
  readonly #storage: Config["storage"];
  readonly #async: boolean;
  readonly #appliesUnstable: boolean;
  /** What the driver was told last, to tell it only what is new. */
  #lead: NodeId;
  #raftState: RaftState;
  #term: number;
  #vote: NodeId;
  #commit: number;
  /** What `advance` has to step. */
  #toAdvance: Message[] = [];
  #readyOut = false;

  constructor(config: Config) {
    this.raft = new Raft(config);
    this.#storage = config.storage;
    this.#async = config.asyncStorageWrites ?? false;
    this.#appliesUnstable = config.appliesUnstable ?? !this.#async;
    this.#lead = this.raft.lead;
    this.#raftState = this.raft.state;
    this.#term = this.raft.term;
    this.#vote = this.raft.vote;
    this.#commit = this.raft.log.committed;
  }

  /** Writes the first members of a new group into an empty log, as changes that are committed already. Each member must write the same. */
  bootstrap(peers: readonly Peer[]): void {
    assert(peers.length > 0, "must provide at least one peer to Bootstrap");
    assert(this.#storage.lastIndex() === 0, "can't bootstrap a nonempty Storage");
    const { raft } = this;
    this.#term = 0;
    this.#vote = NONE;
    this.#commit = 0;
    raft.becomeFollower(1, NONE);
    const changes = peers.map(({ id, context }): ConfChange => ({
      transition: "ConfChangeTransitionAuto",
      changes: [{ type: "ConfChangeAddNode", nodeId: id }],
      context,
    }));
    raft.log.append(
      changes.map((change, i): Entry => ({ term: 1, index: i + 1, type: 1, data: encodeConfChange(change, 1) })),
    );
    raft.log.committed = changes.length;
    // They come into force here, so that the member can campaign at once, and again when the driver applies them, which changes nothing.
    for (const change of changes) raft.applyConfChange(change);
  }

  /** An interval of the driver's clock has passed. */
  tick(): void {
    this.raft.tick();
  }

  campaign(): void {
    this.raft.step(createMessage({ type: "MsgHup" }));
  }

  /**
   * Asks for an entry. A leader appends it and returns it: the same object comes back in `committedEntries`. A follower passes it on and
   * returns undefined. Throws `RaftError` "proposal dropped" when there is no leader, or too much waits already.
   */
  propose(data: Uint8Array): Entry | undefined {
    return this.#propose({ type: 0, data });
  }

  /**
   * Asks for a change of members, written in its first form when `form` is 1. Returns and throws what `propose` does. What a leader
   * returns has type 0 if the change can't be made now: it is replaced by an entry that says nothing.
   */
  proposeConfChange(change: ConfChange, form: 1 | 2 = 2): Entry | undefined {
    return this.#propose({ type: form, data: encodeConfChange(change, form) });
  }

  /** As `propose`, for several at once: they go to each other member in one message. */
  proposeAll(drafts: readonly EntryDraft[]): readonly Entry[] | undefined {
    if (this.raft.isLeader) return propose(this.raft, drafts);
    const entries = drafts.map(({ type, data }): Entry => ({ term: 0, index: 0, type, data }));
    this.raft.step(createMessage({ type: "MsgProp", from: this.raft.id, entries }));
    return undefined;
  }

  #propose(draft: EntryDraft): Entry | undefined {
    if (this.raft.isLeader) return propose(this.raft, [draft])[0];
    const entries = [{ term: 0, index: 0, type: draft.type, data: draft.data }];
    this.raft.step(createMessage({ type: "MsgProp", from: this.raft.id, entries }));
    return undefined;
  }

  /** Puts a committed change of members into force. A change that the state machine refuses isn't handed in. */
  applyConfChange(change: ConfChange): ConfState {
    return this.raft.applyConfChange(change);
  }

  /** Takes a message from another member, or from a storage thread. Throws `RaftError` "local message", "peer not found" or "proposal dropped". */
  step(message: Message): void {
    const { type, from } = message;
    if (!isLocalTarget(from)) {
      if (isLocalMessage(type)) throw new RaftError("local message");
      if (isResponseMessage(type) && !this.raft.tracker.progress.has(from)) throw new RaftError("peer not found");
    }
    this.raft.step(message);
  }

  hasReady(): boolean {
    const { raft } = this;
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      raft.log.unstable.hasNextEntries ||
      raft.log.hasNextCommitted(this.#appliesUnstable) ||
      raft.readStates.length > 0 ||
      raft.log.unstable.nextSnapshot() !== undefined ||
      this.#softStateChanged ||
      this.#hardStateChanged
    );
  }

  get #softStateChanged(): boolean {
    return this.raft.lead !== this.#lead || this.raft.state !== this.#raftState;
  }

  get #hardStateChanged(): boolean {
    const { raft } = this;
    return raft.log.committed !== this.#commit || raft.term !== this.#term || raft.vote !== this.#vote;
  }

  /** The work to do now. Each must be done and confirmed by `advance` before the next is asked for, unless storage is asynchronous. */
  ready(): Ready {
    const { raft } = this;
    const { log } = raft;
    if (this.#readyOut) throw new InvariantError("two accepted Ready structs without call to Advance");

    const softState = this.#softStateChanged ? { lead: raft.lead, raftState: raft.state } : undefined;
    const hardState = this.#hardStateChanged ? { term: raft.term, vote: raft.vote, commit: log.committed } : undefined;
    const entries = log.unstable.nextEntries();
    const snapshot = log.unstable.nextSnapshot();
    const committedEntries = log.nextCommitted(this.#appliesUnstable);
    const mustSync = entries.length > 0 || raft.vote !== this.#vote || raft.term !== this.#term;
    const readStates = raft.readStates.length > 0 ? raft.readStates : NO_READS;
    let messages: Message[] | undefined = raft.messages.length > 0 ? raft.messages : undefined;

    if (this.#async) {
      const mustAppend =
        entries.length > 0 || hardState !== undefined || snapshot !== undefined || raft.messagesAfterAppend.length > 0;
      if (mustAppend) (messages ??= []).push(storageAppend(raft, entries, hardState, snapshot));
      if (committedEntries.length > 0) (messages ??= []).push(storageApply(raft, committedEntries));
    } else {
      this.#readyOut = true;
      for (const message of raft.messagesAfterAppend) {
        if (message.to === raft.id) this.#toAdvance.push(message);
        else (messages ??= []).push(message);
      }
      if (needsAppendResponse(raft, snapshot)) this.#toAdvance.push(storageAppendResponse(raft, snapshot));
      if (committedEntries.length > 0) this.#toAdvance.push(storageApplyResponse(raft, committedEntries));
    }

    if (softState !== undefined) {
      this.#lead = softState.lead;
      this.#raftState = softState.raftState;
    }
    if (hardState !== undefined) {
      this.#term = hardState.term;
      this.#vote = hardState.vote;
      this.#commit = hardState.commit;
    }
    if (raft.readStates.length > 0) raft.readStates = [];
    if (raft.messages.length > 0) raft.messages = [];
    if (raft.messagesAfterAppend.length > 0) raft.messagesAfterAppend = [];
    log.unstable.acceptInProgress();
    const last = committedEntries.at(-1);
    if (last !== undefined) log.acceptApplying(last.index, encodedSizes(committedEntries), this.#appliesUnstable);

    return {
      softState,
      hardState,
      readStates,
      entries,
      snapshot,
      committedEntries,
      messages: messages ?? NO_MESSAGES,
      mustSync,
    };
  }

  /** The work of the last `ready` is done. */
  advance(): void {
    if (this.#async) throw new InvariantError("Advance must not be called when using AsyncStorageWrites");
    const messages = this.#toAdvance;
    this.#toAdvance = [];
    this.#readyOut = false;
    for (const message of messages) this.raft.step(message);
  }

  /**
   * Asks for an index up to which to apply before a read may be answered. It comes as a `ReadState` with the same context; or never, when
   * there is no leader or a message is lost: then ask again.
   */
  readIndex(context: Uint8Array): void {
    const entries = [{ term: 0, index: 0, type: 0 as const, data: context }];
    this.raft.step(createMessage({ type: "MsgReadIndex", entries }));
  }

  /** Hands leadership to a voter, as soon as its log is as long as the leader's. Given up after an election timeout. */
  transferLeader(id: NodeId): void {
    this.raft.step(createMessage({ type: "MsgTransferLeader", from: id }));
  }

  /** A follower forgets its leader, so that a pre-vote of another member can win. */
  forgetLeader(): void {
    this.raft.step(createMessage({ type: "MsgForgetLeader" }));
  }

  /** A message to a member couldn't be sent. */
  reportUnreachable(id: NodeId): void {
    this.raft.step(createMessage({ type: "MsgUnreachable", from: id }));
  }

  /** How the sending of a snapshot ended. Without this its receiver gets nothing more. */
  reportSnapshot(id: NodeId, outcome: "finish" | "failure"): void {
    this.raft.step(createMessage({ type: "MsgSnapStatus", from: id, reject: outcome === "failure" }));
  }

  status(): Status {
    const { tracker, isLeader } = this.raft;
    const progress = new Map<NodeId, Progress>();
    if (isLeader) for (const member of tracker.members) progress.set(member.id, member.clone());
    return { ...this.basicStatus(), config: tracker.config, progress };
  }

  basicStatus(): BasicStatus {
    const { id, term, vote, log, lead, state, leadTransferee } = this.raft;
    return {
      id,
      term,
      vote,
      commit: log.committed,
      lead,
      raftState: state,
      applied: log.applied,
      leadTransferee,
    };
  }
}
