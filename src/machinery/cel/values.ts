/**
 * The values that expressions compute with. A 64-bit `int` is a bigint and a `double` a number, so that the two never mix by accident; `uint` has a
 * class of its own. A list is an array or anything else with the same three operations; maps are our own, since keys may be numbers; and what a
 * library adds (a quantity, a URL, …) is an `Opaque`.
 *
 * Upstream: github.com/google/cel-go common/types
 */
import type { Type } from "./types.ts";

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Uint
  | Timestamp
  | Duration
  | ListValue
  | MapValue
  | TypeValue
  | Optional
  | Opaque;

export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

/** An instant, in nanoseconds since 1970. */
export class Timestamp {
  readonly ns: bigint;
  constructor(ns: bigint) {
    this.ns = ns;
  }
}

export class Duration {
  readonly ns: bigint;
  constructor(ns: bigint) {
    this.ns = ns;
  }
}

export class TypeValue {
  readonly type: Type;
  constructor(type: Type) {
    this.type = type;
  }
}

export class Optional {
  /** Undefined for `optional.none()`. */
  readonly value: Value | undefined;
  constructor(value: Value | undefined) {
    this.value = value;
  }
  static readonly none = new Optional(undefined);
}

/** A value of a library's type. */
export abstract class Opaque {
  abstract readonly type: Type;
  abstract equals(other: Opaque): boolean;
  /** The field of an object; undefined where it has none of that name. */
  field?(name: string): Value | undefined;
  /** Of objects: whether `has()` holds. */
  has?(name: string): boolean;
}

export abstract class ListValue {
  abstract readonly size: number;
  /** `index` is within bounds. */
  abstract at(index: number): Value;
  /** Lists that schemas call sets or maps compare and add in their own way. */
  equals?(other: ListValue): boolean;
  add?(other: ListValue): ListValue;

  *[Symbol.iterator](): Iterator<Value> {
    for (let i = 0; i < this.size; i++) yield this.at(i);
  }
}

export abstract class MapValue {
  abstract readonly size: number;
  abstract get(key: Value): Value | undefined;
  abstract keys(): Iterable<Value>;
  /** Maps that a schema describes compare in their own way. */
  equals?(other: MapValue): boolean;
}

export class ArrayList extends ListValue {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    super();
    this.items = items;
  }
  override get size(): number {
    return this.items.length;
  }
  override at(index: number): Value {
    return this.items[index]!;
  }
}

/** A list that grows by one at its end, as the loops of macros do: the array is shared as long as nobody else has grown it. */
export class GrowingList extends ListValue {
  readonly #items: Value[];
  override readonly size: number;
  private constructor(items: Value[], size: number) {
    super();
    this.#items = items;
    this.size = size;
  }
  static readonly empty = (): GrowingList => new GrowingList([], 0);
  override at(index: number): Value {
    return this.#items[index]!;
  }
  push(value: Value): GrowingList {
    const items = this.#items.length === this.size ? this.#items : this.#items.slice(0, this.size);
    items.push(value);
    return new GrowingList(items, this.size + 1);
  }
}

/** Numbers that are equal are one key, whatever their type; a string never equals a number. */
export function mapKey(key: Value): string | undefined {
  if (typeof key === "string") return `s${key}`;
  if (typeof key === "bigint") return `n${key}`;
  if (key instanceof Uint) return `n${key.value}`;
  if (typeof key === "number") return Number.isInteger(key) ? `n${BigInt(key)}` : `n${key}`;
  if (typeof key === "boolean") return key ? "true" : "false";
  return undefined;
}

export class HashMap extends MapValue {
  readonly #entries = new Map<string, readonly [Value, Value]>();
  static of(entries: Iterable<readonly [Value, Value]>): HashMap {
    const map = new HashMap();
    for (const [key, value] of entries) map.#entries.set(mapKey(key)!, [key, value]);
    return map;
  }
  override get size(): number {
    return this.#entries.size;
  }
  override get(key: Value): Value | undefined {
    const text = mapKey(key);
    return text === undefined ? undefined : this.#entries.get(text)?.[1];
  }
  override *keys(): Iterable<Value> {
    for (const [key] of this.#entries.values()) yield key;
  }
}

/** A map that grows by one entry at a time, as `GrowingList` does. */
export class GrowingMap extends MapValue {
  readonly #entries: Map<string, readonly [Value, Value]>;
  override readonly size: number;
  private constructor(entries: Map<string, readonly [Value, Value]>, size: number) {
    super();
    this.#entries = entries;
    this.size = size;
  }
  static readonly empty = (): GrowingMap => new GrowingMap(new Map(), 0);
  override get(key: Value): Value | undefined {
    const text = mapKey(key);
    return text === undefined ? undefined : this.#entries.get(text)?.[1];
  }
  override *keys(): Iterable<Value> {
    for (const [key] of this.#entries.values()) yield key;
  }
  with(key: Value, value: Value): GrowingMap {
    this.#entries.set(mapKey(key)!, [key, value]);
    return new GrowingMap(this.#entries, this.size + 1);
  }
}

/** JSON as it came, without a schema: numbers are ints where they are whole. Converted where it is looked at. */
export function fromJson(value: unknown): Value {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "bigint":
      return value;
    case "number":
      return Number.isSafeInteger(value) ? BigInt(value) : value;
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return new JsonList(value);
      return new JsonMap(value as Readonly<Record<string, unknown>>);
    default:
      return null;
  }
}

export class JsonList extends ListValue {
  readonly json: readonly unknown[];
  constructor(json: readonly unknown[]) {
    super();
    this.json = json;
  }
  override get size(): number {
    return this.json.length;
  }
  override at(index: number): Value {
    return fromJson(this.json[index]);
  }
}

class JsonMap extends MapValue {
  readonly json: Readonly<Record<string, unknown>>;
  constructor(json: Readonly<Record<string, unknown>>) {
    super();
    this.json = json;
  }
  override get size(): number {
    return Object.keys(this.json).length;
  }
  override get(key: Value): Value | undefined {
    if (typeof key !== "string" || !Object.hasOwn(this.json, key)) return undefined;
    const value = this.json[key];
    return value === undefined ? undefined : fromJson(value);
  }
  override keys(): Iterable<Value> {
    return Object.keys(this.json);
  }
}

/** A failure of evaluation, which `&&`, `||` and macros may absorb. */
export class CelError extends Error {
  override readonly name = "CelError";
}

/** Ends evaluation: nothing absorbs it. */
export class CelAbort extends Error {
  override readonly name = "CelAbort";
}
