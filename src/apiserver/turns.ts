/**
 * Slices long work: each piece takes a turn, and at most one turn runs between two polls of the sockets. However many lists are being written, a
 * small request waits for one slice only.
 */
import type { Clock } from "../world/world.ts";

/** How long a slice may take. */
const SLICE_MS = 5;

export class Turns {
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  #isDue = false;
  #began = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the turn has been long enough. */
  get isOver(): boolean {
    return this.#clock.monotonic() - this.#began > SLICE_MS;
  }

  /** Does work that says after each piece whether it is done, a slice at a time. */
  async slice<T>(work: Generator<unknown, T>): Promise<T> {
    await this.next();
    for (;;) {
      const { done, value } = work.next();
      if (done === true) return value;
      if (this.isOver) await this.next();
    }
  }

  /** When it is one's turn again, after all who wait already. */
  next(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#runSoon();
    return turn;
  }

  #runSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#clock.soon(() => {
      this.#isDue = false;
      this.#began = this.#clock.monotonic();
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#runSoon();
    });
  }
}
