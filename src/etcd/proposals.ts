/**
 * What this member has asked the cluster for and not yet got an answer to. A proposal is, in turn,
 *
 * - queued: there is no leader to hand it to, or a write is under way;
 * - placed: this member leads, and knows the entry's index and term. Found again by those, in order, without decoding anything;
 * - sent: on its way to another leader, or its entry was overtaken by another leader's. Found again by its id, if it is committed at all.
 *
 * One timer watches over all of them.
 *
 * Upstream: pkg/wait, processInternalRaftRequestOnce in server/etcdserver/v3_server.go
 */
import type { World } from "../world/world.ts";
import type { Request } from "./apply/chain.ts";
import type { Entry } from "../raft/types.ts";

export interface Proposal {
  readonly id: bigint;
  readonly type: Entry["type"];
  readonly data: Uint8Array;
  /** What `data` says; undefined for a change of members. */
  readonly request: Request | undefined;
  /** Only this member as the leader may ask for it: never handed to another. */
  readonly asLeader: boolean;
  readonly startedAt: number;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
  index: number;
  term: number;
}

/** How a proposal stood when its time was over. */
export type Waited = "queued" | "proposed";

export class Proposals {
  readonly #clock: World["clock"];
  readonly #timeoutMs: number;
  readonly #timeoutError: (startedAt: number, waited: Waited) => Error;
  #queue: Proposal[] = [];
  /** In the order of their entries, from `#head` on. */
  #placed: Proposal[] = [];
  #head = 0;
  readonly #sent = new Map<bigint, Proposal>();
  #timer: Disposable | undefined;

  constructor(clock: World["clock"], timeoutMs: number, timeoutError: (startedAt: number, waited: Waited) => Error) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#timeoutError = timeoutError;
  }

  get queued(): number {
    return this.#queue.length;
  }
  get pending(): number {
    return this.#queue.length + this.#placed.length - this.#head + this.#sent.size;
  }

  add(proposal: Proposal): void {
    this.#queue.push(proposal);
    this.#timer ??= this.#clock.after(this.#timeoutMs, () => this.#sweep());
  }

  /** All that is queued: the caller says of each where it went. */
  takeQueued(): readonly Proposal[] {
    const queue = this.#queue;
    this.#queue = [];
    return queue;
  }

  /** Refuses what is queued for this member alone to ask for: it doesn't lead any more. */
  refuseAsLeader(error: Error): void {
    if (!this.#queue.some(({ asLeader }) => asLeader)) return;
    const refused = this.#queue.filter(({ asLeader }) => asLeader);
    this.#queue = this.#queue.filter(({ asLeader }) => !asLeader);
    for (const { reject } of refused) reject(error);
  }

  /** Back to the head of the queue. */
  requeue(proposals: readonly Proposal[]): void {
    this.#queue = [...proposals, ...this.#queue];
  }

  placed(proposal: Proposal, index: number, term: number): void {
    proposal.index = index;
    proposal.term = term;
    this.#placed.push(proposal);
  }

  sent(proposal: Proposal): void {
    this.#sent.set(proposal.id, proposal);
  }

  /** The proposal that became this entry, where this member placed it. Entries are asked about in order. */
  takePlaced(entry: Entry): Proposal | undefined {
    for (let proposal = this.#placed[this.#head]; proposal !== undefined; proposal = this.#placed[this.#head]) {
      if (proposal.index > entry.index) return undefined;
      this.#drop();
      if (proposal.index === entry.index && proposal.term === entry.term) return proposal;
      this.#sent.set(proposal.id, proposal); // Another leader's entry stands in its place.
    }
    return undefined;
  }

  get hasSent(): boolean {
    return this.#sent.size > 0;
  }

  takeSent(id: bigint): Proposal | undefined {
    const proposal = this.#sent.get(id);
    if (proposal !== undefined) this.#sent.delete(id);
    return proposal;
  }

  failAll(error: Error): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const all = [...this.#queue, ...this.#placed.slice(this.#head), ...this.#sent.values()];
    this.#queue = [];
    this.#placed = [];
    this.#head = 0;
    this.#sent.clear();
    for (const { reject } of all) reject(error);
  }

  #drop(): void {
    if (++this.#head === this.#placed.length) {
      this.#placed.length = 0;
      this.#head = 0;
    } else if (this.#head === 1024) {
      this.#placed.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    const isOver = ({ startedAt }: Proposal) => startedAt + this.#timeoutMs <= now;
    const over = this.#queue.filter(isOver);
    if (over.length > 0) this.#queue = this.#queue.filter((proposal) => !isOver(proposal));
    for (const { startedAt, reject } of over) reject(this.#timeoutError(startedAt, "queued"));
    // Its entry may yet be committed: nobody waits for that any more.
    const expire = ({ startedAt, reject }: Proposal) => reject(this.#timeoutError(startedAt, "proposed"));
    while (this.#head < this.#placed.length && isOver(this.#placed[this.#head]!)) {
      const proposal = this.#placed[this.#head]!;
      this.#drop();
      expire(proposal);
    }
    for (const [id, proposal] of this.#sent)
      if (isOver(proposal)) {
        this.#sent.delete(id);
        expire(proposal);
      }
    let oldest = Infinity;
    for (const { startedAt } of this.#queue) oldest = Math.min(oldest, startedAt);
    for (const { startedAt } of this.#sent.values()) oldest = Math.min(oldest, startedAt);
    if (this.#head < this.#placed.length) oldest = Math.min(oldest, this.#placed[this.#head]!.startedAt);
    if (oldest !== Infinity)
      this.#timer ??= this.#clock.after(Math.max(1, oldest + this.#timeoutMs - now), () => this.#sweep());
  }
}
