/** What an informer holds: objects by key, by namespace and by index. Objects are shared, never copied. */
import { assert } from "../../base/assert.ts";
import { keyOf, type KubeObject } from "../../machinery/meta/object.ts";

interface Index<T> {
  readonly values: (object: T) => readonly string[];
  readonly byValue: Map<string, Set<T>>;
}

const NONE: readonly never[] = [];

export class Store<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #byNamespace = new Map<string, Set<T>>();
  readonly #indexes = new Map<string, Index<T>>();

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  keys(): Iterable<string> {
    return this.#objects.keys();
  }

  list(namespace?: string): readonly T[] {
    if (namespace === undefined || namespace === "") return [...this.#objects.values()];
    const objects = this.#byNamespace.get(namespace);
    return objects === undefined ? NONE : [...objects];
  }

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    assert(index, `there is no index ${name}`);
    const objects = index.byValue.get(value);
    return objects === undefined ? NONE : [...objects];
  }

  get hasIndexes(): boolean {
    return this.#indexes.size > 0;
  }

  /** An index of the same name is taken to be the same. */
  addIndex(name: string, values: (object: T) => readonly string[]): void {
    if (this.#indexes.has(name)) return;
    const index: Index<T> = { values, byValue: new Map() };
    this.#indexes.set(name, index);
    for (const object of this.#objects.values()) for (const value of values(object)) add(index.byValue, value, object);
  }

  /** Returns what was there before. */
  set(object: T): T | undefined {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    if (old !== undefined) this.#leave(old);
    this.#objects.set(key, object);
    add(this.#byNamespace, object.metadata.namespace ?? "", object);
    for (const index of this.#indexes.values())
      for (const value of index.values(object)) add(index.byValue, value, object);
    return old;
  }

  delete(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (old === undefined) return undefined;
    this.#leave(old);
    this.#objects.delete(key);
    return old;
  }

  #leave(object: T): void {
    remove(this.#byNamespace, object.metadata.namespace ?? "", object);
    for (const index of this.#indexes.values())
      for (const value of index.values(object)) remove(index.byValue, value, object);
  }
}

function add<T>(map: Map<string, Set<T>>, value: string, object: T): void {
  const set = map.get(value);
  if (set === undefined) map.set(value, new Set([object]));
  else set.add(object);
}

function remove<T>(map: Map<string, Set<T>>, value: string, object: T): void {
  const set = map.get(value);
  if (set === undefined) return;
  set.delete(object);
  if (set.size === 0) map.delete(value);
}
