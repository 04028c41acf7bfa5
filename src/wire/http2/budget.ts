/** A token bucket: an initial allowance, and a rate at which it is replenished. */
import type { Clock } from "../../world/world.ts";

export class Budget {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #since: number;

  constructor(clock: Clock, burst: number, perSecond: number) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#since = clock.monotonic();
  }

  /** False when nothing is left. The clock is asked only then. */
  spend(): boolean {
    if (this.#left < 1) {
      const now = this.#clock.monotonic();
      this.#left = Math.min(this.#burst, this.#left + ((now - this.#since) / 1000) * this.#perSecond);
      this.#since = now;
      if (this.#left < 1) return false;
    }
    this.#left--;
    return true;
  }
}
