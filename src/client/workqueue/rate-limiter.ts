/** How long a failed key waits before it is retried. Upstream: staging/src/k8s.io/client-go/util/workqueue/default_rate_limiters.go */
import type { Clock } from "../../world/world.ts";

export interface RateLimiter<K> {
  /** Ms that `key` waits now; each call makes the next wait longer. */
  when(key: K): number;
  forget(key: K): void;
  retries(key: K): number;
}

export function exponentialLimiter<K>(options: { readonly baseMs: number; readonly maxMs: number }): RateLimiter<K> {
  const failures = new Map<K, number>();
  return {
    when(key) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      return Math.min(options.maxMs, options.baseMs * 2 ** count);
    },
    forget: (key) => void failures.delete(key),
    retries: (key) => failures.get(key) ?? 0,
  };
}

/** A token bucket over all keys: who comes too early books a token of the future. */
export function bucketLimiter<K>(
  clock: Clock,
  options: { readonly perSecond: number; readonly burst: number },
): RateLimiter<K> {
  let tokens = options.burst;
  let at = clock.monotonic();
  return {
    when() {
      const now = clock.monotonic();
      tokens = Math.min(options.burst, tokens + ((now - at) / 1000) * options.perSecond) - 1;
      at = now;
      return tokens >= 0 ? 0 : (-tokens / options.perSecond) * 1000;
    },
    forget() {},
    retries: () => 0,
  };
}

function maxOf<K>(...limiters: readonly RateLimiter<K>[]): RateLimiter<K> {
  return {
    when: (key) => Math.max(...limiters.map((limiter) => limiter.when(key))),
    forget: (key) => limiters.forEach((limiter) => limiter.forget(key)),
    retries: (key) => Math.max(...limiters.map((limiter) => limiter.retries(key))),
  };
}

/** 5 ms · 2ⁿ up to 1000 s a key, and ten a second with bursts of a hundred over all. */
export function defaultLimiter<K>(
  clock: Clock,
  own: { readonly baseMs?: number; readonly maxMs?: number } = {},
): RateLimiter<K> {
  return maxOf(
    exponentialLimiter({ baseMs: own.baseMs ?? 5, maxMs: own.maxMs ?? 1_000_000 }),
    bucketLimiter(clock, { perSecond: 10, burst: 100 }),
  );
}
