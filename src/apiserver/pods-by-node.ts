/**
 * An index of pods by node, maintained with the watch cache. A kubelet's permissions depend on its pods, and scanning all pods at every request
 * would take too long.
 */
import type { AnyObject } from "./admission/framework.ts";
import type { Entry } from "./storage/entry.ts";
import type { WatchCache } from "./storage/watch-cache.ts";

export class PodsByNode {
  readonly #byNode = new Map<string, Map<string, Entry>>();

  constructor(cache: WatchCache) {
    for (const entry of cache.list({ prefix: cache.prefix })) this.#put(entry);
    cache.onEvent(({ type, entry, old }) => {
      if (old !== undefined && nodeOf(old) !== nodeOf(entry)) this.#remove(old);
      if (type === "DELETED") this.#remove(entry);
      else this.#put(entry);
    });
  }

  on(node: string): Iterable<Entry> {
    return this.#byNode.get(node)?.values() ?? [];
  }

  #put(entry: Entry): void {
    const node = nodeOf(entry);
    if (node === "") return;
    const pods = this.#byNode.get(node);
    if (pods === undefined) this.#byNode.set(node, new Map([[entry.key, entry]]));
    else pods.set(entry.key, entry);
  }

  #remove(entry: Entry): void {
    const node = nodeOf(entry);
    const pods = this.#byNode.get(node);
    pods?.delete(entry.key);
    if (pods?.size === 0) this.#byNode.delete(node);
  }
}

const nodeOf = ({ stored }: Entry): string => (stored as AnyObject).spec?.nodeName ?? "";
