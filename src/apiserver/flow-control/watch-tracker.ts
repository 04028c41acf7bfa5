/** Counts the watches that a write would reach, by resource, namespace and name. Upstream: pkg/util/flowcontrol/watch_tracker.go */
import type { RequestInfo } from "../request-info.ts";

export class WatchTracker {
  readonly #counts = new Map<string, number>();

  /** Gives what forgets the watch again. */
  add(info: RequestInfo): () => void {
    // Watches on one node's pods are indexed: a change reaches one of them at most.
    if (info.resource === "pods" && /(?:^|,)spec\.nodeName={1,2}[^,]/.test(info.fieldSelector)) return () => {};
    const key = keyOf(info, info.namespace, info.name);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    return () => {
      const left = this.#counts.get(key)! - 1;
      if (left === 0) this.#counts.delete(key);
      else this.#counts.set(key, left);
    };
  }

  interestedIn(info: RequestInfo): number {
    if (this.#counts.size === 0) return 0;
    const { namespace, name } = info;
    let sum = this.#counts.get(keyOf(info, "", "")) ?? 0;
    if (namespace !== "") sum += this.#counts.get(keyOf(info, namespace, "")) ?? 0;
    if (name !== "") sum += this.#counts.get(keyOf(info, namespace, name)) ?? 0;
    return sum;
  }
}

const keyOf = ({ apiGroup, resource }: RequestInfo, namespace: string, name: string): string =>
  `${apiGroup}/${resource}/${namespace}/${name}`;
