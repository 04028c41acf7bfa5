/** Delays that double with each failure and are reset after a quiet period. Upstream: client-go/util/flowcontrol/backoff.go */

interface Entry {
  readonly delayMs: number;
  readonly updatedMs: number;
}

export class BackOff {
  readonly #entries = new Map<string, Entry>();
  readonly #baseMs: number;
  readonly #maxMs: number;

  constructor(baseMs: number, maxMs: number) {
    this.#baseMs = Math.min(baseMs, maxMs);
    this.#maxMs = maxMs;
  }

  /** The delay that counts for something that last failed at `failedMs`; 0 when it may be tried at `nowMs`. */
  remainingMs(key: string, failedMs: number, nowMs: number): number {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#forgotten(entry, failedMs)) return 0;
    return Math.max(0, failedMs + entry.delayMs - nowMs);
  }

  delayMs(key: string): number {
    return this.#entries.get(key)?.delayMs ?? 0;
  }

  /** Counts one more try after a failure at `failedMs`. */
  next(key: string, failedMs: number, nowMs: number): void {
    const entry = this.#entries.get(key);
    const delayMs =
      entry === undefined || this.#forgotten(entry, failedMs) ? this.#baseMs : Math.min(this.#maxMs, entry.delayMs * 2);
    this.#entries.set(key, { delayMs, updatedMs: nowMs });
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }
  forgetPrefix(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }

  /** What ran well for twice the longest delay starts over. */
  #forgotten(entry: Entry, failedMs: number): boolean {
    return failedMs - entry.updatedMs > 2 * this.#maxMs;
  }
}
