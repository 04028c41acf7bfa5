/**
 * The way of a write: propose, durable in the log, committed, applied, answered. With one member, what is durable here is committed;
 * this file is where raft comes in, with the same entries, for several.
 *
 * Group commit: whatever is proposed in one turn of the event loop, or while a write is on its way, goes to disk in the next write.
 *
 * Upstream: server/etcdserver/raft.go, v3_server.go
 */
import { etcdError } from "../protocols/etcd/errors.ts";
import type { World } from "../world/world.ts";
import type { Entry } from "../raft/types.ts";
import type { Wal } from "./wal/wal.ts";

interface Proposal {
  readonly type: Entry["type"];
  readonly data: Uint8Array;
  readonly apply: (index: number) => unknown;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** More than this proposed and not yet applied, and the next are refused. */
const PENDING_MAX = 5000;

export class LogDriver {
  readonly #clock: World["clock"];
  readonly #wal: Wal;
  readonly #memberId: bigint;
  readonly term: number;
  #index: number;
  /** What the log knows to be committed, which is always a write behind. */
  #committed: number;
  #queue: Proposal[] = [];
  #busy = false;
  #stopped: Error | undefined;
  #onFailure: (error: unknown) => void;
  #idle: (() => void)[] = [];

  constructor(
    clock: World["clock"],
    wal: Wal,
    from: { readonly memberId: bigint; readonly term: number; readonly index: number },
    onFailure: (error: unknown) => void,
  ) {
    this.#clock = clock;
    this.#wal = wal;
    this.#memberId = from.memberId;
    this.term = from.term;
    this.#index = from.index;
    this.#committed = from.index;
    this.#onFailure = onFailure;
  }

  /** Carries on behind entries that were replayed. */
  restore(index: number): void {
    this.#index = index;
    this.#committed = index;
  }

  /** Of the last entry that is durable and applied. */
  get applied(): number {
    return this.#committed;
  }
  get pending(): number {
    return this.#queue.length;
  }

  /** Resolves with what `apply` gives, once the data is on disk and it is its turn. What `apply` throws is the answer too. */
  propose<T>(data: Uint8Array, apply: (index: number) => T, type: Entry["type"] = 0): Promise<T> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    if (this.#queue.length >= PENDING_MAX) return Promise.reject(etcdError("tooManyRequests"));
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ type, data, apply, resolve: resolve as (answer: unknown) => void, reject });
      if (this.#busy || this.#queue.length > 1) return;
      this.#clock.soon(() => this.#flush());
    });
  }

  /** Refuses what comes from now on; resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped ??= etcdError("stopped");
    for (const { reject } of this.#queue.splice(0)) reject(this.#stopped);
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Runs `work` between two writes: nothing else touches the log meanwhile. */
  async between(work: () => Promise<void>): Promise<void> {
    while (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    if (this.#stopped !== undefined) return;
    this.#busy = true;
    try {
      await work();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#released();
    }
  }

  #flush(): void {
    if (this.#busy || this.#queue.length === 0) return;
    const batch = this.#queue;
    this.#queue = [];
    const entries: Entry[] = [];
    for (let i = 0; i < batch.length; i++)
      entries.push({
        term: this.term,
        index: this.#index + 1 + i,
        type: batch[i]!.type,
        data: batch[i]!.data,
      });
    const state = { term: this.term, vote: this.#memberId, commit: this.#committed };
    let writing: Promise<void> | undefined;
    try {
      writing = this.#wal.append(entries, state);
    } catch (error) {
      this.#failBatch(batch, error);
      return;
    }
    if (writing === undefined) return this.#apply(batch);
    this.#busy = true;
    writing.then(
      () => {
        this.#apply(batch);
        this.#released();
      },
      (error: unknown) => {
        this.#failBatch(batch, error);
        this.#released();
      },
    );
  }

  #apply(batch: readonly Proposal[]): void {
    for (let i = 0; i < batch.length; i++) {
      const { apply, resolve, reject } = batch[i]!;
      const index = ++this.#index;
      this.#committed = index;
      try {
        resolve(apply(index));
      } catch (error) {
        reject(error);
      }
    }
  }

  #released(): void {
    this.#busy = false;
    for (const wake of this.#idle.splice(0)) wake();
    if (this.#queue.length > 0) this.#clock.soon(() => this.#flush());
  }

  /** Whether the bytes reached the disk is unknown, so nothing after them may be acknowledged either: the member stops. */
  #failBatch(batch: readonly Proposal[], error: unknown): void {
    this.#fail(error);
    for (const { reject } of batch) reject(this.#stopped);
  }

  #fail(error: unknown): void {
    this.#stopped ??= etcdError("stopped", { cause: error });
    for (const { reject } of this.#queue.splice(0)) reject(this.#stopped);
    this.#onFailure(error);
  }
}
