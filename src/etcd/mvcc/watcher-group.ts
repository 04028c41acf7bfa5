/** Watchers by what they watch: those of single keys in a map, those of ranges in an interval tree. */
import { IntervalTree } from "../../base/interval-tree.ts";

export interface Watched {
  readonly key: string;
  /** Not there for one key; `undefined` inside has no end. */
  readonly range: { readonly end: string | undefined } | undefined;
}

export class WatcherGroup<W extends Watched> {
  readonly #all = new Set<W>();
  readonly #byKey = new Map<string, Set<W>>();
  readonly #ranges = new IntervalTree<W>();

  get size(): number {
    return this.#all.size;
  }
  [Symbol.iterator](): IterableIterator<W> {
    return this.#all.values();
  }
  has(watcher: W): boolean {
    return this.#all.has(watcher);
  }

  add(watcher: W): void {
    if (this.#all.has(watcher)) return;
    this.#all.add(watcher);
    if (watcher.range !== undefined) return this.#ranges.add(watcher.key, watcher.range.end, watcher);
    const same = this.#byKey.get(watcher.key);
    if (same === undefined) this.#byKey.set(watcher.key, new Set([watcher]));
    else same.add(watcher);
  }

  delete(watcher: W): boolean {
    if (!this.#all.delete(watcher)) return false;
    if (watcher.range !== undefined) return this.#ranges.delete(watcher.key, watcher.range.end, watcher);
    const same = this.#byKey.get(watcher.key)!;
    same.delete(watcher);
    if (same.size === 0) this.#byKey.delete(watcher.key);
    return true;
  }

  forEachOf(key: string, visit: (watcher: W) => void): void {
    this.#byKey.get(key)?.forEach(visit);
    this.#ranges.stab(key, visit);
  }
}
