/** One watch on the cache: it filters the changes and buffers them until they are read. A watch whose client does not read is closed. */
import { Entry } from "./entry.ts";
import { withRevision } from "./store.ts";

/** Items that a watcher may leave unread. */
const WATCHER_QUEUE_MAX = 10_000;
const WATCHER_QUEUE_MAX_BYTES = 64 * 1024 * 1024;

export type EventType = "ADDED" | "MODIFIED" | "DELETED";

/** A change as it happened, before any selector. */
export class CacheEvent {
  readonly type: EventType;
  readonly revision: number;
  /** For a deletion the last state, with the deletion's revision. */
  readonly entry: Entry;
  readonly old: Entry | undefined;
  readonly at: number;
  /** Of the stored value, for bounds. */
  readonly size: number;
  #bytes: Map<string, Uint8Array> | undefined;
  #left: Entry | undefined;

  constructor(type: EventType, revision: number, entry: Entry, old: Entry | undefined, at: number, size = 0) {
    this.size = size;
    this.type = type;
    this.revision = revision;
    this.entry = entry;
    this.old = old;
    this.at = at;
  }

  /** The old state with the new revision: what a watcher sees of an object that left its selection. */
  get left(): Entry {
    return (this.#left ??= new Entry(this.entry.key, this.revision, withRevision(this.old!.stored, this.revision)));
  }

  /** As an item of a watcher that sees the change as it happened. */
  get source(): CacheEvent {
    return this;
  }

  /** Bytes are made again for whoever is that late. */
  forgetBytes(): void {
    this.#bytes = undefined;
  }

  known(key: string): Uint8Array | undefined {
    return this.#bytes?.get(key);
  }

  /** The event's bytes in one encoding, made once for all watchers. */
  bytes(key: string, encode: () => Uint8Array): Uint8Array {
    let bytes = this.#bytes?.get(key);
    if (bytes === undefined) {
      bytes = encode();
      (this.#bytes ??= new Map()).set(key, bytes);
    }
    return bytes;
  }
}

/** What a watcher gets. `source` is there to share encoded bytes; it is absent for the synthetic events of a start. */
export type WatchItem =
  | { readonly type: EventType; readonly entry: Entry; readonly source: CacheEvent | undefined }
  | { readonly type: "BOOKMARK"; readonly revision: number; readonly initialEventsEnd: boolean };

/** What part of a resource is read: keys that begin with `prefix`, and of these what `matches`. */
export interface Selection {
  readonly prefix: string;
  readonly matches?: (entry: Entry) => boolean;
}

export interface WatchStart extends Selection {
  /** Undefined or 0: the state now comes first, as ADDED. */
  readonly revision: number | undefined;
  readonly sendInitialEvents: boolean;
  /** Undefined: the state is sent where `revision` asks for it and no bookmark follows. */
  readonly bookmarks: boolean;
  /** All that can match has this topic: other events aren't even looked at. See `topicsOf`. */
  readonly topic?: string;
  /** What has to happen to items before they are read; it may take time, and leave some out. */
  readonly prepare?: (items: readonly WatchItem[]) => Promise<readonly WatchItem[]>;
}

/** What an entry can be picked by without asking every watcher: its key, its namespace and, for pods, its node. */
export const keyTopic = (key: string): string => `key ${key}`;
export const prefixTopic = (prefix: string): string => `in ${prefix}`;
export const nodeTopic = (node: string): string => `node ${node}`;

export function topicsOf({ key, stored }: Entry): readonly string[] {
  const topics = [keyTopic(key), prefixTopic(key.slice(0, key.lastIndexOf("/") + 1))];
  const node = stored.kind === "Pod" ? (stored as { spec?: { nodeName?: string } }).spec?.nodeName : undefined;
  return node === undefined || node === "" ? topics : [...topics, nodeTopic(node)];
}

export class CacheWatcher implements AsyncIterable<WatchItem> {
  readonly #selection: Selection;
  readonly #onClose: (watcher: CacheWatcher) => void;
  #queue: WatchItem[] = [];
  #queueBytes = 0;
  /** Of the queue, what the watch began with: that is as long as it is. */
  #initial = 0;
  readonly #prepare: WatchStart["prepare"];
  #wake: (() => void) | undefined;
  #closed = false;
  #overrun = false;
  readonly #onEnd: (() => void)[] = [];
  #error: unknown;
  /** Events up to here are not for this watcher. */
  #after: number;
  /** Where watchers that have news are put until all the news is there. */
  readonly #news: CacheWatcher[] | undefined;

  constructor(
    selection: Selection,
    after: number,
    onClose: (watcher: CacheWatcher) => void,
    prepare?: WatchStart["prepare"],
    news?: CacheWatcher[],
  ) {
    this.#selection = selection;
    this.#prepare = prepare;
    this.#after = after;
    this.#onClose = onClose;
    this.#news = news;
  }

  /** The change as this watcher sees it: entering its selection is ADDED, leaving it DELETED. */
  offer(event: CacheEvent): void {
    if (event.revision <= this.#after) return;
    const { prefix, matches } = this.#selection;
    if (!event.entry.key.startsWith(prefix)) return;
    if (matches === undefined) {
      this.#add(event);
      return;
    }
    const is = event.type !== "DELETED" && matches(event.entry);
    const was = event.old !== undefined && matches(event.old);
    if (is) {
      const type = was ? "MODIFIED" : "ADDED";
      this.#add(type === event.type ? event : { type, entry: event.entry, source: event });
    } else if (was) this.#add(event.type === "DELETED" ? event : { type: "DELETED", entry: event.left, source: event });
  }

  /** An item that is no news of the cache's: it is told of at once. */
  push(item: WatchItem): void {
    this.#add(item, true);
  }

  /** What the watch begins with. */
  start(items: readonly WatchItem[]): void {
    for (const item of items) this.#queue.push(item);
    this.#initial += items.length;
  }

  #add(item: WatchItem, atOnce = false): void {
    if (this.#closed) return;
    this.#queue.push(item);
    if (item.type !== "BOOKMARK") this.#queueBytes += item.source?.size ?? 0;
    if (this.#wake === undefined) {
      if (this.#queue.length > WATCHER_QUEUE_MAX + this.#initial || this.#queueBytes > WATCHER_QUEUE_MAX_BYTES)
        this.#overflow();
    } else if (atOnce || this.#news === undefined) this.wake();
    else if (this.#queue.length === 1) this.#news.push(this);
  }

  /** Tells the reader, if one waits. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Discards the buffer, because the client does not read. */
  #overflow(): void {
    this.#overrun = true;
    this.#queue = [];
    this.close();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Closed because nobody read. */
  get overrun(): boolean {
    return this.#overrun;
  }

  /** Why it was closed, where that is for the client to know. */
  get error(): unknown {
    return this.#error;
  }

  /** Ends with the signal; a signal that outlives the watch keeps nothing of it. */
  closeWith(signal: AbortSignal): void {
    if (signal.aborted) {
      this.close();
      return;
    }
    const stop = () => this.close();
    signal.addEventListener("abort", stop, { once: true });
    this.onEnd(() => signal.removeEventListener("abort", stop));
  }

  /** Tells when the watch is over. */
  onEnd(told: () => void): void {
    this.#onEnd.push(told);
  }

  /** Ends the watch, with an error for the client or cleanly. */
  close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#onClose(this);
    for (const told of this.#onEnd.splice(0)) told();
    this.wake();
  }

  /** All that waits to be read; empty where nothing does. */
  take(): readonly WatchItem[] | Promise<readonly WatchItem[]> {
    const batch = this.#queue;
    if (batch.length === 0) return batch;
    this.#queue = [];
    this.#queueBytes = 0;
    this.#initial = 0;
    return this.#prepare === undefined ? batch : this.#prepare(batch);
  }

  /** Calls once, when there is something to take or the watch is over. For a reader who found nothing. */
  whenMore(wake: () => void): void {
    this.#wake = wake;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchItem> {
    try {
      for (;;) {
        if (this.#queue.length > 0) {
          yield* await this.take();
          continue;
        }
        if (this.#closed) {
          if (this.#error !== undefined) throw this.#error;
          return;
        }
        await new Promise<void>((resolve) => this.whenMore(resolve));
      }
    } finally {
      this.close();
    }
  }
}
