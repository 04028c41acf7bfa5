/** When a rejected client should retry: the more requests are rejected, the later. Upstream: pkg/util/flowcontrol/dropped_requests_tracker.go */
const MAX_SECONDS = 32;

export class RetryAfter {
  #seconds = 1;
  /** The first drops may raise it at once. */
  #raisedAt = -Infinity;
  /** Drops by second, oldest first. */
  #drops: { readonly second: number; count: number }[] = [];
  #second = -1;

  get seconds(): number {
    return this.#seconds;
  }

  drop(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#adapt(second);
      this.#drops.push({ second, count: 0 });
    }
    this.#drops.at(-1)!.count++;
  }

  /** Asked once a second, of the seconds that are over. */
  #adapt(second: number): void {
    this.#drops = this.#drops.filter((drop) => drop.second >= second - MAX_SECONDS);
    const dropped = this.#drops
      .filter((drop) => drop.second >= second - this.#seconds)
      .reduce((sum, { count }) => sum + count, 0);
    if (second - this.#raisedAt >= this.#seconds && dropped >= 3 * this.#seconds) {
      this.#seconds = Math.min(this.#seconds * 2, MAX_SECONDS);
      this.#raisedAt = second;
    } else if (dropped < this.#seconds && this.#seconds > 1) this.#seconds--;
  }
}
