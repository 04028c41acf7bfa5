/**
 * All objects of one resource in memory, maintained by one etcd watch. Gets, lists and watches are served from here; `waitUntil` makes a read as
 * fresh as etcd. Watchers share entries, events and encoded bytes. A watcher that cannot keep up is closed, and its client resumes from its last
 * resourceVersion.
 *
 * Upstream: pkg/storage/cacher.
 */
import { deferred } from "../../base/deferred.ts";
import { StatusError } from "../../machinery/status.ts";
import type { Logger } from "../../observe/log.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { MvccpbEvent } from "../../protocols/etcd/generated.ts";
import { pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import {
  CacheEvent,
  CacheWatcher,
  type Selection,
  topicsOf,
  type WatchItem,
  type WatchStart,
} from "./cache-watcher.ts";
import { StorageCounts } from "./counts.ts";
import { Entry } from "./entry.ts";
import { SortedEntries } from "./sorted-entries.ts";
import type { Store } from "./store.ts";
import { prefixEnd, withRevision } from "./store.ts";

/** Events younger than this are kept, so that a client that was away so long can go on where it was. */
const WINDOW_MS = 75_000;
const WINDOW_MIN = 100;
const WINDOW_MAX = 102_400;
/** Of stored values: large objects that change all the time are kept for less long. */
const WINDOW_MAX_BYTES = 128 * 1024 * 1024;
/** A reader waits so long for the cache to reach a revision, and so does a writer for what it wrote. */
const FRESH_TIMEOUT_MS = 3_000;
const PROGRESS_EVERY_MS = 100;
/** How long watchers may be notified before other work gets a turn. */
const SLICE_MS = 3;
const TOLD_BETWEEN_LOOKS = 8;
/** Events whose bytes are kept for watchers that are a little late. */
const EVENTS_WITH_BYTES = 1000;
const PAGE = 10_000;
/** Lists of the past whose pages are being read at the same time, and go on cheaply. */
const PASTS = 8;

interface Waiter {
  readonly revision: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** What differed at an earlier revision, as of the events up to `seen`. */
interface Past {
  readonly revision: number;
  seen: number;
  readonly before: Map<string, Entry | undefined>;
}

export interface WatchCacheOptions {
  readonly etcd: EtcdClient;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** `/registry/pods/` */
  readonly prefix: string;
}

export class WatchCache {
  readonly prefix: string;
  readonly #options: WatchCacheOptions;
  readonly #byKey = new Map<string, Entry>();
  /** The same entries in key order. */
  #sorted = new SortedEntries();
  #state: object | undefined;
  /** The events of the window; those before `#head` are forgotten. */
  #events: CacheEvent[] = [];
  #head = 0;
  /** Every event after this revision is in the window. */
  #complete = 0;
  #revision = 0;
  /** etcd has no revision before this one. */
  #compacted = 0;
  /** Of revisions that were read lately. */
  #pasts: Past[] = [];
  readonly #watchers = new Set<CacheWatcher>();
  /** Those that can't say what they wait for: they see every event. */
  readonly #general = new Set<CacheWatcher>();
  readonly #byTopic = new Map<string, Set<CacheWatcher>>();
  readonly #listeners = new Set<(event: CacheEvent) => void>();
  /** Watchers that have something to read since the events of one answer are being taken in: they are told when all are. */
  readonly #news: CacheWatcher[] = [];
  #isTelling = false;
  /** Of the window's events. */
  #windowBytes = 0;
  #ready = deferred();
  #isReady = false;
  #waiting: Waiter[] = [];
  #failure: StatusError | undefined;
  #progressTimer: Disposable | undefined;
  #requestProgress: (() => void) | undefined;
  /** A writer has waited in vain since anything was heard. */
  #isSilent = false;
  readonly counts = new StorageCounts();

  constructor(options: WatchCacheOptions) {
    this.#options = options;
    this.prefix = options.prefix;
  }

  /** The newest revision of etcd that this cache is known to reflect. */
  get revision(): number {
    return this.#revision;
  }
  get whenReady(): Promise<void> {
    return this.#ready.promise;
  }
  get isReady(): boolean {
    return this.#isReady;
  }
  /** Why it can't be filled: some object is not to be read. */
  get failure(): StatusError | undefined {
    return this.#failure;
  }
  get size(): number {
    return this.#byKey.size;
  }
  /** Another one after each change of what is here. */
  get state(): object {
    return (this.#state ??= {});
  }
  get watchers(): number {
    return this.#watchers.size;
  }

  get(key: string): Entry | undefined {
    return this.#byKey.get(key);
  }

  /** Entries in key order, `limit` of them at most, from `start` on. */
  list({ prefix, matches }: Selection, limit?: number, start?: string): Entry[] {
    const entries = this.#sorted.withPrefix(prefix, limit, start);
    return matches === undefined ? entries : entries.filter(matches);
  }

  /** How many entries' keys begin so, from `start` on. */
  count(prefix: string, start?: string): number {
    return this.#sorted.count(prefix, start);
  }

  /**
   * Whether everything that is needed to tell the state at an earlier revision is here. What etcd has forgotten is not told from memory either.
   * Upstream: storeSnapshotter.GetLessOrEqual
   */
  reachesBack(revision: number): boolean {
    return this.#isReady && revision >= this.#complete && revision >= this.#compacted;
  }

  /** Revisions before this one are gone from etcd. */
  compact(revision: number): void {
    this.#compacted = Math.max(this.#compacted, revision);
  }

  /** The entries as they were at a revision that the cache reaches back to, in key order and from `start` on. */
  listAt(revision: number, prefix: string, start: string): Entry[] {
    const then = this.#differencesSince(revision);
    const changed: string[] = [];
    for (const key of then.keys()) if (key >= start && key.startsWith(prefix)) changed.push(key);
    const now = this.#sorted.withPrefix(prefix, undefined, start);
    if (changed.length === 0) return now;
    const same = now.filter(({ key }) => !then.has(key));
    const other = changed.sort(byText).flatMap((key) => then.get(key) ?? []);
    return merged(same, other);
  }

  /** What is at each key that has changed since, as it was: undefined where nothing was. Pages of one list go on from what the last one found. */
  #differencesSince(revision: number): ReadonlyMap<string, Entry | undefined> {
    let known = this.#pasts.find((past) => past.revision === revision);
    if (known === undefined) {
      known = { revision, seen: revision, before: new Map() };
      this.#pasts.push(known);
      if (this.#pasts.length > PASTS) this.#pasts.shift();
    }
    for (let i = this.#firstEventAfter(known.seen); i < this.#events.length; i++) {
      const { entry, old } = this.#events[i]!;
      if (!known.before.has(entry.key)) known.before.set(entry.key, old);
    }
    known.seen = this.#events.at(-1)?.revision ?? known.seen;
    return known.before;
  }

  /** Tells of every change from now on, in order and at once. For views inside the server (RBAC, namespaces). */
  onEvent(listener: (event: CacheEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves when the cache reflects `revision`; rejects with upstream's 504 after three seconds. */
  async waitUntil(revision: number): Promise<void> {
    if (this.#isReady && this.#revision >= revision) {
      this.counts.readWait.observe(0);
      return;
    }
    const began = this.#options.clock.monotonic();
    const reached = deferred();
    const waiter: Waiter = { revision, ...reached };
    this.#waiting.push(waiter);
    const { clock } = this.#options;
    const timer = clock.after(FRESH_TIMEOUT_MS, () => {
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
      reached.reject(tooLarge(revision, this.#revision, 1));
    });
    this.#askForProgress();
    try {
      await reached.promise;
    } finally {
      this.counts.readWait.observe((clock.monotonic() - began) / 1000);
      timer[Symbol.dispose]();
    }
  }

  /**
   * For a writer: resolves when the cache reflects the write of that revision, or doesn't in time; undefined when there is nothing to wait for. A
   * cache that doesn't follow holds up one round of writers, not each.
   */
  heardOf(revision: number): Promise<void> | undefined {
    if (this.#revision >= revision || !this.#isReady || this.#isSilent) return undefined;
    const { promise, resolve } = deferred();
    const { clock } = this.#options;
    const settle = () => {
      timer[Symbol.dispose]();
      resolve();
    };
    const waiter: Waiter = { revision, resolve: settle, reject: settle };
    const timer = clock.after(FRESH_TIMEOUT_MS, () => {
      this.#isSilent = true;
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
      resolve();
    });
    this.#waiting.push(waiter);
    return promise;
  }

  watch({ prefix, matches, revision, sendInitialEvents, bookmarks, topic, prepare }: WatchStart): CacheWatcher {
    const selection: Selection = matches === undefined ? { prefix } : { prefix, matches };
    const stateFirst = sendInitialEvents || revision === undefined || revision === 0;
    if (!stateFirst && revision < this.#complete) throw tooOld(revision, this.#complete);
    const watcher = new CacheWatcher(
      selection,
      stateFirst ? this.#revision : revision,
      (closed) => {
        this.#watchers.delete(closed);
        this.#general.delete(closed);
        if (topic === undefined) return;
        const others = this.#byTopic.get(topic);
        others?.delete(closed);
        if (others?.size === 0) this.#byTopic.delete(topic);
      },
      prepare,
      this.#news,
    );
    if (stateFirst) {
      const items: WatchItem[] = this.list(selection).map((entry) => ({ type: "ADDED", entry, source: undefined }));
      if (sendInitialEvents && bookmarks)
        items.push({ type: "BOOKMARK", revision: this.#revision, initialEventsEnd: true });
      watcher.start(items);
      this.counts.initial += items.length;
    } else {
      for (let i = this.#firstEventAfter(revision); i < this.#events.length; i++) watcher.offer(this.#events[i]!);
    }
    this.#watchers.add(watcher);
    if (topic === undefined) this.#general.add(watcher);
    else {
      const others = this.#byTopic.get(topic) ?? new Set();
      this.#byTopic.set(topic, others.add(watcher));
    }
    return watcher;
  }

  /** Lists and watches until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    let backoffMs = 10;
    try {
      while (!signal.aborted) {
        try {
          await this.#listAll();
          backoffMs = 10;
          await this.#follow(signal);
        } catch (error) {
          if (signal.aborted) return;
          if (!this.#isReady) this.#fail(error);
          log.v(2).info("Watch cache starts again", { prefix: this.prefix, error: String(error) });
        }
        this.#drop();
        if (!(await pause(clock, backoffMs, signal))) return;
        backoffMs = Math.min(backoffMs * 2, 1000);
      }
    } finally {
      this.#drop();
      this.#progressTimer?.[Symbol.dispose]();
      for (const waiter of this.#waiting.splice(0))
        waiter.reject(new StatusError("ServiceUnavailable", "apiserver is shutting down", { retryAfterSeconds: 1 }));
    }
  }

  /** Nobody waits for a list that fails again until somebody has taken away what can't be read. */
  #fail(error: unknown): void {
    this.#failure = error instanceof StatusError ? error : undefined;
    if (this.#failure === undefined) return;
    for (const { revision, reject } of this.#waiting.splice(0)) reject(tooLarge(revision, this.#revision, 1));
  }

  async #listAll(): Promise<void> {
    const { store } = this.#options;
    const entries: Entry[] = [];
    const known = (key: string) => this.#byKey.get(key);
    let page = await store.list(this.prefix, { limit: PAGE }, known);
    const revision = page.revision;
    for (;;) {
      for (const entry of page.entries) entries.push(entry);
      if (!page.more) break;
      page = await store.list(this.prefix, { start: `${entries.at(-1)!.key}\0`, limit: PAGE, revision }, known);
    }
    // Who came while nothing was followed began at what was known then, and what has happened since was not seen.
    for (const watcher of this.#watchers) watcher.close();
    const before = new Map(this.#byKey);
    this.#byKey.clear();
    for (const entry of entries) this.#byKey.set(entry.key, entry);
    this.#sorted = SortedEntries.of(entries);
    this.#state = undefined;
    this.#events = [];
    this.#windowBytes = 0;
    this.#head = 0;
    this.#pasts = [];
    this.#complete = revision;
    this.#failure = undefined;
    this.#isReady = true;
    this.counts.initializations++;
    this.counts.capacity = Math.max(WINDOW_MIN, this.counts.capacity);
    this.counts.listed("etcd", entries.length, entries.length);
    this.#ready.resolve();
    this.#tellOfRelist(before, revision);
    this.#advance(revision);
  }

  /** Listeners inside the server never start anew: a relist reaches them as the difference. */
  #tellOfRelist(before: ReadonlyMap<string, Entry>, revision: number): void {
    if (this.#listeners.size === 0) return;
    const at = this.#options.clock.monotonic();
    for (const entry of this.#sorted) {
      const old = before.get(entry.key);
      if (old?.revision === entry.revision) continue;
      const event = new CacheEvent(old === undefined ? "ADDED" : "MODIFIED", entry.revision, entry, old, at);
      for (const listener of this.#listeners) listener(event);
    }
    for (const old of before.values()) {
      if (this.#byKey.has(old.key)) continue;
      const event = new CacheEvent("DELETED", revision, old, old, at);
      for (const listener of this.#listeners) listener(event);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const utf8 = new TextEncoder();
    const stream = this.#options.etcd.watch.Watch({ signal, metadata: { hasleader: "true" } });
    stream.send({
      create_request: {
        key: utf8.encode(this.prefix),
        range_end: prefixEnd(this.prefix),
        start_revision: this.#revision + 1,
        prev_kv: true,
        progress_notify: true,
      },
    });
    this.#requestProgress = () => stream.send({ progress_request: {} });
    if (this.#waiting.length > 0) this.#requestProgress();
    try {
      for await (const response of stream) {
        if (response.canceled || response.compact_revision > 0)
          throw new Error(`watch cancelled: ${response.cancel_reason} (compacted ${response.compact_revision})`);
        const { store } = this.#options;
        const wait = !store.transforms
          ? undefined
          : store.prepare(
              response.events.flatMap(({ type, kv, prev_kv }) => {
                if (type !== "DELETE") return [kv!.value];
                return prev_kv === undefined ? [] : [prev_kv.value];
              }),
            );
        if (wait !== undefined) await wait;
        for (const event of response.events) this.#apply(event);
        this.#tell();
        // Only a progress answer says that everything up to etcd's revision was sent: others carry a revision that events under way may not have reached.
        if (response.events.length > 0) this.#advance(response.events.at(-1)!.kv!.mod_revision);
        else if (!response.created) {
          this.counts.bookmarks++;
          this.#advance(response.header!.revision);
        }
      }
    } finally {
      this.#requestProgress = undefined;
      stream.cancel();
    }
  }

  /** Wakes those who have news, in slices: a thousand watchers of everything are a lot of work, and hear of more at once when they come late. */
  #tell(): void {
    if (this.#isTelling) return;
    const { clock } = this.#options;
    const begun = clock.monotonic();
    for (let told = 0; told < this.#news.length;) {
      this.#news[told++]!.wake();
      if (told % TOLD_BETWEEN_LOOKS !== 0 || clock.monotonic() - begun <= SLICE_MS) continue;
      this.#news.splice(0, told);
      this.#isTelling = true;
      clock.soon(() => {
        this.#isTelling = false;
        this.#tell();
      });
      return;
    }
    this.#news.length = 0;
  }

  #apply({ type, kv, prev_kv }: MvccpbEvent): void {
    const { key: bytes, mod_revision: revision } = kv!;
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
    const { store, clock } = this.#options;
    const old = this.#byKey.get(key);
    let event: CacheEvent;
    if (type === "DELETE") {
      const last = old?.stored ?? (prev_kv && store.entryOf(prev_kv, undefined, key).stored);
      if (last === undefined) return;
      const entry = new Entry(key, revision, withRevision(last, revision));
      event = new CacheEvent("DELETED", revision, entry, old, clock.monotonic(), prev_kv?.value.length ?? 0);
      if (old !== undefined) {
        this.#byKey.delete(key);
        this.#sorted.delete(key);
      }
    } else {
      // One that can't be read ends the watch, and the list that follows tells why.
      const entry = store.entryOf(kv!, undefined, key);
      const happened = old === undefined ? "ADDED" : "MODIFIED";
      event = new CacheEvent(happened, revision, entry, old, clock.monotonic(), kv!.value.length);
      this.#byKey.set(key, entry);
      this.#sorted.set(entry);
    }
    this.#state = undefined;
    this.#remember(event);
    for (const listener of this.#listeners) listener(event);
    for (const watcher of this.#general) watcher.offer(event);
    if (this.#byTopic.size === 0) return;
    const topics = new Set(topicsOf(event.entry));
    // An object that moves is news where it was, too.
    if (event.old !== undefined) for (const topic of topicsOf(event.old)) topics.add(topic);
    for (const topic of topics) for (const watcher of this.#byTopic.get(topic) ?? []) watcher.offer(event);
  }

  #remember(event: CacheEvent): void {
    this.#events.push(event);
    this.counts.received++;
    this.#windowBytes += event.size;
    event.old?.forgetBytes();
    const late = this.#events.length - EVENTS_WITH_BYTES;
    if (late >= 0) {
      this.#events[late]!.forgetBytes();
      if (this.#byKey.get(this.#events[late]!.entry.key) !== this.#events[late]!.entry)
        this.#events[late]!.entry.forgetBytes();
    }
    const horizon = event.at - WINDOW_MS;
    let count = this.#events.length - this.#head;
    while (count > WINDOW_MIN) {
      const first = this.#events[this.#head]!;
      if (first.at >= horizon && count <= WINDOW_MAX && this.#windowBytes <= WINDOW_MAX_BYTES) break;
      this.#complete = first.revision;
      this.#windowBytes -= first.size;
      this.#head++;
      count--;
    }
    // As upstream's grows, by doubling.
    while (this.counts.capacity < Math.min(count, WINDOW_MAX)) this.counts.capacity *= 2;
    if (this.#head > WINDOW_MIN && this.#head > this.#events.length / 2) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  #advance(revision: number): void {
    if (revision > this.#revision) {
      this.#revision = revision;
      this.#isSilent = false;
    }
    if (this.#waiting.length === 0 || !this.#isReady) return;
    const still: Waiter[] = [];
    for (const waiter of this.#waiting) {
      if (waiter.revision <= this.#revision) waiter.resolve();
      else still.push(waiter);
    }
    this.#waiting = still;
  }

  /** A quiet resource has no events to tell its revision by: etcd is asked, again and again, while someone waits. */
  #askForProgress(): void {
    this.#requestProgress?.();
    if (this.#progressTimer !== undefined) return;
    this.#progressTimer = this.#options.clock.after(PROGRESS_EVERY_MS, () => {
      this.#progressTimer = undefined;
      if (this.#waiting.length > 0) this.#askForProgress();
    });
  }

  #drop(): void {
    if (this.#isReady) {
      this.#isReady = false;
      this.#ready = deferred();
    }
    for (const watcher of this.#watchers) watcher.close();
  }

  #firstEventAfter(revision: number): number {
    let low = this.#head;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#events[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Two lists in key order as one. */
function merged(one: readonly Entry[], other: readonly Entry[]): Entry[] {
  const all: Entry[] = [];
  let at = 0;
  for (const entry of one) {
    while (at < other.length && other[at]!.key < entry.key) all.push(other[at++]!);
    all.push(entry);
  }
  while (at < other.length) all.push(other[at++]!);
  return all;
}

export function tooLarge(asked: number, current: number, retryAfterSeconds: number): StatusError {
  return new StatusError("Timeout", `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    ...(retryAfterSeconds > 0 && { retryAfterSeconds }),
  });
}

function tooOld(asked: number, oldest: number): StatusError {
  return new StatusError("Expired", `too old resource version: ${asked} (${oldest})`);
}

/** One resource's storage: the store, and the cache before it. */
export interface Storage {
  readonly store: Store;
  readonly cache: WatchCache;
}
