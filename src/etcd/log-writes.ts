/**
 * What raft wants kept, on its way into the log: one write after the other, in order, and whatever waits for a write in the next one. Raft goes on
 * meanwhile; what it promises of a write is said behind it. A quick disk is done in the turn in which it was asked.
 *
 * Upstream: the append thread of asynchronous storage writes (raft's doc.go)
 */
import type { Entry, HardState } from "../raft/types.ts";
import type { Clock } from "../world/world.ts";
import type { Wal } from "./wal/wal.ts";

interface Append {
  readonly entries: readonly Entry[];
  readonly state: HardState | undefined;
  readonly done: () => void;
}

/** Something else that needs the log for itself. */
interface Work {
  readonly run: () => Promise<void> | undefined;
  readonly done: () => void;
  /** Called where `done` never will be. */
  readonly failed: (error: unknown) => void;
}

type Job = Append | Work;

export interface LogWritesDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly wal: Pick<Wal, "append">;
  /** A write has ended that was waited for, and what hung on it has been done. */
  readonly onWritten: () => void;
  /** Nothing is written after this: whether the bytes reached the disk is unknown, so nothing behind them may be acknowledged either. */
  readonly onFailure: (error: unknown) => void;
}

export class LogWrites {
  readonly #deps: LogWritesDeps;
  #queue: Job[] = [];
  #isBusy = false;
  #since = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: LogWritesDeps) {
    this.#deps = deps;
  }

  /** Something is under way. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** For how long the one that is under way has been. */
  get busyMs(): number {
    return this.#isBusy ? this.#deps.clock.monotonic() - this.#since : 0;
  }

  /** `done` is called when they are on disk: in this turn, where nothing is under way, `mayBlock` is true and the disk is quick. */
  append(entries: readonly Entry[], state: HardState | undefined, mayBlock: boolean, done: () => void): void {
    if (this.#failure !== undefined) return;
    if (this.#isBusy) return void this.#queue.push({ entries, state, done });
    const writing = this.#deps.wal.append(entries, state, mayBlock);
    if (writing === undefined) done();
    else this.#await(writing, [done]);
  }

  /** Calls `done` behind all that was asked for so far. */
  behind(done: () => void): void {
    if (this.#failure !== undefined) return;
    if (this.#isBusy) this.#queue.push({ run: () => undefined, done, failed: () => {} });
    else done();
  }

  /** Has the log for itself, behind all that was asked for so far. `atEnd` comes before anything that waits behind it. */
  run(work: () => Promise<void>, atEnd?: () => void): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    return new Promise((resolve, failed) => {
      const done = () => {
        atEnd?.();
        resolve();
      };
      if (this.#isBusy) this.#queue.push({ run: work, done, failed });
      else this.#await(work(), [done], failed);
    });
  }

  /** Until all that was asked for so far is on disk, where it isn't. Fails where it never will be. */
  kept(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (!this.#isBusy) return undefined;
    return new Promise((done, failed) => this.#queue.push({ run: () => undefined, done, failed }));
  }

  /** What is under way ends by itself, what waits is given up. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const job of this.#queue.splice(0)) if ("failed" in job) job.failed(error);
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    while (this.#isBusy) await this.#current.catch(() => {}); // `onFailure` was told.
  }
  #current: Promise<unknown> = Promise.resolve();

  #await(writing: Promise<void>, all: readonly (() => void)[], failed: (error: unknown) => void = () => {}): void {
    this.#isBusy = true;
    this.#since = this.#deps.clock.monotonic();
    this.#current = writing.then(
      () => this.#written(all),
      (error: unknown) => {
        this.#isBusy = false;
        failed(error);
        this.#deps.onFailure(error);
      },
    );
  }

  #written(all: readonly (() => void)[]): void {
    try {
      for (const done of all) done();
      // What came meanwhile goes on at once, before anything new.
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        const { writing, done, failed } = next;
        if (writing !== undefined) {
          this.#await(writing, done, failed);
          break;
        }
        for (const call of done) call();
      }
    } catch (error) {
      this.#isBusy = false;
      return this.#deps.onFailure(error);
    }
    this.#deps.onWritten();
  }

  #next():
    | {
        readonly writing: Promise<void> | undefined;
        readonly done: readonly (() => void)[];
        readonly failed?: (error: unknown) => void;
      }
    | undefined {
    const first = this.#queue[0];
    if (first === undefined) {
      this.#isBusy = false;
      return undefined;
    }
    if (!("entries" in first)) {
      this.#queue.shift();
      return { writing: first.run(), done: [first.done], failed: first.failed };
    }
    let count = this.#queue.findIndex((job) => !("entries" in job));
    if (count === -1) count = this.#queue.length;
    const appends = this.#queue.splice(0, count) as Append[];
    const entries = appends.length === 1 ? first.entries : appends.flatMap((append) => append.entries);
    const state = appends.findLast((append) => append.state !== undefined)?.state;
    return { writing: this.#deps.wal.append(entries, state, true), done: appends.map(({ done }) => done) };
  }
}
