/**
 * Starts concurrent writes a few at a time and polls the sockets in between: two hundred writes on one connection are a tenth of a second of work,
 * for all of which a read of one object would otherwise wait. Their order is preserved.
 */
import type { Clock } from "../world/world.ts";

/** What begins in one turn of the event loop: so many small writes. */
const TURN_COST = 16;
/** A write costs one, and as much for each so many bytes. */
const BYTES_PER_COST = 4096;

export class WriteGate {
  readonly #clock: Clock;
  readonly #waiting: { readonly cost: number; begin(): void }[] = [];
  #used = 0;
  #isDue = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does the work now, or when its turn comes. */
  pass<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const cost = 1 + bytes / BYTES_PER_COST;
    this.#nextTurnSoon();
    if (this.#waiting.length === 0 && this.#fits(cost)) {
      this.#used += cost;
      return work();
    }
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        try {
          work().then(resolve, reject);
        } catch (error) {
          // Nobody is above us in this turn: what the first filters refuse by throwing would end the process.
          reject(error);
        }
      };
      this.#waiting.push({ cost, begin });
    });
  }

  /** The first of a turn always does. */
  #fits(cost: number): boolean {
    return this.#used === 0 || this.#used + cost <= TURN_COST;
  }

  #nextTurnSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#clock.soon(() => {
      this.#isDue = false;
      this.#used = 0;
      while (this.#waiting.length > 0 && this.#fits(this.#waiting[0]!.cost)) {
        const { cost, begin } = this.#waiting.shift()!;
        this.#used += cost;
        begin();
      }
      // What begins now is part of the turn to come.
      if (this.#used > 0) this.#nextTurnSoon();
    });
  }
}
