/**
 * A store that a reflector feeds and that notifies its subscribers of changes.
 * Upstream: staging/src/k8s.io/client-go/tools/cache/shared_informer.go
 */
import { keyOf, type KubeObject } from "../../machinery/meta/object.ts";
import type { Logger } from "../../observe/log.ts";
import { deferred } from "../../base/deferred.ts";
import type { WatchEvent } from "../transport.ts";
import type { Informer, InformerHandler } from "./informer.ts";
import type { Sink } from "./reflector.ts";
import { Store } from "./store.ts";

interface Waiter {
  readonly resourceVersion: string;
  readonly call: () => void;
}

export class SharedInformer<T extends KubeObject> implements Informer<T>, Sink<T> {
  readonly #store = new Store<T>();
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #sync = deferred();
  readonly #log: Logger;
  readonly #waiters = new Set<Waiter>();
  #synced = false;
  #resourceVersion = "";

  constructor(log: Logger) {
    this.#log = log;
  }

  get synced(): boolean {
    return this.#synced;
  }

  /** Somebody follows it or looks things up in it. */
  get isUsed(): boolean {
    return this.#handlers.size > 0 || this.#store.hasIndexes;
  }

  get resourceVersion(): string {
    return this.#resourceVersion;
  }

  get(key: string): T | undefined {
    return this.#store.get(key);
  }

  list(namespace?: string): readonly T[] {
    return this.#store.list(namespace);
  }

  byIndex(index: string, value: string): readonly T[] {
    return this.#store.byIndex(index, value);
  }

  addIndex(name: string, values: (object: T) => readonly string[]): void {
    this.#store.addIndex(name, values);
  }

  subscribe(handler: InformerHandler<T>): Disposable {
    this.#handlers.add(handler);
    for (const object of this.#store.list()) this.#tell(() => handler.add?.(object, true));
    return { [Symbol.dispose]: () => void this.#handlers.delete(handler) };
  }

  waitForSync(signal: AbortSignal): Promise<void> {
    if (this.#synced) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      void this.#sync.promise.then(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
    });
  }

  hasSeen(resourceVersion: string): boolean {
    return !olderThan(this.#resourceVersion, resourceVersion);
  }

  onceSeen(resourceVersion: string, call: () => void): Disposable {
    const waiter = { resourceVersion, call };
    this.#waiters.add(waiter);
    return { [Symbol.dispose]: () => void this.#waiters.delete(waiter) };
  }

  replace(objects: readonly T[], resourceVersion: string): void {
    const gone = new Set(this.#store.keys());
    this.#advance(resourceVersion);
    for (const object of objects) {
      gone.delete(keyOf(object));
      this.#put(object, !this.#synced);
    }
    for (const key of gone) this.#drop(key, this.#store.get(key)!);
    if (!this.#synced) {
      this.#synced = true;
      this.#sync.resolve();
    }
    this.#wake();
  }

  apply({ type, object }: WatchEvent<T>): void {
    this.#advance(object.metadata.resourceVersion);
    if (type === "DELETED") this.#drop(keyOf(object), object);
    else if (type !== "BOOKMARK") this.#put(object, false);
    this.#wake();
  }

  #put(object: T, initial: boolean): void {
    const old = this.#store.set(object);
    if (old !== undefined && old.metadata.resourceVersion === object.metadata.resourceVersion) return;
    for (const handler of this.#handlers)
      this.#tell(() => (old === undefined ? handler.add?.(object, initial) : handler.update?.(old, object)));
  }

  #drop(key: string, last: T): void {
    if (this.#store.delete(key) === undefined) return;
    for (const handler of this.#handlers) this.#tell(() => handler.delete?.(last));
  }

  #advance(resourceVersion: string): void {
    if (resourceVersion !== "") this.#resourceVersion = resourceVersion;
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (!this.hasSeen(waiter.resourceVersion)) continue;
      this.#waiters.delete(waiter);
      this.#tell(waiter.call);
    }
  }

  /** One subscriber's bug must not blind the others. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#log.error("An informer's handler failed", error);
    }
  }
}

/** Versions of one server are decimal numbers of any length; anything else can't be compared and counts as new enough. */
export function olderThan(a: string, b: string): boolean {
  if (!/^\d+$/.test(b)) return false;
  if (!/^\d+$/.test(a)) return a === "";
  return a.length !== b.length ? a.length < b.length : a < b;
}
