/**
 * Keys with all their versions. Writes happen inside one transaction at a time and share its main revision; reads see the state now, writes of
 * the open transaction included, or the state at any revision that compaction has left.
 *
 * Single-threaded and synchronous: what makes a write durable, and what serves readers, is around it.
 *
 * Upstream: server/storage/mvcc/kvstore.go, kvstore_txn.go
 */
import { assert } from "../../base/assert.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { Backend, KeyValue } from "../backend/backend.ts";
import { NO_FAILPOINTS, type Failpoints } from "../failpoints.ts";
import { KeyIndex, type Dropped } from "./key-index.ts";
import { endText, keyText } from "./key-text.ts";
import { emptyIndex, type RestoredIndex } from "./restored-index.ts";
import type { CompactionWork } from "./compaction-queue.ts";
import { markFinished, markScheduled } from "./compaction-marks.ts";
import { ReadPin } from "./read-pin.ts";
import type { Revision } from "./revision.ts";

/** One write of a transaction. */
export interface Change {
  /** In bytes that are lent: whoever keeps them for long makes copies. */
  readonly kv: KeyValue;
  /** Where the version is that it replaced (`previous`); undefined where there was none. */
  readonly before: Revision | undefined;
}

export interface RangeOptions {
  /** At most so many; 0 for all. */
  readonly limit: number;
  /** 0 for now. */
  readonly revision: number;
  readonly countOnly: boolean;
  /** Ends at the limit, and counts no further. */
  readonly pageOnly?: boolean;
}

export interface RangeResult {
  readonly kvs: KeyValue[];
  /** All keys of the range at that revision, whatever the limit. */
  readonly count: number;
}

/** Some of the keys of a pinned range. */
export interface Slice {
  readonly kvs: KeyValue[];
  /** There may be more of them than rows were wanted. */
  readonly count: number;
  readonly isLast: boolean;
}

/** Told which keys hang on which lease. */
export interface LeaseBook {
  attach(lease: bigint, key: string): void;
  detach(lease: bigint, key: string): void;
  /** 0 for a key that hangs on none. */
  leaseOf(key: string): bigint;
}

const EMPTY = new Uint8Array(0);
/** From so many rows on, it pays to read them in their order on disk. */
const IN_ORDER = 100;
/** Rows that a compaction reads at once, and keys that it looks at before it asks for the time. */
const ROWS_A_LOOK = 100;
const KEYS_A_LOOK = 20;
const never = () => false;
const NO_CHANGES: readonly Change[] = [];

export class Store {
  #backend: Backend;
  #index = emptyIndex();
  readonly #leases: LeaseBook;
  readonly #failpoints: Failpoints;
  /** What was asked of it since the start. */
  readonly counts = { ranges: 0, puts: 0, deletes: 0, txns: 0, putBytes: 0, compacted: 0 };
  /** Operations in the open transaction. */
  #ops = 0;
  #revision = 1;
  #compactRevision = -1;
  #changes: Change[] | undefined;
  readonly #pins = new Set<ReadPin>();

  constructor(backend: Backend, leases: LeaseBook, failpoints = NO_FAILPOINTS) {
    this.#backend = backend;
    this.#leases = leases;
    this.#failpoints = failpoints;
  }

  get backend(): Backend {
    return this.#backend;
  }

  /** Forgets everything, in favour of what another backend holds; it is told by `restoreRow` and `restoreRevisions`. */
  reset(backend: Backend): void {
    assert(this.#changes === undefined, "a transaction is open");
    this.#backend = backend;
    this.#index = emptyIndex();
    this.#revision = 1;
    this.#compactRevision = -1;
    this.#pins.clear();
  }

  /** The revision of the last finished transaction that wrote. An empty store is at 1. */
  get revision(): number {
    return this.#revision;
  }

  /** Reads below this fail. -1 before the first compaction. */
  get compactRevision(): number {
    return this.#compactRevision;
  }

  get keys(): number {
    return this.#index.weightBetween("", undefined);
  }

  /** Throws what a read at `revision` would throw. */
  checkReadable(revision: number): void {
    if (revision > this.#revision) throw etcdError("futureRevision");
    if (revision > 0 && revision < this.#compactRevision) throw etcdError("compacted");
  }

  range(key: Uint8Array, rangeEnd: Uint8Array | undefined, options: RangeOptions): RangeResult {
    const { limit, revision, countOnly } = options;
    this.checkReadable(revision);
    // In a transaction that has written, what it began with is the past.
    const past = revision > 0 && revision < this.revisionNow;
    const from = keyText(key);
    const kvs: KeyValue[] = [];
    if (rangeEnd === undefined || rangeEnd.length === 0) {
      const index = this.#index.get(from);
      const at = index === undefined ? undefined : past ? index.get(revision) : index.alive ? index : undefined;
      if (at === undefined) return { kvs, count: 0 };
      if (!countOnly) kvs.push(this.#row(at));
      return { kvs, count: 1 };
    }
    const end = endText(rangeEnd);
    if (end !== undefined && from >= end) return { kvs, count: 0 };
    const found: Revision[] = [];
    if (!past) {
      const count = options.pageOnly ? 0 : this.#index.weightBetween(from, end);
      if (!options.pageOnly && (countOnly || count === 0)) return { kvs, count };
      this.#index.forEach(from, end, (index) => {
        if (index.alive) found.push(index);
        return limit === 0 || found.length < limit;
      });
      return { kvs: this.#rows(found), count: options.pageOnly ? found.length : count };
    }
    let count = 0;
    this.#index.forEach(from, end, (index) => {
      const at = index.get(revision);
      if (at === undefined) return;
      count++;
      if (!countOnly && (limit === 0 || found.length < limit)) found.push(at);
      return !options.pageOnly || count < limit;
    });
    return { kvs: this.#rows(found), count };
  }

  /** For reading a range over several turns, by `slice`, until the pin is disposed of. */
  pin(key: Uint8Array, rangeEnd: Uint8Array, revision: number): ReadPin {
    this.checkReadable(revision);
    const pin = new ReadPin(revision, keyText(key), endText(rangeEnd), (one) => void this.#pins.delete(one));
    this.#pins.add(pin);
    return pin;
  }

  /** What comes next of a pinned range: of at most `most` keys that there are or were, and no more than `rows` of their rows. */
  slice(pin: ReadPin, most: number, rows: number): Slice {
    assert(this.#pins.has(pin), "the pin was let go of, or was of another state");
    const found: Revision[] = [];
    let next: string | undefined;
    let looked = 0;
    let count = 0;
    this.#index.forEach(pin.next, pin.end, (index, key) => {
      if (looked++ === most) {
        next = key;
        return false;
      }
      const at = index.get(pin.revision);
      if (at === undefined) return true;
      count++;
      if (found.length < rows) found.push(at);
      return true;
    });
    let kvs = this.#rows(found);
    const laidAside = pin.advance(next);
    if (laidAside.length > 0) {
      count += laidAside.length;
      kvs = kvs.concat(laidAside).sort((a, b) => Buffer.compare(a.key, b.key));
      kvs.length = Math.min(kvs.length, rows);
    }
    return { kvs, count, isLast: next === undefined };
  }

  /** What drops writes of a key, and lays aside what is still to be read. */
  #dropping(index: KeyIndex, drop: Dropped): Dropped {
    const awaited: { readonly pin: ReadPin; readonly main: number; readonly sub: number }[] = [];
    for (const pin of this.#pins) {
      const at = pin.awaits(index.key) ? index.get(pin.revision) : undefined;
      if (at !== undefined) awaited.push({ pin, main: at.main, sub: at.sub });
    }
    if (awaited.length === 0) return drop;
    return (main, sub, isTombstone) => {
      for (const one of awaited) if (one.main === main && one.sub === sub) one.pin.layAside(this.#row(one));
      drop(main, sub, isTombstone);
    };
  }

  /** How many keys a range has now. */
  countNow(key: Uint8Array, rangeEnd: Uint8Array): number {
    return this.#index.weightBetween(keyText(key), endText(rangeEnd));
  }

  /** Counts a client's read. */
  countRange(): void {
    this.#ops++;
    this.counts.ranges++;
  }

  /** The version of one key now. */
  get(key: Uint8Array): KeyValue | undefined {
    const index = this.#index.get(keyText(key));
    return index?.alive ? this.#row(index) : undefined;
  }

  /** The version of a key that a reader at `revision` meets, where that can still be told. */
  getAt(key: string, revision: number): KeyValue | undefined {
    if (revision < this.#compactRevision) return undefined;
    const at = this.#index.get(key)?.get(revision);
    return at === undefined ? undefined : this.#backend.get(at.main, at.sub);
  }

  begin(): void {
    assert(this.#changes === undefined, "a transaction is open already");
    this.#changes = [];
    this.#ops = 0;
  }

  /** Ends the transaction. The revision moves when something changed. */
  end(): readonly Change[] {
    const changes = this.#changes;
    assert(changes !== undefined, "no transaction is open");
    this.#changes = undefined;
    if (this.#ops > 1) this.counts.txns++;
    if (changes.length === 0) return NO_CHANGES;
    this.#revision++;
    return changes;
  }

  /** What a header tells: the revision of the open transaction when it has written. */
  get revisionNow(): number {
    return this.#changes !== undefined && this.#changes.length > 0 ? this.#revision + 1 : this.#revision;
  }

  /** The version that a change replaced, as long as nothing else has happened. */
  previous({ before }: Change): KeyValue | undefined {
    return before === undefined ? undefined : this.#row(before);
  }

  put(key: Uint8Array, value: Uint8Array, lease: bigint): void {
    const changes = this.#changes;
    assert(changes !== undefined, "a put outside of a transaction");
    this.#ops++;
    this.counts.puts++;
    this.counts.putBytes += key.length + value.length;
    const text = keyText(key);
    const main = this.#revision + 1;
    const sub = changes.length;
    let index = this.#index.get(text);
    let before: Revision | undefined;
    if (index === undefined) this.#index.set(text, (index = new KeyIndex(text)));
    else if (index.alive) before = { main: index.main, sub: index.sub };
    index.put(main, sub);
    if (before === undefined) this.#index.reweigh(text, 1);
    const { created, version } = index;
    const kv: KeyValue = { key, create_revision: created, mod_revision: main, version, value, lease };
    this.#backend.put(kv, sub);
    changes.push({ kv, before });
    const leaseBefore = before === undefined ? 0n : this.#leases.leaseOf(text);
    if (leaseBefore === lease) return;
    if (leaseBefore !== 0n) this.#leases.detach(leaseBefore, text);
    if (lease !== 0n) this.#leases.attach(lease, text);
  }

  /** Deletes a key or a range; gives the versions deleted. */
  deleteRange(key: Uint8Array, rangeEnd: Uint8Array | undefined): KeyValue[] {
    const changes = this.#changes;
    assert(changes !== undefined, "a delete outside of a transaction");
    this.#ops++;
    this.counts.deletes++;
    const { kvs } = this.range(key, rangeEnd, { limit: 0, revision: 0, countOnly: false });
    for (const previous of kvs) {
      const text = keyText(previous.key);
      const main = this.#revision + 1;
      const sub = changes.length;
      const index = this.#index.get(text)!;
      const before: Revision = { main: index.main, sub: index.sub };
      index.tombstone(main, sub);
      this.#index.reweigh(text, -1);
      const kv: KeyValue = {
        key: previous.key,
        create_revision: 0,
        mod_revision: main,
        version: 0,
        value: EMPTY,
        lease: 0n,
      };
      this.#backend.put(kv, sub);
      changes.push({ kv, before });
      if (previous.lease !== 0n) this.#leases.detach(previous.lease, text);
    }
    return kvs;
  }

  /** Changes from `from` up to and including `to`, in order, for watchers that catch up. Rows that compaction took are not there. */
  history(from: number, to: number, visit: (kv: KeyValue) => boolean | void): void {
    this.#backend.scan(from, to, (kv) => visit(kv));
  }

  /** Drops all but the newest `versions` of a key. Readers of the past don't find what was dropped; nobody else notices. */
  keepVersions(key: Uint8Array, versions: number): void {
    const text = keyText(key);
    const index = this.#index.get(text);
    if (index?.keepNewest(versions, this.#pins.size === 0 ? this.#drop : this.#dropping(index, this.#drop)))
      this.#index.delete(text);
  }

  /**
   * Makes everything below `revision` unreadable at once; dropping it is the returned work, cut into small steps. Only keys written since the last
   * compaction can have anything to drop, so the work is as long as that history and not as the store.
   */
  compact(revision: number): CompactionWork {
    if (revision <= this.#compactRevision) throw etcdError("compacted");
    if (revision > this.#revision) throw etcdError("futureRevision");
    // The last compaction's own revision again: it may have left a tombstone there.
    let next = Math.max(1, this.#compactRevision);
    this.#compactRevision = revision;
    const points = this.#failpoints;
    points.compactBeforeCommitScheduledCompact?.strike();
    markScheduled(this.#backend, revision);
    points.compactAfterCommitScheduledCompact?.strike();
    let keys: readonly string[] = [];
    let at = 0;
    let dropped = 0;
    const drop = (main: number, sub: number, isTombstone: boolean) => {
      this.#backend.delete(main, sub, isTombstone);
      dropped++;
    };
    return {
      revision,
      step: (rows, isTime = never) => {
        points.compactAfterAcquiredBatchTxLock?.strike();
        points.compactBeforeCommitBatch?.strike();
        dropped = 0;
        let looked = 0;
        // A key that changed often has much to drop, so it is the rows dropped that count here, and others that were looked at count less.
        while (dropped + looked / 4 < rows && (at < keys.length || next <= revision)) {
          if (at === keys.length) {
            [keys, next] = this.#keysWritten(next, revision);
            at = 0;
            continue;
          }
          const key = keys[at++]!;
          const index = this.#index.get(key);
          if (index?.compact(revision, this.#pins.size === 0 ? drop : this.#dropping(index, drop)))
            this.#index.delete(key);
          if (++looked % KEYS_A_LOOK === 0 && isTime()) break;
        }
        this.counts.compacted += dropped;
        points.compactAfterCommitBatch?.strike();
        if (at < keys.length || next <= revision) return false;
        points.compactBeforeSetFinishedCompact?.strike();
        markFinished(this.#backend, revision);
        points.compactAfterSetFinishedCompact?.strike();
        return true;
      },
    };
  }

  /** The keys of some revisions from `from` on, and the first revision behind those. */
  #keysWritten(from: number, to: number): [keys: readonly string[], next: number] {
    const keys = new Set<string>();
    let seen = 0;
    let reached = to;
    this.#backend.scan(from, to, (row) => {
      if (seen >= ROWS_A_LOOK && row.mod_revision > reached) return false;
      keys.add(keyText(row.key));
      reached = row.mod_revision;
      seen++;
      return true;
    });
    return [[...keys], (seen < ROWS_A_LOOK ? to : reached) + 1];
  }

  /** Whether a compaction at `at` would leave anything at or below it. */
  keepsAny(at: number): boolean {
    let any = false;
    this.#index.forEach("", undefined, (index) => {
      any = index.get(at) !== undefined;
      return !any;
    });
    return any;
  }

  /** Whether a compaction at `at`, not below the row, would leave it. */
  isKept(row: KeyValue, sub: number, at: number): boolean {
    const kept = this.#index.get(keyText(row.key))?.get(at);
    return kept !== undefined && kept.main === row.mod_revision && kept.sub === sub;
  }

  /** Takes up what a backend holds. */
  restore(restored: RestoredIndex, revision: number, compactRevision: number): void {
    assert(this.#changes === undefined, "a transaction is open");
    this.#index = restored.keys;
    this.#revision = revision;
    this.#compactRevision = compactRevision;
    for (const [text, lease] of restored.leases) this.#leases.attach(lease, text);
  }

  #rows(found: readonly Revision[]): KeyValue[] {
    const kvs: KeyValue[] = [];
    if (found.length < IN_ORDER || !this.#backend.hasRowsOnDisk) {
      for (let i = 0; i < found.length; i++) kvs.push(this.#row(found[i]!));
      return kvs;
    }
    // Rows lie on disk in order of revision: so each page is read once.
    const order = found.map((_, i) => i);
    order.sort((a, b) => found[a]!.main - found[b]!.main || found[a]!.sub - found[b]!.sub);
    kvs.length = found.length;
    for (const i of order) kvs[i] = this.#row(found[i]!);
    return kvs;
  }

  readonly #drop = (main: number, sub: number, isTombstone: boolean): void => {
    this.#backend.delete(main, sub, isTombstone);
  };

  #row(at: Revision): KeyValue {
    const row = this.#backend.get(at.main, at.sub);
    assert(row !== undefined, `revision ${at.main}_${at.sub} is in the index and not in the backend`);
    return row;
  }
}
