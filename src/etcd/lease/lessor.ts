/**
 * Leases: which there are, which keys hang on them, when they run out. It decides nothing by itself: an expired lease is told to
 * `onExpired`, which proposes its revocation as a client would.
 *
 * Upstream: server/lease/lessor.go
 */
import { Heap } from "../../base/heap.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { World } from "../../world/world.ts";
import type { LeaseBook } from "../mvcc/store.ts";

export interface Lease {
  readonly id: bigint;
  /** As granted, in seconds. */
  readonly ttl: number;
  readonly keys: Set<string>;
  /** On the monotonic clock. */
  expiresAtMs: number;
}

/** Longest TTL that anyone may ask for, in seconds. */
const MAX_TTL = 9_000_000_000;
/** How often expired leases are looked for, and how many are revoked at a time. */
const CHECK_INTERVAL_MS = 500;
const REVOKED_A_CHECK = 500;
/** A revocation that got lost is proposed again after this. */
const RETRY_MS = 3000;

export class Lessor implements LeaseBook {
  readonly #clock: World["clock"];
  readonly #minimumTtl: number;
  readonly #leases = new Map<bigint, Lease>();
  /** May hold a lease more than once, and with times that renewals have overtaken: the lease itself knows. */
  readonly #queue = new Heap<{ readonly at: number; readonly id: bigint }>((a, b) => a.at < b.at);
  #timer: Disposable | undefined;
  #onExpired: ((id: bigint) => void) | undefined;

  constructor(clock: World["clock"], minimumTtl: number) {
    this.#clock = clock;
    this.#minimumTtl = minimumTtl;
  }

  /** Begins to watch the time. Every lease gets its full term from now and `extendMs` more: whoever renews it may have been cut off. */
  promote(extendMs: number, onExpired: (id: bigint) => void): void {
    this.#onExpired = onExpired;
    for (const lease of this.#leases.values()) this.#schedule(lease, extendMs);
  }

  demote(): void {
    this.#onExpired = undefined;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  get all(): Iterable<Lease> {
    return this.#leases.values();
  }

  get(id: bigint): Lease | undefined {
    return this.#leases.get(id);
  }

  grant(id: bigint, ttl: number): Lease {
    if (id === 0n) throw etcdError("leaseNotFound");
    if (ttl > MAX_TTL) throw etcdError("leaseTTLTooLarge");
    if (this.#leases.has(id)) throw etcdError("leaseExists");
    const lease: Lease = { id, ttl: Math.max(ttl, this.#minimumTtl), keys: new Set(), expiresAtMs: 0 };
    this.#leases.set(id, lease);
    this.#schedule(lease, 0);
    return lease;
  }

  revoke(id: bigint): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw etcdError("leaseNotFound");
    this.#leases.delete(id);
    return lease;
  }

  /** Gives the TTL, or undefined where there is no such lease. */
  renew(id: bigint): number | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    lease.expiresAtMs = this.#clock.monotonic() + lease.ttl * 1000;
    return lease.ttl;
  }

  /** Whole seconds left. */
  remaining(lease: Lease): number {
    return Math.trunc((lease.expiresAtMs - this.#clock.monotonic()) / 1000);
  }

  attach(id: bigint, key: string): void {
    this.#leases.get(id)?.keys.add(key);
  }

  detach(id: bigint, key: string): void {
    this.#leases.get(id)?.keys.delete(key);
  }

  #schedule(lease: Lease, extendMs: number): void {
    lease.expiresAtMs = this.#clock.monotonic() + lease.ttl * 1000 + extendMs;
    if (this.#onExpired === undefined) return;
    this.#queue.push({ at: lease.expiresAtMs, id: lease.id });
    this.#arm();
  }

  #arm(): void {
    const next = this.#queue.peek();
    if (this.#timer !== undefined || next === undefined) return;
    // A renewal never makes this earlier, and a lease granted later never expires within the shortest TTL.
    const wait = Math.max(CHECK_INTERVAL_MS, Math.min(next.at - this.#clock.monotonic(), this.#minimumTtl * 1000));
    this.#timer = this.#clock.after(wait, () => {
      this.#timer = undefined;
      this.#check();
      this.#arm();
    });
  }

  #check(): void {
    const now = this.#clock.monotonic();
    let revoked = 0;
    for (let next = this.#queue.peek(); next !== undefined && next.at <= now; next = this.#queue.peek()) {
      if (revoked === REVOKED_A_CHECK) return;
      this.#queue.pop();
      const lease = this.#leases.get(next.id);
      if (lease === undefined) continue;
      if (lease.expiresAtMs > now) {
        this.#queue.push({ at: lease.expiresAtMs, id: lease.id });
        continue;
      }
      revoked++;
      this.#queue.push({ at: now + RETRY_MS, id: lease.id });
      this.#onExpired?.(lease.id);
    }
  }
}
