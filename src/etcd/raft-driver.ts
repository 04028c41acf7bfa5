/**
 * Drives raft: gives it time, messages and proposals, and does the work that it asks for. The way of a write is
 *
 *     propose -> appended here, sent to the others -> durable at a quorum -> committed -> applied -> answered
 *
 * Group commit: whatever came in one turn of the event loop, or while a write was on its way, goes to disk in the next write and to each other
 * member in the next message. Alone in its cluster a member does all of it in one turn, where the disk is quick.
 *
 * What may be acknowledged when: a follower answers for entries and votes only when they are on disk; a leader sends its entries out while it writes
 * them itself, and counts itself only after that. Where the others are quicker than its own disk, it commits and applies without it; only its db file
 * waits (`kept`). The commit index alone needs no write of its own, it goes along with the next.
 *
 * Upstream: server/etcdserver/raft.go, server.go
 */
import { assert } from "../base/assert.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { etcdError } from "../protocols/etcd/errors.ts";
import { encodeConfChange } from "../raft/conf-change.ts";
import { isRaftError, RaftError } from "../raft/errors.ts";
import type { MemoryStorage } from "../raft/memory-storage.ts";
import { RawNode, type Status } from "../raft/raw-node.ts";
import type { Ready, SoftState } from "../raft/ready.ts";
import {
  NONE,
  type ConfChange,
  type ConfState,
  type Entry,
  type HardState,
  type Message,
  type NodeId,
  type Snapshot,
} from "../raft/types.ts";
import type { Codec } from "../wire/rpc/codec.ts";
import { RpcError } from "../wire/rpc/service.ts";
import type { World } from "../world/world.ts";
import { AppliedWait } from "./applied-wait.ts";
import type { Failpoints } from "./failpoints.ts";
import type { Request } from "./apply/chain.ts";
import { Entries, type EntryMachine } from "./apply/entries.ts";
import { CatchUp } from "./catch-up.ts";
import type { Leadership } from "./leadership.ts";
import type { LinearizableReads } from "./linearizable.ts";
import { LogWrites } from "./log-writes.ts";
import * as counted from "./metrics.ts";
import { Outbox } from "./outbox.ts";
import { Proposals, type Proposal } from "./proposals.ts";
import { raftLogger } from "./raft-logger.ts";
import { Ticker } from "./ticker.ts";
import type { Wal } from "./wal/wal.ts";
import { whyTimedOut } from "./why-timed-out.ts";

/** More than this committed or waiting and not yet applied, and the next are refused. */
const PENDING_MAX = 5000;
const MAX_BYTES_A_MESSAGE = 1024 * 1024;
const MAX_MESSAGES_IN_FLIGHT = 512;
/** For up to so many a trip through the thread pool would cost more than what goes on meanwhile. */
const FEW_ENTRIES = 4;

export interface StateMachine extends EntryMachine {
  /** Replaces the state by a received snapshot's, durably, and raft's with it. */
  install(snapshot: Snapshot, state: HardState): Promise<void>;
  /** After a round of entries: time to think of a snapshot. */
  settled(): void;
}

/** Work on the log while nothing else touches it. It is given the state that the log doesn't know yet. */
export type Between = (unwritten: HardState | undefined) => Promise<void>;

export interface RaftDriverOptions {
  readonly id: NodeId;
  readonly clock: World["clock"];
  readonly random: World["random"];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly codec: Codec;
  readonly wal: Wal;
  readonly storage: MemoryStorage;
  /** The last entry in the state that was found. */
  readonly applied: number;
  readonly heartbeatIntervalMs: number;
  readonly electionTimeoutMs: number;
  readonly preVote: boolean;
  readonly catchupEntries: number;
  readonly messageBytes?: number;
  readonly leadership: Leadership;
  readonly machine: StateMachine;
  readonly send: (messages: readonly Message[]) => void;
  /** What was sent leaves now, and not when this turn ends. */
  readonly flush: () => void;
  /** Since when a member is reached without a break. */
  readonly activeSince: (id: NodeId) => number | undefined;
  readonly isIdRemoved: (id: NodeId) => boolean;
  readonly onFailure: (error: unknown) => void;
  readonly failpoints: Failpoints;
}

export class RaftDriver {
  readonly node: RawNode;
  readonly applied = new AppliedWait();
  readonly proposals: Proposals;
  readonly requestTimeoutMs: number;
  readonly electionTicks: number;
  readonly #options: RaftDriverOptions;
  readonly #failpoints: Failpoints;
  readonly #clock: World["clock"];
  readonly #wal: Wal;
  readonly #storage: MemoryStorage;
  readonly #leadership: Leadership;
  readonly #machine: StateMachine;
  #reads: LinearizableReads | undefined;
  /** As raft has it; the log on disk may be behind by what `#stateIsUnwritten` tells. */
  #state: HardState;
  #stateIsUnwritten = false;
  #appliedTerm: number;
  #committed: number;
  #confState: ConfState;
  /** A first entry of the present term was applied, so the leader knows what is committed. */
  #termHasBegun = false;
  #due = false;
  readonly #writes: LogWrites;
  readonly #stallMs: number;
  #stopped: Error | undefined;
  readonly #entries: Entries;
  readonly #ticker: Ticker;
  readonly #catchUp: CatchUp;
  readonly #outbox: Outbox;

  constructor(options: RaftDriverOptions) {
    const { id, clock, storage, heartbeatIntervalMs, electionTimeoutMs, log, applied } = options;
    this.#failpoints = options.failpoints;
    this.#options = options;
    this.#clock = clock;
    this.#wal = options.wal;
    this.#storage = storage;
    this.#writes = new LogWrites({
      clock,
      wal: options.wal,
      onWritten: () => this.#run(),
      onFailure: (error) => this.#fail(error),
    });
    this.#leadership = options.leadership;
    this.#machine = options.machine;
    this.electionTicks = Math.max(2, Math.round(electionTimeoutMs / heartbeatIntervalMs));
    this.#stallMs = 3 * heartbeatIntervalMs;
    this.requestTimeoutMs = 5000 + 2 * this.electionTicks * heartbeatIntervalMs;
    this.proposals = new Proposals(clock, this.requestTimeoutMs, (startedAt, waited) =>
      waited === "queued" ? etcdError("deadlineExceeded") : this.#timeoutError(startedAt),
    );
    this.#outbox = new Outbox({
      ...options,
      isInStep: (peer) => this.node.raft.tracker.progress.get(peer)?.state === "StateReplicate",
    });
    this.#catchUp = new CatchUp(clock, storage, options.catchupEntries);
    this.#ticker = new Ticker(clock, heartbeatIntervalMs, () => this.#input(() => this.node.tick()));
    this.#entries = new Entries({
      machine: options.machine,
      proposals: this.proposals,
      codec: options.codec,
      failpoints: options.failpoints,
      intoForce: (change) => {
        const state = this.node.applyConfChange(change);
        this.#members(state);
        return state;
      },
      onApplied: (entry) => this.#applied(entry),
    });
    const { hardState, confState } = storage.initialState();
    this.#state = hardState;
    this.#confState = confState;
    this.#committed = hardState.commit;
    this.applied.advance(applied);
    this.#appliedTerm = applied === 0 ? 0 : storage.term(applied);
    const random = options.random.fork("raft");
    this.node = new RawNode({
      id,
      electionTick: this.electionTicks,
      heartbeatTick: 1,
      storage,
      applied,
      asyncStorageWrites: true,
      appliesUnstable: true,
      maxSizePerMsg: options.messageBytes ?? MAX_BYTES_A_MESSAGE,
      maxInflightMsgs: MAX_MESSAGES_IN_FLIGHT,
      checkQuorum: true,
      preVote: options.preVote,
      logger: raftLogger(log),
      random: () => random.next(),
    });
  }

  /** Applies what is known to be committed, and begins. A member that is the only voter elects itself at once. */
  start(reads: LinearizableReads): void {
    this.#reads = reads;
    this.#run();
    if (this.isOnlyVoter) this.node.campaign();
    this.#tickOrRest();
    this.#run();
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }
  get term(): number {
    return this.#appliedTerm;
  }
  get committed(): number {
    return this.#committed;
  }
  get confState(): ConfState {
    return this.#confState;
  }
  status(): Status {
    return this.node.status();
  }

  /** This member leads, alone: what it has applied is all there is. */
  get answersAlone(): boolean {
    return this.isOnlyVoter && this.#leadership.isLeader && this.#termHasBegun;
  }

  get isOnlyVoter(): boolean {
    const { voters } = this.#confState;
    return voters.length === 1 && voters[0] === this.#options.id;
  }

  /**
   * Whether this member has run all the time of late, and its disk with it. If not, another may lead by now without it knowing: what raft
   * learns while a write is under way comes to light behind it.
   */
  get isActive(): boolean {
    return this.#ticker.isActive && !this.#isStalled;
  }

  /** What was said of leadership has been checked with the others. */
  confirmActive(): void {
    this.#ticker.confirm();
  }

  /** Resolves with what applying gives, once the request is durable at a quorum and it is its turn. */
  propose(
    id: bigint,
    data: Uint8Array,
    request: Request | undefined,
    type: Entry["type"] = 0,
    asLeader = false,
  ): Promise<unknown> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    const waiting = this.#committed - this.applied.index + this.proposals.queued;
    // What makes room goes on for longer.
    if (waiting >= PENDING_MAX && (request?.lease_revoke === undefined || waiting >= 2 * PENDING_MAX))
      return Promise.reject(etcdError("tooManyRequests"));
    return new Promise((resolve, reject) => {
      const startedAt = this.#clock.monotonic();
      this.proposals.add({ id, type, data, request, asLeader, startedAt, resolve, reject, index: 0, term: 0 });
      this.#wake();
    });
  }

  proposeConfChange(id: bigint, change: ConfChange): Promise<unknown> {
    return this.propose(id, encodeConfChange({ ...change, id }, 1), undefined, 1);
  }

  /** Takes a message from another member. */
  step(message: Message): void {
    if (this.#stopped !== undefined) return;
    this.#input(() => {
      this.node.step(message);
      if (message.type === "MsgProp") this.#outbox.await(this.node.raft.log.lastIndex());
    });
  }

  readIndex(context: Uint8Array): void {
    this.#input(() => this.node.readIndex(context));
  }

  transferLeader(to: NodeId): void {
    this.#input(() => this.node.transferLeader(to));
  }

  reportUnreachable(id: NodeId): void {
    this.#input(() => this.node.reportUnreachable(id));
  }

  reportSnapshot(id: NodeId, ok: boolean): void {
    this.#input(() => this.node.reportSnapshot(id, ok ? "finish" : "failure"));
  }

  /** Until the result is called a snapshot is on its way to another member. */
  snapshotBegins(): (isTaken: boolean) => void {
    return this.#catchUp.snapshotBegins();
  }

  /** Lets time pass faster: an election comes sooner. */
  advanceTicks(ticks: number): void {
    for (let tick = 0; tick < ticks; tick++) this.#input(() => this.node.tick());
  }

  /** What this member knows can't be kept any more: from now on it says nothing, to nobody. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  /** Refuses what comes from now on; resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#halt(etcdError("stopped"));
    await this.#writes.idle();
  }

  /** Runs `work` between two writes: nothing else touches the log meanwhile. */
  async between(work: Between): Promise<void> {
    try {
      await this.#writes.run(async () => {
        if (this.#stopped === undefined) await work(this.#unwritten());
      });
    } catch {
      // The member has failed with it.
    }
  }

  /** Until all that was applied by now is in the log on disk, where it isn't. Fails where it never will be. */
  kept(): Promise<void> | undefined {
    return this.#writes.kept();
  }

  #input(give: () => void): void {
    if (this.#stopped !== undefined) return;
    try {
      give();
    } catch (error) {
      // What raft refuses from outside is dropped, as a network might have.
      if (!(error instanceof RaftError)) return this.#fail(error);
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#due) return;
    this.#due = true;
    this.#clock.soon(() => {
      this.#due = false;
      this.#run();
    });
  }

  #run(): void {
    try {
      while (this.#stopped === undefined && !this.#isStalled) {
        if (this.proposals.queued > 0 && this.#mayPropose) this.#proposeQueued();
        if (!this.node.hasReady()) break;
        this.#work(this.node.ready());
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A member whose disk stands still does so too: others should lead, and are to know. */
  get #isStalled(): boolean {
    return this.#writes.busyMs > this.#stallMs;
  }

  /** While some wait for the disk, or for others, more gather: they go together. */
  get #mayPropose(): boolean {
    const { log } = this.node.raft;
    return !this.#writes.isBusy || !this.node.raft.isLeader || log.committed === log.lastIndex();
  }

  #proposeQueued(): void {
    if (!this.node.raft.isLeader) this.proposals.refuseAsLeader(etcdError("notLeader"));
    if (this.node.raft.lead === NONE) return; // The next leader gets them.
    const queued = this.proposals.takeQueued();
    let at = 0;
    try {
      // Changes of members go alone: raft looks at each.
      for (let next = at; at < queued.length; at = next) {
        if (queued[at]!.type === 0) while (next < queued.length && queued[next]!.type === 0) next++;
        else next = at + 1;
        const batch = at === 0 && next === queued.length ? queued : queued.slice(at, next);
        this.#place(batch, this.node.proposeAll(batch));
      }
    } catch (error) {
      if (!isRaftError(error, "proposal dropped")) throw error;
      for (const { reject } of queued.slice(at)) {
        this.#options.metrics.add(counted.proposalsFailed, {});
        reject(new RpcError("Unknown", error instanceof Error ? error.message : String(error), { cause: error }));
      }
    }
  }

  #place(batch: readonly Proposal[], entries: readonly Entry[] | undefined): void {
    for (let i = 0; i < batch.length; i++) {
      if (entries === undefined) this.proposals.sent(batch[i]!);
      else this.proposals.placed(batch[i]!, entries[i]!.index, entries[i]!.term);
    }
    if (entries !== undefined && batch[0]!.type !== 0) this.#outbox.await(entries.at(-1)!.index);
  }

  #work(ready: Ready): void {
    const { softState, hardState, entries, committedEntries, snapshot, readStates, mustSync } = ready;
    if (softState !== undefined) this.#softState(softState);
    for (const readState of readStates) this.#reads?.answered(readState);
    const { isLeader } = this.#leadership;
    const { messages, promises, applied } = sorted(ready.messages, isLeader);
    if (this.#failpoints.raftBeforeLeaderSend !== undefined && isLeader) this.#failpoints.raftBeforeLeaderSend.strike();
    if (messages.length > 0) this.#outbox.send(messages);
    const isSending = isLeader && messages.length > 0;
    // The others are to work on it while this thread applies, and not after that.
    if (isSending && committedEntries.length > 0) this.#options.flush();
    if (hardState !== undefined) {
      this.#state = hardState;
      this.#stateIsUnwritten = true;
    }
    // A leader's clients wait for what was committed; a follower's leader waits for its answer. A vote must be counted among the members as
    // they are, so changes of them come first.
    const comesFirst = isLeader || committedEntries.some(({ type }) => type !== 0);
    if (comesFirst) this.#apply(committedEntries, applied);
    if (snapshot !== undefined) {
      const state = this.#state;
      this.#stateIsUnwritten = false;
      this.#writes
        .run(
          () => this.#install(snapshot, state, entries),
          () => this.#deliver(promises, false),
        )
        .catch(() => {}); // The member has failed with it.
    } else if (entries.length > 0 || mustSync) {
      if (this.#failpoints.raftBeforeSave !== undefined) this.#failpoints.raftBeforeSave.strike();
      // The others are to write while we do, and not after us. With little to do, all that is sent leaves before this thread waits for its disk.
      const mayBlock = !isSending || entries.length <= FEW_ENTRIES;
      if (isSending && mayBlock) this.#options.flush();
      this.#writes.append(entries, this.#unwritten(), mayBlock, () => {
        if (this.#failpoints.raftAfterSave !== undefined) this.#failpoints.raftAfterSave.strike();
        if (entries.length > 0) this.#storage.append(entries);
        this.#deliver(promises, !comesFirst && committedEntries.length > 0);
      });
    } else if (promises.length > 0) this.#writes.behind(() => this.#deliver(promises, false));
    if (!comesFirst) this.#apply(committedEntries, applied);
    if (this.#failpoints.raftBeforeAdvance !== undefined) this.#failpoints.raftBeforeAdvance.strike();
  }

  /** The state, where the log doesn't know it: it goes along with what is written now. */
  #unwritten(): HardState | undefined {
    if (!this.#stateIsUnwritten) return undefined;
    this.#stateIsUnwritten = false;
    return this.#state;
  }

  /** What they promise is kept: to raft itself, and to others. */
  #deliver(promises: readonly Message[], thenIsBusy: boolean): void {
    if (this.#stopped !== undefined || promises.length === 0) return;
    const { id } = this.#options;
    const others = promises.filter(({ to }) => to !== id);
    if (others.length > 0) {
      if (this.#failpoints.raftBeforeFollowerSend !== undefined && !this.#leadership.isLeader)
        this.#failpoints.raftBeforeFollowerSend.strike();
      this.#outbox.send(others);
      if (thenIsBusy) this.#options.flush();
    }
    for (const promise of promises) if (promise.to === id) this.node.step(promise);
  }

  async #install(snapshot: Snapshot, state: HardState, entries: readonly Entry[]): Promise<void> {
    const { metadata } = snapshot;
    const { log, metrics } = this.#options;
    assert(metadata.index > this.applied.index, "a snapshot from an outdated index");
    const fields = {
      "current-applied-index": this.applied.index,
      "incoming-leader-snapshot-index": metadata.index,
      "incoming-leader-snapshot-term": metadata.term,
    };
    log.info("applying snapshot", fields);
    metrics.set(counted.snapshotApplyInProgress, {}, 1);
    await this.#machine.install(snapshot, state);
    if (entries.length > 0) await this.#wal.append(entries, undefined);
    this.#failpoints.raftBeforeApplySnap?.strike();
    this.#storage.applySnapshot(snapshot);
    this.#failpoints.raftAfterApplySnap?.strike();
    this.#members(metadata.confState);
    this.#appliedTerm = metadata.term;
    this.#committed = Math.max(this.#committed, metadata.index);
    this.applied.advance(metadata.index);
    metrics.set(counted.snapshotApplyInProgress, {}, 0);
    if (entries.length > 0) this.#storage.append(entries);
    log.info("applied snapshot", fields);
  }

  #apply(entries: readonly Entry[], confirmation: readonly Message[]): void {
    if (entries.length === 0) return;
    this.#committed = Math.max(this.#committed, entries.at(-1)!.index);
    this.#entries.apply(entries);
    this.#catchUp.cut(this.applied.index, this.#confState);
    this.#machine.settled();
    for (const message of confirmation) this.node.step(message);
  }

  #applied(entry: Entry): void {
    this.#appliedTerm = entry.term;
    this.applied.advance(entry.index);
    if (entry.type !== 0 || entry.data.length > 0) return;
    if (entry.term === this.#state.term) this.#termHasBegun = true;
    this.#leadership.termBegun();
  }

  #softState({ lead }: SoftState): void {
    const { metrics, log, id } = this.#options;
    if (lead !== this.#leadership.leader) this.#termHasBegun = false;
    const isNew = this.#leadership.set(lead);
    if (isNew) metrics.add(counted.leaderChanges, {});
    metrics.set(counted.hasLeader, {}, lead === NONE ? 0 : 1);
    metrics.set(counted.isLeader, {}, lead === id ? 1 : 0);
    this.#ticker.confirm();
    this.#outbox.leaderChanged();
    if (isNew) log.v(1).info("leader changed", { "leader-id": lead.toString(16) });
    this.#tickOrRest();
  }

  #members(confState: ConfState): void {
    this.#confState = confState;
    this.#tickOrRest();
  }

  /** Alone, with itself as leader, a member has nothing to wait for: its clock stands still. */
  #tickOrRest(): void {
    const rests = this.isOnlyVoter && this.#confState.learners.length === 0 && this.#leadership.isLeader;
    if (rests || this.#stopped !== undefined) this.#ticker.rest();
    else this.#ticker.run();
  }

  #timeoutError(startedAt: number): Error {
    const { activeSince, id: localId, heartbeatIntervalMs, metrics } = this.#options;
    metrics.add(counted.proposalsFailed, {});
    const { electedAt, leader } = this.#leadership;
    const electionTimeoutMs = this.electionTicks * heartbeatIntervalMs;
    const { voters } = this.#confState;
    return etcdError(whyTimedOut({ localId, startedAt, leader, electedAt, electionTimeoutMs, voters, activeSince }));
  }

  #fail(error: unknown): void {
    const isFirst = this.#stopped === undefined;
    this.#halt(etcdError("stopped", { cause: error }));
    this.#writes.fail(error);
    if (isFirst) this.#options.onFailure(error);
  }

  #halt(error: Error): void {
    this.#stopped ??= error;
    this.#ticker.rest();
    this.#catchUp.stop();
    this.#outbox.stop();
    this.proposals.failAll(this.#stopped);
    this.applied.stop(this.#stopped);
    this.#reads?.stop(this.#stopped);
  }
}

const NO_MESSAGES: readonly Message[] = [];

/**
 * What goes to other members at once, what is to be said when all so far is kept, and what confirms that entries were applied. A leader's own
 * sayings promise nothing of its log. Whatever another says shows the term that it is in, and a restart must not find it in an earlier one.
 */
function sorted(
  messages: readonly Message[],
  isLeader: boolean,
): {
  readonly messages: readonly Message[];
  readonly promises: readonly Message[];
  readonly applied: readonly Message[];
} {
  let end = messages.length;
  let applied = NO_MESSAGES;
  let promises = NO_MESSAGES;
  if (messages[end - 1]?.type === "MsgStorageApply") applied = messages[--end]!.responses;
  if (messages[end - 1]?.type === "MsgStorageAppend") promises = messages[--end]!.responses;
  if (end === 0) return { messages: NO_MESSAGES, promises, applied };
  const sayings = messages.slice(0, end);
  if (isLeader) return { messages: sayings, promises, applied };
  return { messages: NO_MESSAGES, promises: promises.length === 0 ? sayings : [...sayings, ...promises], applied };
}
