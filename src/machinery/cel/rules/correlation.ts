/**
 * Correlates a value with its old one, recursively: properties and map entries by name, items of keyed lists by their keys, items of other lists not
 * at all. What has not changed may stay invalid.
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/common/{equality,maplist}.go
 */
import { itemsOf, propertyOf, type RuleSchema, valuesOf } from "./schema.ts";
import { sameJson } from "./values.ts";

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export class Correlated {
  readonly value: unknown;
  readonly old: unknown;
  readonly #schema: RuleSchema;
  readonly #children = new Map<string | number, Correlated | undefined>();
  #oldItems: OldItems | undefined;
  #isSame: boolean | undefined;

  constructor(value: unknown, old: unknown, schema: RuleSchema) {
    this.value = value;
    this.old = old;
    this.#schema = schema;
  }

  /** Nothing about it has changed. Of fields that the schema doesn't know upstream can't say so. */
  get isSame(): boolean {
    return (this.#isSame ??= this.#compare());
  }

  #compare(): boolean {
    const { value, old } = this;
    if (Array.isArray(value) && Array.isArray(old))
      return (
        value.length === old.length &&
        (this.#isKeyed() ? value.every((_, i) => this.index(i)?.isSame === true) : sameJson(value, old))
      );
    if (isObject(value) && isObject(old)) {
      const names = Object.keys(value);
      return names.length === Object.keys(old).length && names.every((name) => this.key(name)?.isSame === true);
    }
    return sameJson(value ?? null, old ?? null);
  }

  #isKeyed(): boolean {
    return this.#schema.type === "array" && this.#schema["x-kubernetes-list-type"] === "map";
  }

  key(name: string): Correlated | undefined {
    return this.#child(name, () => {
      const { value, old } = this;
      if (!isObject(value) || !isObject(old) || !Object.hasOwn(value, name) || !Object.hasOwn(old, name))
        return undefined;
      const schema = propertyOf(this.#schema, name) ?? valuesOf(this.#schema);
      return schema && new Correlated(value[name], old[name], schema);
    });
  }

  index(at: number): Correlated | undefined {
    return this.#child(at, () => {
      const { value, old } = this;
      const items = itemsOf(this.#schema);
      if (!Array.isArray(value) || !Array.isArray(old) || at >= value.length || items === undefined) return undefined;
      const before = (this.#oldItems ??= new OldItems(this.#schema, old)).find(value[at]);
      return before === undefined ? undefined : new Correlated(value[at], before, items);
    });
  }

  #child(name: string | number, make: () => Correlated | undefined): Correlated | undefined {
    if (this.#children.has(name)) return this.#children.get(name);
    const made = make();
    this.#children.set(name, made);
    return made;
  }
}

/** The items of a list by their keys; nothing where the list has none. Of several with one key the first counts. */
export class OldItems {
  readonly #keys: readonly string[];
  readonly #items: readonly unknown[];
  #byKey: ReadonlyMap<string, unknown> | undefined;

  constructor(schema: RuleSchema, items: readonly unknown[]) {
    const isKeyed = schema.type === "array" && schema["x-kubernetes-list-type"] === "map";
    this.#keys = isKeyed ? (schema["x-kubernetes-list-map-keys"] ?? []) : [];
    this.#items = items;
  }

  find(item: unknown): unknown {
    if (this.#keys.length === 0 || this.#items.length === 0) return undefined;
    const key = this.#keyOf(item);
    if (key === undefined) return undefined;
    if (this.#byKey === undefined) {
      const byKey = new Map<string, unknown>();
      for (const one of this.#items) {
        const its = this.#keyOf(one);
        if (its !== undefined && !byKey.has(its)) byKey.set(its, one);
      }
      this.#byKey = byKey;
    }
    return this.#byKey.get(key);
  }

  #keyOf(item: unknown): string | undefined {
    if (!isObject(item)) return undefined;
    const parts: string[] = [];
    for (const key of this.#keys) {
      const value = Object.hasOwn(item, key) ? item[key] : undefined;
      if (!["string", "number", "boolean"].includes(typeof value)) return undefined;
      parts.push(JSON.stringify(value));
    }
    return parts.join("\0");
  }
}
