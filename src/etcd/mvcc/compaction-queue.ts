/**
 * Compactions that still have rows to delete, oldest first. They yield after each batch.
 * Upstream: pkg/schedule; server/storage/mvcc/kvstore_compaction.go
 */
import type { World } from "../../world/world.ts";

export interface CompactionWork {
  readonly revision: number;
  /** Drops about so many rows, fewer when `isTime` says so; true at the end. */
  step(rows: number, isTime?: () => boolean): boolean;
}

/** A batch and the rest behind it are cut into so many parts: requests wait for one of them, and for the next after they had their turn. */
const PARTS = 5;
/** A part ends after this, however little it has done. */
const PART_MS = 1;

/** So many rows a batch, and so long a rest behind it. */
export interface CompactionPace {
  readonly compactionBatchLimit: number;
  readonly compactionSleepIntervalMs: number;
}

interface Queued {
  readonly work: CompactionWork;
  readonly done: () => void;
  startedAt: number | undefined;
}

/** Told how long a batch held others up, and how long all of a compaction took, pauses and all. */
export interface CompactionListener {
  onStep(ms: number): void;
  onFinished(revision: number, ms: number): void;
}

export class CompactionQueue {
  readonly #clock: World["clock"];
  readonly #options: CompactionPace;
  readonly #listener: CompactionListener;
  #queue: Queued[] = [];
  #timer: Disposable | undefined;
  #stopped = false;

  constructor(clock: World["clock"], options: CompactionPace, listener: CompactionListener) {
    this.#clock = clock;
    this.#options = options;
    this.#listener = listener;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Resolves when the rows are dropped. */
  add(work: CompactionWork): Promise<void> {
    return new Promise((done) => {
      this.#queue.push({ work, done, startedAt: undefined });
      this.#schedule();
    });
  }

  /** Forgets all there is: the state that it was about is being replaced. */
  clear(): void {
    for (const { done } of this.#queue.splice(0)) done();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.[Symbol.dispose]();
    this.clear();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#stopped || this.#queue.length === 0) return;
    const { compactionBatchLimit, compactionSleepIntervalMs } = this.#options;
    this.#timer = this.#clock.after(compactionSleepIntervalMs / PARTS, () => {
      this.#timer = undefined;
      if (this.#stopped || this.#queue.length === 0) return;
      this.#step(Math.ceil(compactionBatchLimit / PARTS));
      this.#schedule();
    });
  }

  #step(rows: number): void {
    const first = this.#queue[0]!;
    const begun = this.#clock.monotonic();
    first.startedAt ??= begun;
    const isOver = first.work.step(rows, () => this.#clock.monotonic() - begun >= PART_MS);
    const now = this.#clock.monotonic();
    this.#listener.onStep(now - begun);
    if (!isOver) return;
    this.#queue.shift();
    this.#listener.onFinished(first.work.revision, now - first.startedAt);
    first.done();
  }
}
