/** Delays that grow with each failure and are reset after a quiet period. Upstream: staging/src/k8s.io/apimachinery/pkg/util/wait/backoff.go */
import type { Clock, Random } from "../../world/world.ts";

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly factor: number;
  /** Each wait is stretched by up to this share of itself. */
  readonly jitter: number;
  /** A pause between failures that is longer than this starts over. */
  readonly resetMs: number;
}

/** What client-go's reflector uses. */
export const REFLECTOR_BACKOFF: BackoffOptions = {
  firstMs: 800,
  maxMs: 30_000,
  factor: 2,
  jitter: 1,
  resetMs: 120_000,
};

export class Backoff {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: BackoffOptions;
  #nextMs: number;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, random: Random, options: BackoffOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  next(): number {
    const { firstMs, maxMs, factor, jitter, resetMs } = this.#options;
    const now = this.#clock.monotonic();
    if (now - this.#lastAt > resetMs) this.#nextMs = firstMs;
    this.#lastAt = now;
    const base = this.#nextMs;
    this.#nextMs = Math.min(maxMs, base * factor);
    return base * (1 + this.#random.next() * jitter);
  }
}
