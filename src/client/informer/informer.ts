/** The interface of informers. Upstream: staging/src/k8s.io/client-go/tools/cache */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { ResourceOf } from "../../machinery/resource.ts";

/** A local copy of a resource, kept by list and watch. Objects are shared and frozen. */
export interface Informer<T extends KubeObject = KubeObject> {
  /** By `namespace/name` (or `name`). */
  get(key: string): T | undefined;
  /** All, or those of one namespace. The order is not promised. */
  list(namespace?: string): readonly T[];
  /** By an index that was declared with `addIndex`. */
  byIndex(index: string, value: string): readonly T[];
  addIndex(name: string, values: (object: T) => readonly string[]): void;
  /** Handlers are called in order, one event at a time; those added late first get `add` for everything there is. */
  subscribe(handler: InformerHandler<T>): Disposable;
  /** True once the first list is in. */
  readonly synced: boolean;
  waitForSync(signal: AbortSignal): Promise<void>;
  /** The newest resourceVersion seen, bookmarks included. */
  readonly resourceVersion: string;
  /** Whether this copy is at least as new as `resourceVersion`; versions that can't be compared count as seen. */
  hasSeen(resourceVersion: string): boolean;
  /** Calls once the copy is that new. It never calls at once: ask `hasSeen` first. */
  onceSeen(resourceVersion: string, call: () => void): Disposable;
}

export interface InformerHandler<T> {
  add?(object: T, initial: boolean): void;
  update?(old: T, object: T): void;
  delete?(object: T): void;
}

/** Informers of one process: one list and watch a resource and selector, however many ask for it. */
export interface Informers {
  of<T extends KubeObject>(
    resource: ResourceOf<T>,
    options?: { readonly namespace?: string; readonly labelSelector?: string; readonly fieldSelector?: string },
  ): Informer<T>;
  /** Stops following a resource that is no longer served, where nobody subscribes to it or has an index on it. */
  drop(resource: ResourceOf<any>): void;
  /** Starts those asked for so far and waits until they are synced; later ones start as they are asked for. Runs until `signal` aborts. */
  run(signal: AbortSignal, ready: () => void): Promise<void>;
}
