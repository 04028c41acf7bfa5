/**
 * Watchers of the v2 API. One v3 watch over its prefix informs this member of every write, its own and others'; it is open while somebody is
 * waiting.
 * Upstream: server/etcdserver/api/v2store/watcher_hub.go, event_history.go
 */
import type { WatchResponse } from "../../protocols/etcd/generated.ts";
import type { Watchable, WatchStream } from "../mvcc/watchable.ts";
import { V2Error } from "./errors.ts";
import { ALL, HISTORY, readEvent, readKey, type StoredEvent, type StoreTree } from "./layout.ts";
import type { Event } from "./node.ts";

export interface WatchOptions {
  readonly path: string;
  readonly recursive: boolean;
  /** Goes on after the first event. */
  readonly stream: boolean;
  /** 0 for "from now on". */
  readonly since: number;
  readonly onEvent: (event: Event) => void;
  /** The store was replaced under the watcher. */
  readonly onLost: () => void;
}

interface Watcher extends WatchOptions {
  readonly first: number;
}

const NEVER = new Promise<void>(() => {});

export class Hub {
  readonly #watchable: Watchable;
  readonly #watchers = new Map<string, Set<Watcher>>();
  #count = 0;
  #stream: WatchStream | undefined;

  constructor(watchable: Watchable) {
    this.#watchable = watchable;
  }

  get watchers(): number {
    return this.#count;
  }

  /** Begins to wait; throws where what is asked for is forgotten. The answer ends it. */
  watch(tree: StoreTree, options: WatchOptions): () => void {
    const { path, recursive, since } = options;
    const first = since === 0 ? tree.index + 1 : since;
    const oldest = Math.max(1, tree.index - HISTORY + 1);
    if (first < oldest) {
      const detail = `the requested history has been cleared [${oldest}/${first}]`;
      throw new V2Error("eventIndexCleared", detail, tree.index);
    }
    if (first <= tree.index) {
      for (const event of tree.events(first)) {
        if (!concerns(event, path, recursive)) continue;
        // Upstream tells the one event of the past, and a stream that began with it stays silent from there on.
        options.onEvent(event);
        return () => {};
      }
    }
    const watcher: Watcher = { ...options, first };
    this.#stream ??= this.#open();
    const known = this.#watchers.get(path);
    if (known === undefined) this.#watchers.set(path, new Set([watcher]));
    else known.add(watcher);
    this.#count++;
    return () => this.#remove(watcher);
  }

  #remove(watcher: Watcher): void {
    const known = this.#watchers.get(watcher.path);
    if (known?.delete(watcher) !== true) return;
    if (known.size === 0) this.#watchers.delete(watcher.path);
    this.#count--;
    if (this.#count > 0) return;
    this.#stream?.close();
    this.#stream = undefined;
  }

  #open(): WatchStream {
    const stream = this.#watchable.open({
      send: (response) => {
        this.#receive(response);
        return true; // Nothing is kept here: whoever is slow is cut off by the one who writes to it.
      },
      drained: NEVER,
    });
    stream.create({ key: ALL.key, range_end: ALL.rangeEnd });
    return stream;
  }

  #receive({ events, canceled }: WatchResponse): void {
    if (canceled) {
      const lost = [...this.#watchers.values()].flatMap((watchers) => [...watchers]);
      for (const watcher of lost) {
        this.#remove(watcher);
        watcher.onLost();
      }
      return;
    }
    // A change's removals come before its event, in the same transaction.
    let removed: string[] = [];
    for (const { type, kv } of events) {
      const key = kv === undefined ? undefined : readKey(kv.key);
      if (key === undefined) continue;
      if ("node" in key) {
        if (type === "DELETE") removed.push(key.node);
      } else if (type === "PUT") {
        const event = readEvent(kv!.value);
        if (event.refresh !== true) this.#tell(event, removed);
        removed = [];
      }
    }
  }

  /**
   * First those at what is gone, leaves before their directories; then those on the way from the root. A stream at the very path that was
   * removed is on both ways and hears of it twice, as upstream's.
   */
  #tell(event: StoredEvent, removed: readonly string[]): void {
    for (const path of [...removed].reverse()) this.#notify(event, path, true);
    let at = "";
    this.#notify(event, "/", false);
    for (const name of event.node.key!.split("/")) {
      if (name === "") continue;
      at += `/${name}`;
      this.#notify(event, at, false);
    }
  }

  #notify(event: StoredEvent, path: string, removed: boolean): void {
    const changed = event.node.key!;
    const own = changed === path;
    if (!own && isHiddenBelow(path, changed)) return;
    for (const watcher of this.#watchers.get(path) ?? []) {
      if (!watcher.recursive && !own && !removed) continue;
      if (event.node.modifiedIndex! < watcher.first) continue;
      if (!watcher.stream) this.#remove(watcher);
      watcher.onEvent(event);
    }
  }
}

/** Whether an event of the past is one that a watcher waits for. Hidden nodes count here, as upstream's. */
function concerns(event: StoredEvent, path: string, recursive: boolean): boolean {
  if (event.refresh === true) return false;
  const changed = event.node.key!;
  if (changed === path) return true;
  if (recursive && changed.startsWith(path === "/" ? path : `${path}/`)) return true;
  const { action, prevNode } = event;
  return (action === "delete" || action === "expire") && prevNode?.dir === true && path.startsWith(prevNode.key!);
}

function isHiddenBelow(path: string, changed: string): boolean {
  return path.length <= changed.length && `/${changed.slice(path.length)}`.includes("/_");
}
