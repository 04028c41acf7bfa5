/**
 * A group of members on a network that loses, doubles and reorders messages, whose members crash and come back with what they kept, and change
 * who belongs. All chance comes from one seed. After every step the properties of the paper's figure 3 are checked:
 *
 *     Election Safety       at most one leader is elected in a term
 *     Leader Append-Only    a leader never overwrites or deletes entries of its log
 *     Log Matching          logs with an entry of the same index and term are the same up to there
 *     Leader Completeness   what is committed in a term is in the logs of the leaders of all later terms
 *     State Machine Safety  no two members apply different entries at the same index
 *
 * and that reads are linearizable: a read's index is at least what was committed anywhere when it was asked for.
 */
import assert from "node:assert/strict";
import { decodeConfChange } from "../../raft/conf-change.ts";
import type { Config } from "../../raft/config.ts";
import { RaftError } from "../../raft/errors.ts";
import { MemoryStorage } from "../../raft/memory-storage.ts";
import { isLocalTarget } from "../../raft/message.ts";
import { RawNode } from "../../raft/raw-node.ts";
import type { ReadState } from "../../raft/ready.ts";
import { EMPTY_CONF_STATE } from "../../raft/storage.ts";
import type {
  ConfChangeSingle,
  ConfChangeType,
  ConfState,
  Entry,
  HardState,
  Message,
  NodeId,
  Snapshot,
} from "../../raft/types.ts";

const NO_DATA = new Uint8Array(0);

export interface NetworkOptions {
  readonly seed: number;
  readonly steps: number;
  /** Chances in a thousand, each step. */
  readonly loss: number;
  readonly crash: number;
  readonly confChange: number;
  readonly config: Partial<Config>;
}

/** What of a member survives a crash, and the process that doesn't. */
interface Member {
  readonly id: NodeId;
  storage: MemoryStorage;
  /** The state machine: which entry was applied last, and who belonged then. It is kept with each entry. */
  applied: number;
  confState: ConfState;
  /** Kept, but not yet durable: a crash may lose it. */
  volatile: HardState | undefined;
  node: RawNode | undefined;
  appendWork: Message[];
  applyWork: Message[];
  commit: number;
}

/** Numbers from a seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export class Network {
  readonly #options: NetworkOptions;
  readonly #random: () => number;
  readonly #members = new Map<NodeId, Member>();
  #messages: Message[] = [];
  #proposals = 0;
  #isHealing = false;

  readonly #leaders = new Map<number, NodeId>();
  /** By `index/term`: the entry, and the term of the one before it. */
  readonly #entries = new Map<string, { readonly entry: Entry; readonly previousTerm: number }>();
  readonly #committed: Entry[] = [];
  readonly #reads = new Map<string, number>();
  readonly counts = { leaders: 0, committed: 0, confChanges: 0, snapshots: 0, crashes: 0, reads: 0 };

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#random = createRandom(options.seed);
    const confState = { ...EMPTY_CONF_STATE, voters: [1n, 2n, 3n] };
    for (const id of [1n, 2n, 3n, 4n, 5n, 6n]) {
      const member: Member = {
        id,
        storage: new MemoryStorage(),
        applied: 0,
        confState: EMPTY_CONF_STATE,
        volatile: undefined,
        node: undefined,
        appendWork: [],
        applyWork: [],
        commit: 0,
      };
      this.#members.set(id, member);
      // The others start with nothing, and learn all from a leader once they are added.
      if (confState.voters.includes(id))
        this.#install(member, { data: NO_DATA, metadata: { confState, index: 1, term: 1 } });
      this.#start(member);
    }
  }

  /** Runs, then heals the network, and checks that the group goes on: all members end with the same. */
  run(): void {
    for (let i = 0; i < this.#options.steps; i++) this.#step();
    this.#heal();
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #chance(inThousand: number): boolean {
    return this.#random() * 1_000 < inThousand;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#int(items.length)]!;
  }

  #step(): void {
    const member = this.#pick([...this.#members.values()]);
    const { loss, crash, confChange } = this.#options;
    if (member.node === undefined) {
      if (this.#chance(50)) this.#start(member);
      return;
    }
    if (this.#chance(crash)) {
      this.#crash(member);
      return;
    }
    const { node } = member;
    switch (this.#int(8)) {
      case 0:
        node.tick();
        break;
      case 1:
        this.#tolerantly(() => node.propose(new TextEncoder().encode(`${++this.#proposals}`)));
        break;
      case 2:
        if (this.#chance(confChange)) this.#tolerantly(() => this.#proposeChange(node));
        else if (this.#chance(80)) this.#compact(member);
        else if (this.#chance(10)) node.transferLeader(this.#pick([...this.#members.keys()]));
        else if (this.#chance(5)) node.forgetLeader();
        else if (this.#chance(100)) this.#read(node);
        break;
      default:
        for (let i = this.#int(4); i > 0; i--) this.#deliver(loss);
    }
    if (this.#chance(700)) this.#work(member);
    this.#check();
  }

  #tolerantly(act: () => unknown): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
    }
  }

  #deliver(loss: number): void {
    if (this.#messages.length === 0) return;
    // Taken from anywhere: reordered.
    const at = this.#isHealing ? 0 : this.#int(Math.min(this.#messages.length, 8));
    const message = this.#messages[at]!;
    const isLocal = message.from === message.to || isLocalTarget(message.from);
    if (isLocal || !this.#chance(30)) this.#messages.splice(at, 1); // Else doubled: it stays, and comes again.
    if (!isLocal && this.#chance(loss)) {
      this.#members.get(message.from)?.node?.reportUnreachable(message.to);
      if (message.type === "MsgSnap") this.#members.get(message.from)?.node?.reportSnapshot(message.to, "failure");
      return;
    }
    const target = this.#members.get(message.to);
    this.#tolerantly(() => target?.node?.step(message));
    if (message.type === "MsgSnap") this.#members.get(message.from)?.node?.reportSnapshot(message.to, "finish");
  }

  #read(node: RawNode): void {
    const context = `read ${this.#reads.size}`;
    this.#reads.set(context, this.#committed.length);
    node.readIndex(new TextEncoder().encode(context));
  }

  #proposeChange(node: RawNode): void {
    const types: readonly ConfChangeType[] = [
      "ConfChangeAddNode",
      "ConfChangeAddNode",
      "ConfChangeRemoveNode",
      "ConfChangeAddLearnerNode",
    ];
    const changes = Array.from({ length: this.#pick([0, 1, 1, 2, 3]) }, (): ConfChangeSingle => ({
      type: this.#pick(types),
      nodeId: this.#pick([...this.#members.keys()]),
    }));
    const transition = this.#pick([
      "ConfChangeTransitionAuto",
      "ConfChangeTransitionJointImplicit",
      "ConfChangeTransitionJointExplicit",
    ] as const);
    const isFirstForm = changes.length === 1 && transition === "ConfChangeTransitionAuto" && this.#chance(500);
    node.proposeConfChange({ transition, changes, context: NO_DATA }, isFirstForm ? 1 : 2);
  }

  /*
   * Members.
   */

  #start(member: Member): void {
    const { storage } = member;
    const { id, applied, confState } = member;
    member.node = new RawNode({
      id,
      electionTick: 10,
      heartbeatTick: 2,
      storage: {
        initialState: () => ({ hardState: storage.initialState().hardState, confState }),
        entries: (lo, hi, maxBytes) => storage.entries(lo, hi, maxBytes),
        term: (index) => storage.term(index),
        firstIndex: () => storage.firstIndex(),
        lastIndex: () => storage.lastIndex(),
        snapshot: () => this.#snapshot(member),
      },
      applied,
      maxSizePerMsg: 40,
      maxInflightMsgs: 3,
      random: this.#random,
      ...this.#options.config,
      asyncStorageWrites: this.#options.config.asyncStorageWrites ?? false,
    });
    member.commit = 0;
  }

  /** The newest state: a leader may always make a snapshot of what it has applied. */
  #snapshot({ storage, applied, confState }: Member): Snapshot {
    this.counts.snapshots++;
    return { data: NO_DATA, metadata: { confState, index: applied, term: storage.term(applied) } };
  }

  #crash(member: Member): void {
    this.counts.crashes++;
    member.node = undefined;
    member.appendWork = []; // What wasn't written is lost, and what it would have promised was never said.
    member.applyWork = [];
    if (this.#chance(500)) this.#sync(member);
    member.volatile = undefined;
    // Messages to itself were never on the network.
    this.#messages = this.#messages.filter(
      ({ from, to }) => to !== member.id || (from !== member.id && !isLocalTarget(from)),
    );
  }

  #compact({ storage, applied }: Member): void {
    const to = applied - this.#int(5);
    if (to > storage.firstIndex()) storage.compact(Math.min(to, storage.lastIndex()));
  }

  #install(member: Member, snapshot: Snapshot): void {
    member.storage.applySnapshot(snapshot);
    member.applied = snapshot.metadata.index;
    member.confState = snapshot.metadata.confState;
  }

  /*
   * Work, done in the order that `Ready` asks for.
   */

  #work(member: Member): void {
    const { node } = member;
    if (node === undefined) return;
    if (node.hasReady()) {
      const ready = node.ready();
      this.#checkReads(ready.readStates);
      if (this.#options.config.asyncStorageWrites === true) {
        for (const message of ready.messages) {
          if (message.type === "MsgStorageAppend") member.appendWork.push(message);
          else if (message.type === "MsgStorageApply") member.applyWork.push(message);
          else this.#messages.push(message);
        }
      } else {
        this.#keep(member, ready.hardState, ready.entries, ready.snapshot, ready.mustSync);
        this.#messages.push(...ready.messages);
        this.#apply(member, ready.committedEntries);
        node.advance();
      }
    }
    if (this.#chance(500)) {
      const work = member.appendWork.shift();
      if (work !== undefined) {
        const { term, vote, commit, entries, snapshot, responses } = work;
        const hardState = term === 0 ? undefined : { term, vote, commit };
        this.#keep(member, hardState, entries, snapshot, responses.length > 0);
        this.#messages.push(...responses);
      }
    }
    if (this.#chance(500)) {
      const work = member.applyWork.shift();
      if (work !== undefined) {
        this.#apply(member, work.entries);
        this.#messages.push(...work.responses);
      }
    }
  }

  #keep(
    member: Member,
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
    mustSync: boolean,
  ): void {
    const { storage } = member;
    if (snapshot !== undefined) this.#install(member, snapshot);
    for (const entry of entries) this.#checkEntry(storage, entry, entries);
    storage.append(entries);
    member.volatile = hardState ?? member.volatile;
    // What isn't synced a crash may lose: nobody was promised anything on the strength of it.
    if (mustSync) this.#sync(member);
  }

  #sync(member: Member): void {
    const { storage, volatile } = member;
    member.volatile = undefined;
    if (volatile === undefined) return;
    // An entry may have been applied before the commit index that came with it is written.
    const commit = Math.max(volatile.commit, storage.initialState().hardState.commit);
    storage.setHardState({ ...volatile, commit });
  }

  #apply(member: Member, entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.index <= member.applied) continue; // Applied before a crash, whose commit index was lost.
      assert.equal(entry.index, member.applied + 1, "an entry was left out");
      this.#checkApplied(entry);
      member.applied = entry.index;
      if (entry.type === 0) continue;
      const change = decodeConfChange(entry.type, entry.data);
      try {
        member.confState = member.node!.applyConfChange(change);
        this.counts.confChanges++;
      } catch (error) {
        // A change that nobody can make, such as the removal of all voters: every member comes to the same.
        assert.ok(error instanceof Error && error.name === "ConfChangeError", String(error));
      }
    }
    // The state machine's own record makes what it has applied durable, and with it that this is committed.
    const { hardState } = member.storage.initialState();
    if (member.applied > hardState.commit) member.storage.setHardState({ ...hardState, commit: member.applied });
  }

  /*
   * Properties.
   */

  #check(): void {
    for (const { id, node } of this.#members.values()) {
      if (node === undefined) continue;
      const { raftState, term, commit } = node.basicStatus();
      const member = this.#members.get(id)!;
      assert.ok(commit >= member.commit, "the commit index went back");
      member.commit = commit;
      if (raftState !== "StateLeader") continue;
      const known = this.#leaders.get(term);
      if (known === undefined) {
        this.#leaders.set(term, id);
        this.counts.leaders++;
        this.#checkComplete(node);
      }
      assert.equal(known ?? id, id, `Election Safety: two leaders in term ${term}`);
    }
  }

  #checkComplete({ raft }: RawNode): void {
    for (const entry of this.#committed) {
      if (entry === undefined || entry.index < raft.log.firstIndex()) continue;
      assert.equal(raft.log.term(entry.index), entry.term, `Leader Completeness: entry ${entry.index}`);
    }
  }

  #checkEntry(storage: MemoryStorage, entry: Entry, batch: readonly Entry[]): void {
    const previous = batch[entry.index - 1 - batch[0]!.index];
    const previousTerm =
      previous?.term ?? (entry.index - 1 >= storage.firstIndex() - 1 ? storage.term(entry.index - 1) : 0);
    const key = `${entry.index}/${entry.term}`;
    const known = this.#entries.get(key);
    if (known === undefined) {
      this.#entries.set(key, { entry, previousTerm });
      return;
    }
    assert.deepEqual(entry.data, known.entry.data, `Log Matching: entry ${key}`);
    assert.equal(previousTerm, known.previousTerm, `Log Matching: before entry ${key}`);
  }

  #checkApplied(entry: Entry): void {
    const known = this.#committed[entry.index];
    if (known === undefined) {
      this.#committed[entry.index] = entry;
      this.counts.committed++;
    } else {
      assert.equal(known.term, entry.term, `State Machine Safety: entry ${entry.index}`);
      assert.deepEqual(known.data, entry.data, `State Machine Safety: entry ${entry.index}`);
    }
  }

  #checkReads(states: readonly ReadState[]): void {
    for (const { index, context } of states) {
      const committed = this.#reads.get(new TextDecoder().decode(context))!;
      this.counts.reads++;
      assert.ok(index >= committed - 1, `a read saw ${index}, though ${committed - 1} was committed before it`);
    }
  }

  /*
   * The end.
   */

  #heal(): void {
    this.#isHealing = true;
    for (const member of this.#members.values()) if (member.node === undefined) this.#start(member);
    const goal = this.#committed.length + 3;
    for (let round = 0; round < 600; round++) {
      for (const member of this.#members.values()) {
        if (member.node === undefined && this.#belongs(member.id)) this.#start(member);
        const { node } = member;
        if (node === undefined) continue;
        node.tick();
        for (let i = 0; i < 4; i++) this.#work(member);
        if (node.basicStatus().raftState !== "StateLeader") continue;
        // A leader that was removed may lead on and take nothing: whoever runs it has to stop it.
        if (!this.#belongs(member.id)) member.node = undefined;
        else if (this.#committed.length < goal)
          this.#tolerantly(() => node.propose(new TextEncoder().encode(`${++this.#proposals}`)));
      }
      for (let i = this.#messages.length; i > 0; i--) this.#deliver(0);
      this.#check();
      if (this.#committed.length >= goal && this.#isConverged()) return;
    }
    const states = [...this.#members.values()].map(
      ({ id, node, applied }) => `${id}: applied ${applied} ${Object.values(node?.basicStatus() ?? {}).join(" ")}`,
    );
    assert.fail(`the group doesn't come together: ${states.join("; ")}`);
  }

  get #newest(): Member {
    return [...this.#members.values()].reduce((a, b) => (b.applied > a.applied ? b : a));
  }

  #belongs(id: NodeId): boolean {
    const { voters, learners, votersOutgoing } = this.#newest.confState;
    return [voters, learners, votersOutgoing].some((ids) => ids.includes(id));
  }

  /** All members of the newest configuration have applied the same. */
  #isConverged(): boolean {
    const { applied, confState } = this.#newest;
    const { voters, learners, votersOutgoing } = confState;
    return [...voters, ...learners, ...votersOutgoing].every((id) => this.#members.get(id)!.applied === applied);
  }
}
