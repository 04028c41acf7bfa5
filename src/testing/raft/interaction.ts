/**
 * Runs transcripts of whole groups: every step is commanded, and every message, log line and piece of work is in the output.
 *
 *     add-nodes N [voters=(…) learners=(…) index= content= inflight= async-storage-writes= prevote= checkquorum=
 *                  max-committed-size-per-ready= disable-conf-change-validation= read-only=safe|lease-based step-down-on-removal=]
 *     campaign N · compact N INDEX · deliver-msgs [N…] [type=KIND] [drop=(N,…)] · process-ready N… · process-append-thread N… ·
 *     process-apply-thread N… · log-level LEVEL · raft-log N · raft-state · set-randomized-election-timeout N timeout=TICKS ·
 *     stabilize [N…] [log-level=LEVEL] · status N · tick-election N · tick-heartbeat N · transfer-leadership from=N to=N · forget-leader N ·
 *     send-snapshot FROM TO · propose N DATA · propose-conf-change N [v1=true] [transition=auto|implicit|explicit] · report-unreachable N M
 *
 * Ours alone, for what those can't say:
 *
 *     read-index N CONTEXT · report-snapshot N M ok|failure · restart N · and for add-nodes max-inflight-bytes=, max-size-per-msg=,
 *     max-uncommitted-size=, disable-proposal-forwarding=
 *
 * Upstream: rafttest/interaction_env*.go
 */
import assert from "node:assert/strict";
import { decodeConfChange } from "../../raft/conf-change.ts";
import type { Config } from "../../raft/config.ts";
import { describeEntries, describeMessage, describeReady } from "../../raft/describe.ts";
import { RaftError } from "../../raft/errors.ts";
import type { Logger } from "../../raft/logger.ts";
import { MemoryStorage } from "../../raft/memory-storage.ts";
import { createMessage, isLocalTarget } from "../../raft/message.ts";
import { voterIds } from "../../raft/quorum/joint.ts";
import { RawNode } from "../../raft/raw-node.ts";
import { EMPTY_CONF_STATE } from "../../raft/storage.ts";
import { describeProgressMap } from "../../raft/tracker/describe.ts";
import type {
  ConfChangeTransition,
  ConfState,
  Entry,
  HardState,
  Message,
  NodeId,
  Snapshot,
  SnapshotMetadata,
} from "../../raft/types.ts";
import { parseConfChanges } from "./conf-changes.ts";
import { runTranscript, type Command } from "./data-driven.ts";

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"] as const;

const TRANSITIONS: Readonly<Record<string, ConfChangeTransition>> = {
  auto: "ConfChangeTransitionAuto",
  implicit: "ConfChangeTransitionJointImplicit",
  explicit: "ConfChangeTransitionJointExplicit",
};

type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

/** An error that belongs in the output: a command that can't be done. */
class CommandError extends Error {}

export function runInteraction(path: string): void {
  const group = new Group();
  runTranscript(path, (command) => group.run(command));
}

/** What a transcript prints, and the log of all members. */
class Output implements Logger {
  level = 0;
  #text = "";

  get quiet(): boolean {
    return LEVELS[this.level] === "NONE";
  }

  get text(): string {
    return this.#text;
  }

  clear(): void {
    this.#text = "";
  }

  write(text: string): void {
    if (!this.quiet) this.#text += text;
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  indented(act: () => void): void {
    const before = this.#text;
    this.#text = "";
    try {
      act();
    } finally {
      const lines = this.#text === "" ? [] : this.#text.replace(/\n$/, "").split("\n");
      this.#text = before + lines.map((line) => `  ${line}\n`).join("");
    }
  }

  #log(level: number, text: string): void {
    if (this.level <= level) this.line(`${LEVELS[level]} ${text}`);
  }

  debug(text: string): void {
    this.#log(0, text);
  }

  info(text: string): void {
    this.#log(1, text);
  }

  warning(text: string): void {
    this.#log(2, text);
  }

  error(text: string): void {
    this.#log(3, text);
  }
}

/** One of its snapshots a state: data that all entries so far make together. The newest is the one to send. */
class HistoryStorage extends MemoryStorage {
  readonly history: Snapshot[];

  constructor(first: Snapshot) {
    super();
    this.history = [first];
  }

  override snapshot(): Snapshot {
    return this.history.at(-1)!;
  }

  /** What a restart finds applied: the newest of its own states and of the snapshots it was sent. */
  get newest(): SnapshotMetadata {
    const [own, sent] = [this.snapshot().metadata, super.snapshot().metadata];
    return own.index >= sent.index ? own : sent;
  }

  override initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { ...super.initialState(), confState: this.newest.confState };
  }
}

interface Member {
  node: RawNode;
  readonly config: Config;
  readonly storage: HistoryStorage;
  appendWork: Message[];
  applyWork: Message[];
}

class Group {
  readonly #output = new Output();
  readonly #members: Member[] = [];
  #messages: Message[] = [];

  run(command: Command): string {
    this.#output.clear();
    try {
      this.#do(command);
    } catch (error) {
      if (!(error instanceof CommandError || error instanceof RaftError)) throw error;
      if (this.#output.quiet) return error.message;
      this.#output.write(error.message);
    }
    return this.#output.text === "" ? "ok" : this.#output.text;
  }

  #do(command: Command): void {
    const { name, arguments: args } = command;
    const numbers = args.filter(({ values }) => values.length === 0).map(({ key }) => key);
    const valueOf = (wanted: string) => args.find(({ key }) => key === wanted)?.values[0];
    const member = () => this.#member(command, numbers[0]);
    switch (name) {
      case "_breakpoint":
        return;
      case "add-nodes":
        this.#addNodes(command);
        return;
      case "campaign":
        member().node.campaign();
        return;
      case "compact":
        member().storage.compact(Number(numbers[1]));
        this.#raftLog(member());
        return;
      case "deliver-msgs":
        this.#deliverCommand(command);
        return;
      case "process-ready":
        this.#each(command, "handling Ready", (one) => this.#processReady(one));
        return;
      case "process-append-thread":
        this.#each(command, "processing append thread", (one) => this.#processAppendThread(one));
        return;
      case "process-apply-thread":
        this.#each(command, "processing apply thread", (one) => this.#processApplyThread(one));
        return;
      case "log-level":
        this.#setLevel(numbers[0]!);
        return;
      case "raft-log":
        this.#raftLog(member());
        return;
      case "raft-state":
        this.#raftState();
        return;
      case "set-randomized-election-timeout":
        member().node.raft.randomizedElectionTimeout = Number(valueOf("timeout"));
        return;
      case "stabilize": {
        const level = this.#output.level;
        const wanted = valueOf("log-level");
        if (wanted !== undefined) this.#setLevel(wanted);
        const chosen = numbers.map((number) => this.#member(command, number));
        this.#stabilize(chosen.length === 0 ? this.#members : chosen);
        this.#output.level = level;
        return;
      }
      case "status":
        this.#output.write(describeProgressMap(member().node.status().progress));
        return;
      case "tick-election":
        for (let i = 0; i < member().config.electionTick; i++) member().node.tick();
        return;
      case "tick-heartbeat":
        for (let i = 0; i < member().config.heartbeatTick; i++) member().node.tick();
        return;
      case "transfer-leadership":
        this.#member(command, valueOf("from")).node.transferLeader(BigInt(valueOf("to")!));
        return;
      case "forget-leader":
        member().node.forgetLeader();
        return;
      case "send-snapshot":
        this.#sendSnapshot(member(), BigInt(numbers[1]!));
        return;
      case "propose":
        member().node.propose(bytes(numbers[1]!));
        return;
      case "propose-conf-change":
        this.#proposeConfChange(command, member(), valueOf("v1") === "true", valueOf("transition") ?? "auto");
        return;
      case "report-unreachable":
        member().node.reportUnreachable(BigInt(numbers[1]!));
        return;
      case "read-index":
        member().node.readIndex(bytes(numbers[1]!));
        return;
      case "report-snapshot":
        member().node.reportSnapshot(BigInt(numbers[1]!), numbers[2] === "ok" ? "finish" : "failure");
        return;
      case "restart":
        this.#restart(member());
        return;
      default:
        throw new CommandError("unknown command");
    }
  }

  #member({ place }: Command, number: string | undefined): Member {
    const member = this.#members[Number(number) - 1];
    assert.ok(member, `${place}: there is no member ${number}`);
    return member;
  }

  #each(command: Command, doing: string, act: (member: Member) => void): void {
    const numbers = command.arguments.map(({ key }) => key);
    for (const number of numbers) {
      const member = this.#member(command, number);
      if (numbers.length === 1) act(member);
      else this.#section(`> ${number} ${doing}`, () => act(member));
    }
  }

  #section(head: string, act: () => void): void {
    this.#output.line(head);
    this.#output.indented(act);
  }

  #setLevel(name: string): void {
    const level = LEVELS.indexOf(name.toUpperCase() as (typeof LEVELS)[number]);
    if (level < 0) throw new CommandError(`log levels must be either of [${LEVELS.join(" ")}]`);
    this.#output.level = level;
  }

  #addNodes({ arguments: args, place }: Command): void {
    const config: Draft<Omit<Config, "id" | "storage">> = {
      electionTick: 3,
      heartbeatTick: 1,
      maxInflightMsgs: 0x7fff_ffff,
      random: () => 0,
      logger: this.#output,
    };
    const confState: Draft<ConfState> = { ...EMPTY_CONF_STATE };
    let index = 0;
    let data = bytes("");
    for (const { key, values } of args.slice(1)) {
      const value = values[0]!;
      const isTrue = value === "true";
      switch (key) {
        case "voters":
          confState.voters = values.map(BigInt);
          break;
        case "learners":
          confState.learners = values.map(BigInt);
          break;
        case "inflight":
          config.maxInflightMsgs = Number(value);
          break;
        case "index":
          index = config.applied = Number(value);
          break;
        case "content":
          data = bytes(value);
          break;
        case "async-storage-writes":
          config.asyncStorageWrites = isTrue;
          break;
        case "prevote":
          config.preVote = isTrue;
          break;
        case "checkquorum":
          config.checkQuorum = isTrue;
          break;
        case "max-committed-size-per-ready":
          config.maxCommittedSizePerReady = Number(value);
          break;
        case "disable-conf-change-validation":
          config.disableConfChangeValidation = isTrue;
          break;
        case "read-only":
          config.readOnlyOption = value === "lease-based" ? "lease-based" : "safe";
          break;
        case "step-down-on-removal":
          config.stepDownOnRemoval = isTrue;
          break;
        case "max-inflight-bytes":
          config.maxInflightBytes = Number(value);
          break;
        case "max-size-per-msg":
          config.maxSizePerMsg = Number(value);
          break;
        case "max-uncommitted-size":
          config.maxUncommittedEntriesSize = Number(value);
          break;
        case "disable-proposal-forwarding":
          config.disableProposalForwarding = isTrue;
          break;
        default:
          assert.fail(`${place}: unknown argument ${key}`);
      }
    }
    const hasState = args.some(({ key }) => ["voters", "learners", "index", "content"].includes(key));
    if (hasState && index <= 1) throw new CommandError("index must be specified as > 1 due to bootstrap");
    for (let i = 0; i < Number(args[0]!.key); i++) {
      const snapshot = { data, metadata: { confState, index, term: hasState ? 1 : 0 } };
      const storage = new HistoryStorage(snapshot);
      if (hasState) storage.applySnapshot(snapshot);
      const whole: Config = { ...config, id: BigInt(this.#members.length + 1), storage };
      this.#members.push({ node: new RawNode(whole), config: whole, storage, appendWork: [], applyWork: [] });
    }
  }

  /** The process ends and starts again: what was kept is there, all else isn't. */
  #restart(member: Member): void {
    member.appendWork = [];
    member.applyWork = [];
    member.node = new RawNode({ ...member.config, applied: member.storage.newest.index });
  }

  #raftLog({ storage }: Member): void {
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) this.#output.write(`log is empty: first index=${first}, last index=${last}`);
    else this.#output.write(describeEntries(storage.entries(first, last + 1, Infinity)));
  }

  #raftState(): void {
    for (const { node } of this.#members) {
      const { id, raftState, config, term, lead } = node.status();
      const voter = voterIds(config.voters).includes(id) ? "(Voter)" : "(Non-Voter)";
      this.#output.line(`${id}: ${raftState} ${voter} Term:${term} Lead:${lead}`);
    }
  }

  #sendSnapshot(from: Member, to: NodeId): void {
    const { id, term } = from.node.basicStatus();
    const message = createMessage({ type: "MsgSnap", term, from: id, to, snapshot: from.storage.snapshot() });
    this.#messages.push(message);
    this.#output.write(describeMessage(message));
  }

  #proposeConfChange({ input }: Command, { node }: Member, isFirstForm: boolean, transition: string): void {
    const changes = parseConfChanges(input);
    if (TRANSITIONS[transition] === undefined) throw new CommandError(`unknown transition ${transition}`);
    if (isFirstForm && (changes.length > 1 || transition !== "auto"))
      throw new CommandError("v1 conf change can only have one operation and no transition");
    node.proposeConfChange({ transition: TRANSITIONS[transition], changes, context: bytes("") }, isFirstForm ? 1 : 2);
  }

  /*
   * Work.
   */

  #processReady(member: Member): void {
    const { node, config } = member;
    const ready = node.ready();
    this.#output.write(describeReady(ready));
    if (!config.asyncStorageWrites) {
      keep(member, ready.hardState, ready.entries, ready.snapshot);
      apply(member, ready.committedEntries);
    }
    for (const message of ready.messages) {
      if (!isLocalTarget(message.to)) this.#messages.push(message);
      else if (message.type === "MsgStorageAppend") member.appendWork.push(message);
      else member.applyWork.push(message);
    }
    if (!config.asyncStorageWrites) node.advance();
  }

  #processAppendThread(member: Member): void {
    const work = member.appendWork.shift();
    if (work === undefined) {
      this.#output.write("no append work to perform");
      return;
    }
    const { term, vote, commit, entries, snapshot } = work;
    const hasHardState = term !== 0 || vote !== 0n || commit !== 0;
    this.#finish(work, () => keep(member, hasHardState ? { term, vote, commit } : undefined, entries, snapshot));
  }

  #processApplyThread(member: Member): void {
    const work = member.applyWork.shift();
    if (work === undefined) this.#output.write("no apply work to perform");
    else this.#finish(work, () => apply(member, work.entries));
  }

  #finish(work: Message, act: () => void): void {
    this.#output.line("Processing:");
    this.#output.line(describeMessage({ ...work, responses: [] }));
    act();
    this.#output.line("Responses:");
    for (const response of work.responses) this.#output.line(describeMessage(response));
    this.#messages.push(...work.responses);
  }

  #stabilize(members: readonly Member[]): void {
    for (let isDone = false; !isDone;) {
      isDone = true;
      const round = (head: string, isDue: (member: Member) => boolean, act: (member: Member) => void) => {
        for (const member of members) {
          if (!isDue(member)) continue;
          isDone = false;
          this.#section(`> ${member.config.id} ${head}`, () => act(member));
        }
      };
      round(
        "handling Ready",
        ({ node }) => node.hasReady(),
        (member) => this.#processReady(member),
      );
      round(
        "receiving messages",
        ({ config }) => this.#messages.some(({ to }) => to === config.id),
        ({ config }) => void this.#deliver(config.id, undefined, false),
      );
      round(
        "processing append thread",
        ({ appendWork }) => appendWork.length > 0,
        (member) => {
          while (member.appendWork.length > 0) this.#processAppendThread(member);
        },
      );
      round(
        "processing apply thread",
        ({ applyWork }) => applyWork.length > 0,
        (member) => {
          while (member.applyWork.length > 0) this.#processApplyThread(member);
        },
      );
    }
  }

  /*
   * The network.
   */

  #deliverCommand({ arguments: args }: Command): void {
    const kind = args.find(({ key }) => key === "type")?.values[0];
    let count = 0;
    for (const { key, values } of args) {
      if (values.length === 0) count += this.#deliver(BigInt(key), kind, false);
      if (key === "drop") for (const id of values) count += this.#deliver(BigInt(id), kind, true);
    }
    if (count === 0) this.#output.line("no messages");
  }

  #deliver(to: NodeId, kind: string | undefined, isDropped: boolean): number {
    const chosen = this.#messages.filter(
      (message) =>
        message.to === to && (kind === undefined || message.type === kind) && !(isDropped && isLocal(message)),
    );
    this.#messages = this.#messages.filter((message) => !chosen.includes(message));
    for (const message of chosen) {
      this.#output.line(`${isDropped ? "dropped: " : ""}${describeMessage(message)}`);
      if (isDropped) continue;
      try {
        this.#members[Number(to) - 1]!.node.step(message);
      } catch (error) {
        if (!(error instanceof RaftError)) throw error;
        this.#output.line(error.message);
      }
    }
    return chosen.length;
  }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function isLocal({ from, to }: Message): boolean {
  return from === to || isLocalTarget(from) || isLocalTarget(to);
}

function keep(
  { storage }: Member,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  snapshot: Snapshot | undefined,
): void {
  if (hardState !== undefined) storage.setHardState(hardState);
  if (snapshot === undefined) {
    storage.append(entries);
    return;
  }
  assert.equal(entries.length, 0, "can't apply snapshot and entries at the same time");
  storage.applySnapshot(snapshot);
}

function apply({ node, storage }: Member, entries: readonly Entry[]): void {
  for (const { type, term, index, data } of entries) {
    const last = storage.history.at(-1)!;
    let { confState } = last.metadata;
    let update = data;
    if (type !== 0) {
      const change = decodeConfChange(type, data);
      confState = node.applyConfChange(change);
      update = change.context;
    }
    storage.history.push({ data: new Uint8Array([...last.data, ...update]), metadata: { confState, index, term } });
  }
}
