/**
 * The leader, as this member knows it, and notification of changes. A change means a leader other than the last one known: the loss of a leader is
 * reported only together with the next one.
 * Upstream: raftReadyHandler in server/etcdserver/server.go
 */
import type { World } from "../world/world.ts";
import { NONE, type NodeId } from "../raft/types.ts";

export class Leadership {
  readonly #clock: World["clock"];
  readonly #localId: NodeId;
  #leader: NodeId = NONE;
  #isLeader = false;
  #electedAt = -Infinity;
  readonly #onLeadership: ((isLeader: boolean) => void)[] = [];
  readonly #onLeader = new Set<(leader: NodeId) => void>();
  readonly #onChange = new Set<() => void>();
  readonly #onTermBegun = new Set<() => void>();

  constructor(clock: World["clock"], localId: NodeId) {
    this.#clock = clock;
    this.#localId = localId;
  }

  /** `NONE` while there is none. */
  get leader(): NodeId {
    return this.#leader;
  }
  get isLeader(): boolean {
    return this.#isLeader;
  }
  /** On the monotonic clock: when this member became the leader, at the last time it did. */
  get electedAt(): number {
    return this.#electedAt;
  }

  /** Told when this member becomes the leader and when it no longer is. Stays for as long as the member runs. */
  onLeadership(tell: (isLeader: boolean) => void): void {
    this.#onLeadership.push(tell);
  }

  /** Told who leads whenever that is another, or nobody any more (`NONE`). */
  onLeader(tell: (leader: NodeId) => void): Disposable {
    this.#onLeader.add(tell);
    return { [Symbol.dispose]: () => this.#onLeader.delete(tell) };
  }

  /** Told of every new leader. */
  onLeaderChange(tell: () => void): Disposable {
    this.#onChange.add(tell);
    return { [Symbol.dispose]: () => this.#onChange.delete(tell) };
  }

  /** Told when the first entry of a term is applied: from then on the leader can answer reads. */
  onTermBegun(tell: () => void): Disposable {
    this.#onTermBegun.add(tell);
    return { [Symbol.dispose]: () => this.#onTermBegun.delete(tell) };
  }

  /** @internal Says whether the leader is a new one. */
  set(leader: NodeId): boolean {
    const isOther = leader !== this.#leader;
    const isNew = leader !== NONE && isOther;
    this.#leader = leader;
    const wasLeader = this.#isLeader;
    this.#isLeader = leader === this.#localId;
    if (this.#isLeader && isNew) this.#electedAt = this.#clock.monotonic();
    if (wasLeader !== this.#isLeader) for (const tell of this.#onLeadership) tell(this.#isLeader);
    if (isOther) for (const tell of this.#onLeader) tell(leader);
    if (isNew) for (const tell of this.#onChange) tell();
    return isNew;
  }

  /** @internal */
  termBegun(): void {
    for (const tell of this.#onTermBegun) tell();
  }
}
