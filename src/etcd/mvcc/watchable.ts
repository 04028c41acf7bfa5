/**
 * Watches. Each watcher is in one of three groups:
 *
 * ```
 *   synced ── a change while its stream is slow ──▶ victim ── the stream has drained ──▶ unsynced
 *      ▲                                                                                    │
 *      └──────────────────── has been sent everything up to the present ◀───────────────────┘
 * ```
 *
 * A synced watcher gets each change as it happens. An unsynced one (begun in the past, or a former victim) reads history in slices, many
 * watchers in one pass over the store, while new changes go on. What a slow stream misses is never queued: it is read again later.
 *
 * Events are built once and shared by all watchers.
 *
 * Upstream: server/storage/mvcc/watchable_store.go, watcher.go; server/etcdserver/api/v3rpc/watch.go
 */
import { ETCD_ERRORS } from "../../protocols/etcd/errors.ts";
import type { MvccpbEvent, ResponseHeader, WatchCreateRequest, WatchResponse } from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import type { KeyValue } from "../backend/backend.ts";
import { NO_FAILPOINTS, type Failpoints } from "../failpoints.ts";
import { endText, keyText } from "./key-text.ts";
import type { Change, Store } from "./store.ts";
import { WatchVerifier } from "./watch-verifier.ts";
import { WatcherGroup, type Watched } from "./watcher-group.ts";

/** Watchers that share one pass over history, and the rows of a pass. */
const WATCHERS_A_PASS = 512;
const ROWS_A_PASS = 1000;
/** The id in answers that belong to no watcher. */
const NO_WATCHER = -1n;
const NO_EVENTS: readonly MvccpbEvent[] = [];

/** Where a stream's answers go. */
export interface WatchSink {
  /** Takes the answer in any case. False says that the reader is slow and wants no more until `drained`. */
  send(response: WatchResponse): boolean;
  readonly drained: Promise<void>;
}

export interface WatchableDeps {
  readonly failpoints?: Failpoints;
  /** Looks at each answer before it is sent. */
  readonly verify?: boolean;
  readonly store: Store;
  readonly clock: World["clock"];
  /** A header for the given revision. */
  readonly header: (revision: number) => ResponseHeader;
  readonly progressIntervalMs: number;
  /** Of 0 to 1: how much of a tenth each interval is longer, so that streams that were opened together don't speak together. */
  readonly jitter?: () => number;
  /** A fragmented answer's parts stay below this. */
  readonly fragmentBytes: number;
}

interface Watcher extends Watched {
  readonly id: bigint;
  readonly stream: WatchStream;
  readonly prevKv: boolean;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  /** What was asked for; 0 for what comes. */
  readonly start: number;
  /** The first revision that it hasn't been sent. */
  next: number;
  /** Something was sent since the last progress tick. */
  sentOfLate: boolean;
}

export class Watchable {
  readonly #deps: WatchableDeps;
  readonly #synced = new WatcherGroup<Watcher>();
  readonly #unsynced = new Set<Watcher>();
  readonly #streams = new Set<WatchStream>();
  /** Since the start. */
  eventsSent = 0;
  #passIsDue = false;

  constructor(deps: WatchableDeps) {
    this.#deps = deps;
  }

  get watchers(): number {
    let sum = 0;
    for (const stream of this.#streams) sum += stream.watchers.size;
    return sum;
  }
  get streams(): number {
    return this.#streams.size;
  }
  /** Watchers behind the present. */
  get slow(): number {
    return this.watchers - this.#synced.size;
  }

  open(sink: WatchSink): WatchStream {
    const stream = new WatchStream(this, this.#deps, sink);
    this.#streams.add(stream);
    return stream;
  }

  /** The store was at revision `before` and has jumped ahead: every watcher reads what it missed. */
  restored(before: number): void {
    for (const watcher of Array.from(this.#synced)) {
      this.#synced.delete(watcher);
      // Up to there the watcher has been sent everything, and may have been told so: a compaction since then cannot have removed anything that it lacks.
      watcher.next = Math.max(watcher.next, before + 1);
      this.add(watcher);
    }
  }

  /** Tells what a transaction changed. */
  notify(changes: readonly Change[]): void {
    if (this.#synced.size === 0) return;
    const revision = changes[0]!.kv.mod_revision;
    const header = this.#deps.header(revision);
    if (changes.length === 1) {
      const change = changes[0]!;
      const shared = new SharedEvent(change.kv, () => this.#deps.store.previous(change));
      this.#synced.forEachOf(keyText(change.kv.key), (watcher) => {
        if (watcher.next <= revision && wants(watcher, change.kv))
          this.#deliver(watcher, shared.alone(watcher.prevKv), revision, header);
      });
      return;
    }
    const batches = new Map<Watcher, MvccpbEvent[]>();
    for (const change of changes) {
      const { kv, before } = change;
      const text = keyText(kv.key);
      // What was before the transaction, not what it did before.
      const isOwn = before?.main === revision;
      const { store } = this.#deps;
      const shared = new SharedEvent(kv, () => (isOwn ? store.getAt(text, revision - 1) : store.previous(change)));
      this.#synced.forEachOf(text, (watcher) => {
        if (watcher.next > revision || !wants(watcher, kv)) return;
        const event = shared.event(watcher.prevKv);
        const batch = batches.get(watcher);
        if (batch === undefined) batches.set(watcher, [event]);
        else batch.push(event);
      });
    }
    for (const [watcher, events] of batches) this.#deliver(watcher, events, revision, header);
  }

  #deliver(watcher: Watcher, events: readonly MvccpbEvent[], revision: number, header: ResponseHeader): void {
    if (watcher.stream.slow) {
      this.#synced.delete(watcher);
      watcher.next = revision;
      watcher.stream.victims.add(watcher);
      return;
    }
    watcher.next = revision + 1;
    watcher.stream.sendEvents(watcher, events, header);
  }

  /** @internal Takes up a watcher; those that begin in the past read history first. */
  add(watcher: Watcher): void {
    if (watcher.next > this.#deps.store.revision) this.#synced.add(watcher);
    else {
      this.#unsynced.add(watcher);
      this.#schedulePass();
    }
  }

  /** @internal */
  remove(watcher: Watcher): void {
    this.#synced.delete(watcher);
    this.#unsynced.delete(watcher);
    watcher.stream.victims.delete(watcher);
  }

  /** @internal */
  close(stream: WatchStream): void {
    this.#streams.delete(stream);
  }

  /** @internal Has been sent all there is, and has begun. */
  isCurrent(watcher: Watcher): boolean {
    return this.#synced.has(watcher) && watcher.start <= this.#deps.store.revision;
  }

  #schedulePass(): void {
    if (this.#passIsDue) return;
    this.#passIsDue = true;
    this.#deps.clock.soon(() => {
      this.#passIsDue = false;
      this.#pass();
      if (this.#unsynced.size > 0) this.#schedulePass();
    });
  }

  /** One slice of history for many watchers. */
  #pass(): void {
    const { store } = this.#deps;
    this.#deps.failpoints?.beforeSyncWatchers?.strike();
    const current = store.revision;
    const batch = new WatcherGroup<Watcher>();
    let from = current + 1;
    for (const watcher of this.#unsynced) {
      if (watcher.stream.slow) {
        this.#unsynced.delete(watcher);
        watcher.stream.victims.add(watcher);
      } else if (watcher.next < store.compactRevision) watcher.stream.cancelCompacted(watcher, store.compactRevision);
      else {
        batch.add(watcher);
        from = Math.min(from, watcher.next);
        if (batch.size === WATCHERS_A_PASS) break;
      }
    }
    if (batch.size === 0) return;

    const events = new Map<Watcher, MvccpbEvent[]>();
    let rows = 0;
    let reached = current;
    let last = from;
    store.history(from, current, (kv) => {
      // A revision is sent as a whole, so the pass ends between two.
      if (rows >= ROWS_A_PASS && kv.mod_revision !== last) {
        reached = last;
        return false;
      }
      rows++;
      last = kv.mod_revision;
      const text = keyText(kv.key);
      const shared = new SharedEvent(kv, () => store.getAt(text, kv.mod_revision - 1));
      batch.forEachOf(text, (watcher) => {
        if (watcher.next > kv.mod_revision || !wants(watcher, kv)) return;
        const event = shared.event(watcher.prevKv);
        const known = events.get(watcher);
        if (known === undefined) events.set(watcher, [event]);
        else known.push(event);
      });
      return true;
    });

    const header = this.#deps.header(current);
    for (const watcher of batch) {
      const own = events.get(watcher);
      if (own !== undefined && watcher.stream.slow) {
        // Since this pass began: it is read to again when it has taken what it got.
        this.#unsynced.delete(watcher);
        watcher.stream.victims.add(watcher);
        continue;
      }
      watcher.next = Math.max(watcher.next, reached + 1);
      if (reached === current) {
        this.#unsynced.delete(watcher);
        this.#synced.add(watcher);
      }
      if (own !== undefined) watcher.stream.sendEvents(watcher, own, header);
    }
  }
}

/** One client's stream of watchers. */
export class WatchStream {
  readonly watchers = new Map<bigint, Watcher>();
  /** Watchers that missed something because this stream was slow. */
  readonly victims = new Set<Watcher>();
  /** The reader has not taken what it was sent. */
  slow = false;
  readonly #watchable: Watchable;
  readonly #deps: WatchableDeps;
  readonly #sink: WatchSink;
  readonly #failpoints: Failpoints;
  readonly #verify: WatchVerifier | undefined;
  #nextId = 0n;
  #closed = false;
  /** Once a watcher wants to hear of progress. */
  #ticker: Disposable | undefined;

  constructor(watchable: Watchable, deps: WatchableDeps, sink: WatchSink) {
    this.#watchable = watchable;
    this.#deps = deps;
    this.#sink = sink;
    this.#failpoints = deps.failpoints ?? NO_FAILPOINTS;
    this.#verify = deps.verify === true ? new WatchVerifier() : undefined;
  }

  /** `refusal` says why the caller may not have it. */
  create(request: Init<WatchCreateRequest>, refusal?: string): void {
    const { store } = this.#deps;
    const revision = store.revision;
    const header = this.#deps.header(revision);
    const start = request.start_revision ?? 0;
    const key = request.key?.length ? keyText(request.key) : "\0";
    const rangeEnd = request.range_end?.length ? request.range_end : undefined;
    const range = rangeEnd && { end: endText(rangeEnd) };
    const refuse = (reason: string) =>
      this.#send({ ...answer(header, NO_WATCHER), created: true, canceled: true, cancel_reason: reason });
    if (start < 0) return refuse(ETCD_ERRORS.compacted[1]);
    if (refusal !== undefined) return refuse(refusal);
    if (range?.end !== undefined && key >= range.end) return refuse("mvcc: watcher range is empty");
    let id = request.watch_id ?? 0n;
    if (id === 0n) {
      while (this.watchers.has(this.#nextId)) this.#nextId++;
      id = this.#nextId++;
    } else if (this.watchers.has(id)) return refuse("mvcc: duplicate watch ID provided on the WatchStream");

    const filters = request.filters ?? [];
    const watcher: Watcher = {
      id,
      stream: this,
      key,
      range,
      prevKv: request.prev_kv ?? false,
      progressNotify: request.progress_notify ?? false,
      fragment: request.fragment ?? false,
      noPut: filters.includes("NOPUT"),
      noDelete: filters.includes("NODELETE"),
      start,
      next: start === 0 ? revision + 1 : start,
      sentOfLate: true,
    };
    this.watchers.set(id, watcher);
    if (watcher.progressNotify && this.#ticker === undefined) this.#tickLater();
    // First of all for this id: events can only follow, because passes over history are never run from here.
    this.#send({ ...answer(header, id), created: true });
    this.#watchable.add(watcher);
  }

  cancel(id: bigint): void {
    const watcher = this.watchers.get(id);
    if (watcher === undefined) return;
    this.watchers.delete(id);
    this.#watchable.remove(watcher);
    this.#send({ ...answer(this.#deps.header(this.#deps.store.revision), id), canceled: true });
  }

  /** Answers once where every watcher of the stream has been sent all there is, and not at all otherwise: the client asks again. */
  requestProgress(): void {
    this.#deps.failpoints?.beforeProgressIfSync?.strike();
    if (this.watchers.size === 0) return;
    for (const watcher of this.watchers.values()) if (!this.#watchable.isCurrent(watcher)) return;
    this.#send(answer(this.#deps.header(this.#deps.store.revision), NO_WATCHER));
  }

  close(): void {
    this.#closed = true;
    this.#ticker?.[Symbol.dispose]();
    for (const watcher of this.watchers.values()) this.#watchable.remove(watcher);
    this.watchers.clear();
    this.#watchable.close(this);
  }

  /** @internal */
  sendEvents(watcher: Watcher, events: readonly MvccpbEvent[], header: ResponseHeader): void {
    watcher.sentOfLate = true;
    this.#watchable.eventsSent += events.length;
    if (!watcher.fragment || events.length < 2) {
      this.#send({ ...answer(header, watcher.id), events });
      return;
    }
    const parts = fragments(events, this.#deps.fragmentBytes);
    parts.forEach((part, i) =>
      this.#send({ ...answer(header, watcher.id), events: part, fragment: i < parts.length - 1 }),
    );
  }

  /** @internal */
  cancelCompacted(watcher: Watcher, compactRevision: number): void {
    // Its id stays taken until the client cancels it, too, as upstream's: to a client that does, another watcher would answer.
    this.#watchable.remove(watcher);
    this.#send({ ...answer(this.#deps.header(0), watcher.id), canceled: true, compact_revision: compactRevision });
  }

  #tickLater(): void {
    const { clock, jitter, progressIntervalMs } = this.#deps;
    this.#ticker = clock.after(progressIntervalMs * (1 + (jitter?.() ?? 0) / 10), () => {
      this.#tick();
      this.#tickLater();
    });
  }

  #tick(): void {
    const { store } = this.#deps;
    for (const watcher of this.watchers.values()) {
      if (!watcher.progressNotify) continue;
      if (!watcher.sentOfLate && !this.slow && this.#watchable.isCurrent(watcher))
        this.#send(answer(this.#deps.header(store.revision), watcher.id));
      watcher.sentOfLate = false;
    }
  }

  #send(response: WatchResponse): void {
    if (this.#failpoints.beforeSendWatchResponse !== undefined) this.#failpoints.beforeSendWatchResponse.strike();
    if (this.#verify !== undefined) this.#verify.check(response);
    if (this.#closed || this.#sink.send(response) || this.slow) return;
    this.slow = true;
    const resume = () => {
      this.slow = false;
      if (this.#closed) return;
      this.#failpoints.beforeMoveVictims?.strike();
      const victims = [...this.victims];
      this.victims.clear();
      for (const watcher of victims) this.#watchable.add(watcher);
    };
    this.#sink.drained.then(resume, resume);
  }
}

/** One change as an event, in the two forms that watchers may want. */
class SharedEvent {
  readonly #kv: KeyValue;
  readonly #previous: () => KeyValue | undefined;
  #plain: MvccpbEvent | undefined;
  #withPrevious: MvccpbEvent | undefined;
  #plainAlone: readonly MvccpbEvent[] | undefined;
  #withPreviousAlone: readonly MvccpbEvent[] | undefined;

  constructor(kv: KeyValue, previous: () => KeyValue | undefined) {
    this.#kv = kv;
    this.#previous = previous;
  }

  event(prevKv: boolean): MvccpbEvent {
    const type = this.#kv.version === 0 ? "DELETE" : "PUT";
    if (!prevKv) return (this.#plain ??= { type, kv: this.#kv, prev_kv: undefined });
    const isCreated = this.#kv.create_revision === this.#kv.mod_revision;
    return (this.#withPrevious ??= { type, kv: this.#kv, prev_kv: isCreated ? undefined : this.#previous() });
  }

  /** A list of this event only, shared as well. */
  alone(prevKv: boolean): readonly MvccpbEvent[] {
    if (!prevKv) return (this.#plainAlone ??= [this.event(false)]);
    return (this.#withPreviousAlone ??= [this.event(true)]);
  }
}

function wants(watcher: Watcher, kv: KeyValue): boolean {
  return kv.version === 0 ? !watcher.noDelete : !watcher.noPut;
}

function answer(header: ResponseHeader, id: bigint): WatchResponse {
  return {
    header,
    watch_id: id,
    created: false,
    canceled: false,
    compact_revision: 0,
    cancel_reason: "",
    fragment: false,
    events: NO_EVENTS,
  };
}

function fragments(events: readonly MvccpbEvent[], maxBytes: number): MvccpbEvent[][] {
  const parts: MvccpbEvent[][] = [[]];
  let size = 0;
  for (const event of events) {
    const bytes = sizeOf(event.kv) + sizeOf(event.prev_kv) + 8;
    if (size > 0 && size + bytes >= maxBytes) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)!.push(event);
    size += bytes;
  }
  return parts;
}

function sizeOf(kv: KeyValue | undefined): number {
  return kv === undefined ? 0 : kv.key.length + kv.value.length + 40;
}
