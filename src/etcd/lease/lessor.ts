/**
 * Leases: which exist, which keys are attached to them, and when they expire. Every member keeps them, in the bucket `lease`; only the leader's
 * lessor, the primary, watches the time, and for the others no lease ever expires. It changes nothing itself: expired leases are reported to
 * `onExpired`, which proposes their revocation as a client would.
 *
 * Upstream: server/lease/lessor.go
 */
import { Heap } from "../../base/heap.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import { Distribution } from "../../observe/metrics.ts";
import { LeasepbLease } from "../../protocols/etcd/generated.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import type { World } from "../../world/world.ts";
import type { Bucket } from "../backend/backend.ts";
import { NO_FAILPOINTS, type Failpoints } from "../failpoints.ts";
import { leaseTtls } from "../metrics.ts";
import type { LeaseBook } from "../mvcc/store.ts";
import { spreadExpiries } from "./spread.ts";

export interface Lease {
  readonly id: bigint;
  /** As granted, in seconds. */
  readonly ttl: number;
  readonly keys: Set<string>;
  /** Seconds that were left at the last checkpoint; 0 where there was none since the last renewal. */
  remainingTtl: number;
  /** On the monotonic clock; infinite where another member watches the time. */
  expiresAtMs: number;
  /** Told when the lease is revoked or this member no longer watches the time. */
  waiters: (() => void)[] | undefined;
}

export interface LeaseCheckpoint {
  readonly id: bigint;
  readonly remainingTtl: number;
}

/** What the primary asks for. */
export interface LeaseDuties {
  /** These have run out. */
  onExpired(ids: readonly bigint[]): void;
  /** Lets every member remember how long leases still have. Absent where checkpoints are off. */
  /** False where it didn't get through. */
  onCheckpoint?(checkpoints: readonly LeaseCheckpoint[]): Promise<boolean>;
}

export interface LessorOptions {
  readonly clock: World["clock"];
  readonly bucket: Bucket;
  readonly codec: Codec;
  /** In seconds. */
  readonly minimumTtl: number;
  readonly checkpointIntervalMs?: number;
  readonly failpoints?: Failpoints;
}

/** Longest TTL that anyone may ask for, in seconds. */
const MAX_TTL = 9_000_000_000;
/** How often expired leases are looked for, and how many are revoked at a time. */
const CHECK_INTERVAL_MS = 500;
const REVOKED_A_CHECK = 500;
/** A revocation that got lost is proposed again after this. */
const RETRY_MS = 3000;
const CHECKPOINT_INTERVAL_MS = 5 * 60_000;
const CHECKPOINTS_A_REQUEST = 1000;
const CHECKPOINT_REQUESTS_A_CHECK = 500;

interface Due {
  readonly at: number;
  readonly id: bigint;
}

export class Lessor implements LeaseBook {
  readonly #codec: Codec;
  readonly #failpoints: Failpoints;
  #bucket: Bucket;
  readonly #clock: World["clock"];
  readonly #minimumTtl: number;
  readonly #checkpointIntervalMs: number;
  readonly #leases = new Map<bigint, Lease>();
  /** Which lease a key hangs on. */
  readonly #byKey = new Map<string, bigint>();
  /** May hold a lease more than once, and with times that renewals have overtaken: the lease itself knows. */
  #queue = dueHeap();
  #checkpoints = dueHeap();
  readonly counts = { granted: 0, revoked: 0, renewed: 0 };
  readonly ttls = new Distribution(leaseTtls.buckets!);
  #timer: Disposable | undefined;
  #duties: LeaseDuties | undefined;

  constructor(options: LessorOptions) {
    this.#codec = options.codec;
    this.#failpoints = options.failpoints ?? NO_FAILPOINTS;
    this.#bucket = options.bucket;
    this.#clock = options.clock;
    this.#minimumTtl = options.minimumTtl;
    this.#checkpointIntervalMs = options.checkpointIntervalMs ?? CHECKPOINT_INTERVAL_MS;
    this.load(options.bucket);
  }

  /** Takes over what a bucket holds: at the start, and when a snapshot has replaced the state. The keys are attached by whoever reads those. */
  load(bucket: Bucket): void {
    this.#bucket = bucket;
    for (const lease of this.#leases.values()) wake(lease);
    this.#leases.clear();
    this.#byKey.clear();
    bucket.forEach((_, value) => {
      const { ID, TTL, RemainingTTL } = this.#codec.decode(LeasepbLease, value);
      const ttl = Math.max(TTL, this.#minimumTtl);
      this.#leases.set(ID, newLease(ID, ttl, RemainingTTL));
    });
  }

  get isPrimary(): boolean {
    return this.#duties !== undefined;
  }

  /** Begins to watch the time. Every lease gets its full term from now and `extendMs` more: whoever renews it may have been cut off. */
  promote(extendMs: number, duties: LeaseDuties): void {
    this.#duties = duties;
    const now = this.#clock.monotonic();
    for (const lease of this.#leases.values()) lease.expiresAtMs = now + termOf(lease) * 1000 + extendMs;
    spreadExpiries([...this.#leases.values()], now, extendMs);
    for (const lease of this.#leases.values()) this.#schedule(lease);
    this.#arm();
  }

  demote(): void {
    this.#duties = undefined;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#queue = dueHeap();
    this.#checkpoints = dueHeap();
    for (const lease of this.#leases.values()) {
      lease.expiresAtMs = Infinity;
      wake(lease);
    }
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
    const lease = newLease(id, Math.max(ttl, this.#minimumTtl), 0);
    this.#leases.set(id, lease);
    this.#save(lease);
    this.counts.granted++;
    this.ttls.observe(lease.ttl);
    if (this.#duties !== undefined) {
      lease.expiresAtMs = this.#clock.monotonic() + lease.ttl * 1000;
      this.#schedule(lease);
      this.#arm();
    }
    return lease;
  }

  revoke(id: bigint): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw etcdError("leaseNotFound");
    this.#leases.delete(id);
    this.#bucket.delete(leaseKey(id));
    wake(lease);
    this.counts.revoked++;
    return lease;
  }

  /** Gives the TTL; undefined where there is no such lease; "not primary" where another member must be asked. */
  renew(id: bigint): number | undefined | "not primary" | Promise<number | undefined | "not primary"> {
    if (this.#duties === undefined) return "not primary";
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    this.counts.renewed++;
    const isExpired = lease.expiresAtMs <= this.#clock.monotonic();
    if (isExpired || (lease.remainingTtl > 0 && this.#duties.onCheckpoint !== undefined))
      return this.#renewSlowly(lease, isExpired);
    lease.expiresAtMs = this.#clock.monotonic() + lease.ttl * 1000;
    return lease.ttl;
  }

  /** What has expired is being revoked already: it is gone, or this member is no longer the one to know. */
  async #renewSlowly(lease: Lease, isExpired: boolean): Promise<number | undefined | "not primary"> {
    if (isExpired) {
      await new Promise<void>((resolve) => (lease.waiters ??= []).push(resolve));
      return this.#leases.get(lease.id) === lease ? "not primary" : undefined;
    }
    this.#failpoints.beforeCheckpointInLeaseRenew?.strike();
    // Others would go on from the last checkpoint: a term that they know nothing of is not to be promised.
    if ((await this.#duties?.onCheckpoint?.([{ id: lease.id, remainingTtl: 0 }])) === false) return "not primary";
    if (this.#leases.get(lease.id) !== lease) return undefined;
    if (this.#duties === undefined) return "not primary";
    lease.expiresAtMs = this.#clock.monotonic() + lease.ttl * 1000;
    return lease.ttl;
  }

  checkpoint(id: bigint, remainingTtl: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.remainingTtl = remainingTtl;
    this.#save(lease);
    if (this.#duties !== undefined) this.#scheduleCheckpoint(lease);
  }

  /** Whole seconds left. */
  remaining(lease: Lease): number {
    return Math.trunc((lease.expiresAtMs - this.#clock.monotonic()) / 1000);
  }

  /** Whether it may be revoked: since it ran out another leader may have given it a new term. */
  hasExpired(id: bigint): boolean {
    const lease = this.#leases.get(id);
    return lease !== undefined && this.isPrimary && lease.expiresAtMs <= this.#clock.monotonic();
  }

  attach(id: bigint, key: string): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.keys.add(key);
    this.#byKey.set(key, id);
  }

  detach(id: bigint, key: string): void {
    this.#leases.get(id)?.keys.delete(key);
    if (this.#byKey.get(key) === id) this.#byKey.delete(key);
  }

  leaseOf(key: string): bigint {
    return this.#byKey.get(key) ?? 0n;
  }

  #save({ id, ttl, remainingTtl }: Lease): void {
    const value = this.#codec.encode(LeasepbLease, { ID: id, TTL: ttl, RemainingTTL: remainingTtl });
    this.#bucket.put(leaseKey(id), value);
  }

  #schedule(lease: Lease): void {
    this.#queue.push({ at: lease.expiresAtMs, id: lease.id });
    this.#scheduleCheckpoint(lease);
  }

  #scheduleCheckpoint(lease: Lease): void {
    if (this.#duties?.onCheckpoint === undefined || termOf(lease) * 1000 <= this.#checkpointIntervalMs) return;
    this.#checkpoints.push({ at: this.#clock.monotonic() + this.#checkpointIntervalMs, id: lease.id });
  }

  #arm(): void {
    const next = Math.min(this.#queue.peek()?.at ?? Infinity, this.#checkpoints.peek()?.at ?? Infinity);
    if (this.#timer !== undefined || next === Infinity || this.#duties === undefined) return;
    // A renewal never makes this earlier, and a lease granted later never expires within the shortest TTL.
    const wait = Math.max(CHECK_INTERVAL_MS, Math.min(next - this.#clock.monotonic(), this.#minimumTtl * 1000));
    this.#timer = this.#clock.after(wait, () => {
      this.#timer = undefined;
      this.#revokeExpired();
      this.#checkpointDue();
      this.#arm();
    });
  }

  #revokeExpired(): void {
    const now = this.#clock.monotonic();
    const expired: bigint[] = [];
    for (let next = this.#queue.peek(); next !== undefined && next.at <= now; next = this.#queue.peek()) {
      if (expired.length === REVOKED_A_CHECK) break;
      this.#queue.pop();
      const lease = this.#leases.get(next.id);
      if (lease === undefined) continue;
      if (lease.expiresAtMs > now) {
        this.#queue.push({ at: lease.expiresAtMs, id: lease.id });
        continue;
      }
      expired.push(lease.id);
      this.#queue.push({ at: now + RETRY_MS, id: lease.id });
    }
    if (expired.length > 0) this.#duties?.onExpired(expired);
  }

  #checkpointDue(): void {
    const now = this.#clock.monotonic();
    for (let requests = 0; requests < CHECKPOINT_REQUESTS_A_CHECK; requests++) {
      const due: LeaseCheckpoint[] = [];
      for (let next = this.#checkpoints.peek(); next !== undefined && next.at <= now; next = this.#checkpoints.peek()) {
        if (due.length === CHECKPOINTS_A_REQUEST) break;
        this.#checkpoints.pop();
        const lease = this.#leases.get(next.id);
        if (lease === undefined || lease.expiresAtMs <= now) continue;
        const remainingTtl = Math.ceil((lease.expiresAtMs - now) / 1000);
        if (remainingTtl >= lease.ttl) {
          this.#scheduleCheckpoint(lease); // Renewed just now.
          continue;
        }
        due.push({ id: lease.id, remainingTtl });
      }
      if (due.length === 0) return;
      void this.#duties?.onCheckpoint?.(due);
    }
  }
}

function newLease(id: bigint, ttl: number, remainingTtl: number): Lease {
  return { id, ttl, keys: new Set(), remainingTtl, expiresAtMs: Infinity, waiters: undefined };
}

/** What a lease has from a promotion on, in seconds. */
function termOf(lease: Lease): number {
  return lease.remainingTtl > 0 ? lease.remainingTtl : lease.ttl;
}

function wake(lease: Lease): void {
  const { waiters } = lease;
  lease.waiters = undefined;
  for (const waiter of waiters ?? []) waiter();
}

function dueHeap(): Heap<Due> {
  return new Heap<Due>((a, b) => a.at < b.at);
}

/** The id as upstream's bucket has it: 8 bytes, the highest first. */
function leaseKey(id: bigint): string {
  const key = Buffer.alloc(8);
  key.writeBigInt64BE(BigInt.asIntN(64, id));
  return key.toString("latin1");
}
