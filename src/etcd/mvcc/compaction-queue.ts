/**
 * Compactions that still have rows to drop, oldest first. They give way to other work after each batch, and rest while someone reads the rows as
 * they are, as the writer of a snapshot does.
 *
 * Upstream: pkg/schedule; server/storage/mvcc/kvstore_compaction.go
 */
import type { World } from "../../world/world.ts";

export interface CompactionWork {
  /** Does about so many rows; true at the end. */
  step(rows: number): boolean;
}

interface Queued {
  readonly work: CompactionWork;
  readonly done: () => void;
}

export class CompactionQueue {
  readonly #clock: World["clock"];
  readonly #batchRows: number;
  readonly #onFinished: () => void;
  #queue: Queued[] = [];
  #isDue = false;
  #rests = 0;
  #stopped = false;

  constructor(clock: World["clock"], batchRows: number, onFinished: () => void) {
    this.#clock = clock;
    this.#batchRows = batchRows;
    this.#onFinished = onFinished;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Resolves when the rows are dropped. */
  add(work: CompactionWork): Promise<void> {
    return new Promise((done) => {
      this.#queue.push({ work, done });
      this.#schedule();
    });
  }

  /** Nothing is dropped until the result is disposed. */
  rest(): Disposable {
    this.#rests++;
    return {
      [Symbol.dispose]: () => {
        this.#rests--;
        this.#schedule();
      },
    };
  }

  /** Does all there is, at once. */
  finish(): void {
    while (this.#queue.length > 0) this.#step(Infinity);
  }

  /** Forgets all there is: the state that it was about is being replaced. */
  clear(): void {
    for (const { done } of this.#queue.splice(0)) done();
  }

  stop(): void {
    this.#stopped = true;
    this.clear();
  }

  #schedule(): void {
    if (this.#isDue || this.#stopped || this.#rests > 0 || this.#queue.length === 0) return;
    this.#isDue = true;
    this.#clock.soon(() => {
      this.#isDue = false;
      if (this.#rests > 0 || this.#stopped || this.#queue.length === 0) return;
      this.#step(this.#batchRows);
      this.#schedule();
    });
  }

  #step(rows: number): void {
    const { work, done } = this.#queue[0]!;
    if (!work.step(rows)) return;
    this.#queue.shift();
    this.#onFinished();
    done();
  }
}
