/**
 * A queue of keys for workers. A key is queued at most once; one that is added while it is being processed is queued again when that is done; and a
 * key can be added after a delay.
 * Upstream: staging/src/k8s.io/client-go/util/workqueue
 */
import { Heap } from "../../base/heap.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { Clock } from "../../world/world.ts";
import * as metric from "./metrics.ts";
import { defaultLimiter, type RateLimiter } from "./rate-limiter.ts";

export interface WorkQueueOptions<K> {
  readonly name: string;
  readonly clock: Clock;
  readonly metrics?: Metrics;
  readonly limiter?: RateLimiter<K>;
}

export class WorkQueue<K> {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #metrics: Metrics | undefined;
  readonly #limiter: RateLimiter<K>;
  /** Waiting, in order. */
  readonly #queue = new Set<K>();
  readonly #addedAt = new Map<K, number>();
  /** Being worked on, with the start; and those of them that were added again. */
  readonly #processing = new Map<K, number>();
  readonly #dirty = new Set<K>();
  readonly #takers: ((key: K | undefined) => void)[] = [];
  readonly #later = new Heap<{ readonly at: number; readonly key: K }>((a, b) => a.at < b.at);
  /** The earliest time for which a key is booked; entries of the heap with another time are void. */
  readonly #booked = new Map<K, number>();
  #timer: { readonly at: number; readonly handle: Disposable } | undefined;
  #stopped = false;

  constructor({ name, clock, metrics, limiter }: WorkQueueOptions<K>) {
    this.#name = name;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#limiter = limiter ?? defaultLimiter(clock);
  }

  get length(): number {
    return this.#queue.size;
  }

  add(key: K): void {
    if (this.#stopped || this.#queue.has(key) || this.#dirty.has(key)) return;
    this.#metrics?.add(metric.adds, { name: this.#name });
    if (this.#processing.has(key)) this.#dirty.add(key);
    else this.#offer(key);
  }

  /** Adds the key `ms` from now. Of several bookings the earliest counts. */
  addAfter(key: K, ms: number): void {
    if (this.#stopped) return;
    if (ms <= 0) return this.add(key);
    const at = this.#clock.monotonic() + ms;
    const known = this.#booked.get(key);
    if (known !== undefined && known <= at) return;
    this.#booked.set(key, at);
    this.#later.push({ at, key });
    this.#arm();
  }

  addRateLimited(key: K): void {
    this.#metrics?.add(metric.retries, { name: this.#name });
    this.addAfter(key, this.#limiter.when(key));
  }

  /** The key's work succeeded or is given up: its next failure waits the shortest time again. */
  forget(key: K): void {
    this.#limiter.forget(key);
  }

  retries(key: K): number {
    return this.#limiter.retries(key);
  }

  /** The next key, as soon as there is one; undefined once the queue is shut down. Call `done` with it afterwards. */
  take(): Promise<K | undefined> {
    if (this.#stopped) return Promise.resolve(undefined);
    for (const key of this.#queue) {
      this.#queue.delete(key);
      this.#begin(key);
      return Promise.resolve(key);
    }
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: K): void {
    const startedAt = this.#processing.get(key);
    if (startedAt === undefined) return;
    this.#processing.delete(key);
    if (this.#metrics !== undefined) {
      const now = this.#clock.monotonic();
      this.#metrics.observe(metric.workDuration, { name: this.#name }, (now - startedAt) / 1000);
      this.#reportUnfinished(this.#metrics, now);
    }
    if (this.#dirty.delete(key)) this.#offer(key);
  }

  shutDown(): void {
    this.#stopped = true;
    this.#timer?.handle[Symbol.dispose]();
    this.#queue.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #offer(key: K): void {
    if (this.#stopped) return;
    const taker = this.#takers.shift();
    this.#addedAt.set(key, this.#clock.monotonic());
    if (taker === undefined) {
      this.#queue.add(key);
      this.#metrics?.set(metric.depth, { name: this.#name }, this.#queue.size);
    } else {
      this.#begin(key);
      taker(key);
    }
  }

  #begin(key: K): void {
    const now = this.#clock.monotonic();
    this.#processing.set(key, now);
    const addedAt = this.#addedAt.get(key) ?? now;
    this.#addedAt.delete(key);
    if (this.#metrics === undefined) return;
    this.#metrics.set(metric.depth, { name: this.#name }, this.#queue.size);
    this.#metrics.observe(metric.queueDuration, { name: this.#name }, (now - addedAt) / 1000);
  }

  #arm(): void {
    const next = this.#later.peek();
    if (next === undefined || (this.#timer !== undefined && this.#timer.at <= next.at)) return;
    this.#timer?.handle[Symbol.dispose]();
    const wait = Math.max(0, next.at - this.#clock.monotonic());
    this.#timer = { at: next.at, handle: this.#clock.after(wait, () => this.#due()) };
  }

  #due(): void {
    this.#timer = undefined;
    if (this.#stopped) return;
    const now = this.#clock.monotonic();
    for (let next = this.#later.peek(); next !== undefined && next.at <= now; next = this.#later.peek()) {
      this.#later.pop();
      if (this.#booked.get(next.key) !== next.at) continue;
      this.#booked.delete(next.key);
      this.add(next.key);
    }
    this.#arm();
  }

  #reportUnfinished(metrics: Metrics, now: number): void {
    let total = 0;
    let longest = 0;
    for (const startedAt of this.#processing.values()) {
      total += now - startedAt;
      longest = Math.max(longest, now - startedAt);
    }
    metrics.set(metric.unfinishedWork, { name: this.#name }, total / 1000);
    metrics.set(metric.longestRunning, { name: this.#name }, longest / 1000);
  }
}
