/**
 * Wraps JSON as CEL values by its schema: timestamps as such, integers as doubles where a number is declared, sets and keyed lists that compare and
 * concatenate as such. Values are converted lazily.
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/common/valuesunstructured.go
 */
import { equals } from "../operations.ts";
import { parseGoDuration, parseTimestamp } from "../libraries/time.ts";
import { struct, type Type } from "../types.ts";
import { CelError, Duration, ListValue, mapKey, MapValue, Opaque, Timestamp, type Value } from "../values.ts";
import {
  escapeName,
  isEmbedded,
  itemsOf,
  propertyOf,
  type RuleSchema,
  unescapedKeyword,
  valuesOf,
  withIdentity,
} from "./schema.ts";

/** What is worked out of a schema once. */
export class Shape {
  readonly schema: RuleSchema;
  readonly #children = new Map<string, Shape | undefined>();
  readonly #escaped: ReadonlyMap<string, string> | undefined;
  #items: Shape | undefined;
  #values: Shape | undefined;

  constructor(schema: RuleSchema, isRoot: boolean) {
    this.schema = isRoot || isEmbedded(schema) ? withIdentity(schema) : schema;
    const { properties } = this.schema;
    if (properties === undefined) return;
    const names = new Map<string, string>();
    for (const name of Object.keys(properties)) {
      const escaped = escapeName(name);
      if (escaped !== undefined) names.set(escaped, name);
    }
    this.#escaped = names;
  }

  get isObject(): boolean {
    return this.#escaped !== undefined;
  }
  /** The property that an expression writes so. */
  named(escaped: string): string | undefined {
    return this.#escaped?.get(escaped) ?? this.#escaped?.get(unescapedKeyword(escaped) ?? "");
  }
  property(name: string): Shape | undefined {
    const known = this.#children.get(name);
    if (known !== undefined || this.#children.has(name)) return known;
    const schema = propertyOf(this.schema, name);
    const shape = schema && new Shape(schema, false);
    this.#children.set(name, shape);
    return shape;
  }
  get items(): Shape | undefined {
    const schema = itemsOf(this.schema);
    return (this.#items ??= schema && new Shape(schema, false));
  }
  get values(): Shape | undefined {
    const schema = valuesOf(this.schema);
    return (this.#values ??= schema && new Shape(schema, false));
  }
}

const PRESERVED = struct("unknown");

/** Data that no schema describes: it can be compared and nothing else. */
class Preserved extends Opaque {
  override readonly type: Type = PRESERVED;
  readonly json: unknown;
  constructor(json: unknown) {
    super();
    this.json = json;
  }
  override equals(other: Opaque): boolean {
    return other instanceof Preserved && sameJson(this.json, other.json);
  }
}

export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson((a as any)[key], (b as any)[key]))
  );
}

const goType = (json: unknown): string => {
  if (Array.isArray(json)) return "[]interface {}";
  if (typeof json === "object") return "map[string]interface {}";
  if (typeof json === "number") return Number.isInteger(json) ? "int64" : "float64";
  return typeof json === "boolean" ? "bool" : "string";
};

export function schemaValue(shape: Shape, json: unknown): Value {
  const { schema } = shape;
  if (json === null || json === undefined) {
    if (schema.nullable === true) return null;
    throw new CelError("invalid data, got null for schema with nullable=false");
  }
  if (schema["x-kubernetes-int-or-string"] === true) {
    if (typeof json === "string") return json;
    if (Number.isInteger(json)) return BigInt(json as number);
    throw new CelError("invalid data, expected XIntOrString value to be either a string or integer");
  }
  switch (schema.type) {
    case "object":
      if (typeof json !== "object" || Array.isArray(json))
        throw new CelError("invalid data, expected a map for the provided schema with type=object");
      return new SchemaMap(shape, json as Readonly<Record<string, unknown>>);
    case "array":
      if (!Array.isArray(json))
        throw new CelError("invalid data, expected an array for the provided schema with type=array");
      if (shape.items === undefined) throw new CelError("invalid array type, expected Items with a non-empty Schema");
      return listOf(shape, new JsonItems(shape.items, json));
    case "string":
      if (typeof json !== "string") throw new CelError(`invalid data, expected string, got ${goType(json)}`);
      return textValue(schema.format, json);
    case "number":
      if (typeof json !== "number") throw new CelError(`invalid data, expected float, got ${goType(json)}`);
      return json;
    case "integer":
      if (typeof json !== "number" || !Number.isInteger(json))
        throw new CelError(`invalid data, expected int, got ${goType(json)}`);
      return BigInt(json);
    case "boolean":
      if (typeof json !== "boolean") throw new CelError(`invalid data, expected bool, got ${goType(json)}`);
      return json;
  }
  if (schema["x-kubernetes-preserve-unknown-fields"] === true) return new Preserved(json);
  throw new CelError(
    `invalid type, expected object, array, number, integer, boolean or string, or no type with x-kubernetes-int-or-string or x-kubernetes-preserve-unknown-fields is true, got ${schema.type ?? ""}`,
  );
}

function textValue(format: string | undefined, text: string): Value {
  const goError = (layout: string) => `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}: cannot parse`;
  switch (format) {
    case "duration": {
      const ns = parseGoDuration(text) ?? wordyDuration(text);
      if (ns === undefined) throw new CelError(`Invalid duration ${text}: unable to parse ${text} as duration`);
      return new Duration(ns);
    }
    case "date": {
      const ns = /^\d{4}-\d\d-\d\d$/.test(text) ? parseTimestamp(`${text}T00:00:00Z`) : undefined;
      if (ns === undefined) throw new CelError(`Invalid date formatted string ${text}: ${goError("2006-01-02")}`);
      return new Timestamp(ns);
    }
    case "date-time": {
      if (text === "") return new Timestamp(0n);
      const ns = parseTimestamp(text) ?? parseTimestamp(`${text}Z`);
      if (ns === undefined)
        throw new CelError(`Invalid date-time formatted string ${text}: ${goError("2006-01-02T15:04:05")}`);
      return new Timestamp(ns);
    }
    case "byte":
      if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text))
        throw new CelError(`Invalid byte formatted string ${text}: illegal base64 data at input byte 0`);
      return Uint8Array.from(Buffer.from(text, "base64"));
    default:
      return text;
  }
}

const UNITS: readonly (readonly [names: RegExp, ns: bigint])[] = [
  [/^(ns|nano.*)$/, 1n],
  [/^(us|µs|micro.*)$/, 1_000n],
  [/^(ms|milli.*)$/, 1_000_000n],
  [/^(s|sec.*)$/, 1_000_000_000n],
  [/^(m|min.*)$/, 60_000_000_000n],
  [/^(h|hr|hour.*)$/, 3_600_000_000_000n],
  [/^(d|day.*)$/, 86_400_000_000_000n],
  [/^(w|wk|week.*)$/, 604_800_000_000_000n],
];

/** `2 days`, `1week`. */
function wordyDuration(text: string): bigint | undefined {
  let sum: bigint | undefined;
  for (const [, count, word] of text.matchAll(/(\d+)\s*([A-Za-zµ]+)/g)) {
    const unit = UNITS.find(([names]) => names.test(word!.toLowerCase()));
    if (unit !== undefined) sum = (sum ?? 0n) + BigInt(count!) * unit[1];
  }
  return sum;
}

class SchemaMap extends MapValue {
  readonly #shape: Shape;
  readonly #json: Readonly<Record<string, unknown>>;
  #size: number | undefined;
  constructor(shape: Shape, json: Readonly<Record<string, unknown>>) {
    super();
    this.#shape = shape;
    this.#json = json;
  }
  override get size(): number {
    return (this.#size ??= Object.keys(this.#json).length);
  }
  override get(key: Value): Value | undefined {
    if (typeof key !== "string") throw new CelError("no such overload");
    const shape = this.#shape;
    const name = shape.isObject ? shape.named(key) : key;
    return name === undefined ? undefined : this.#entry(name);
  }
  /** By its own name, not by the one that expressions write. */
  #entry(name: string): Value | undefined {
    const shape = this.#shape;
    if (!Object.hasOwn(this.#json, name)) return undefined;
    const json = this.#json[name];
    // A property that is null is as good as absent.
    if (json === undefined || (json === null && shape.isObject)) return undefined;
    const inner = shape.isObject ? shape.property(name) : shape.values;
    return inner && schemaValue(inner, json);
  }
  override *keys(): Iterable<Value> {
    const shape = this.#shape;
    for (const name of Object.keys(this.#json))
      if (!shape.isObject) {
        if (shape.values !== undefined) yield name;
      } else if (shape.property(name) !== undefined) yield escapeName(name) ?? name;
  }
  override equals(other: MapValue): boolean {
    if (this.size !== other.size) return false;
    const shape = this.#shape;
    for (const [name, json] of Object.entries(this.#json)) {
      if ((shape.isObject ? shape.property(name) : shape.values) === undefined) {
        if (!(other instanceof SchemaMap)) throw new CelError("no such overload");
        if (Object.hasOwn(other.#json, name) && !sameJson(json, other.#json[name])) return false;
        continue;
      }
      const mine = this.#entry(name);
      const theirs = other instanceof SchemaMap ? other.#entry(name) : other.get(name);
      if ((mine === undefined) !== (theirs === undefined)) return false;
      if (mine !== undefined && !equals(mine, theirs!)) return false;
    }
    return true;
  }
}

class JsonItems extends ListValue {
  readonly #shape: Shape;
  readonly #json: readonly unknown[];
  constructor(shape: Shape, json: readonly unknown[]) {
    super();
    this.#shape = shape;
    this.#json = json;
  }
  override get size(): number {
    return this.#json.length;
  }
  override at(index: number): Value {
    return schemaValue(this.#shape, this.#json[index]);
  }
}

class Items extends ListValue {
  readonly #values: readonly Value[];
  constructor(values: readonly Value[]) {
    super();
    this.#values = values;
  }
  override get size(): number {
    return this.#values.length;
  }
  override at(index: number): Value {
    return this.#values[index]!;
  }
}

function listOf({ schema }: Shape, items: ListValue): ListValue {
  switch (schema["x-kubernetes-list-type"]) {
    case "set":
      return new KeyedList(items, (value) => mapKey(value));
    case "map": {
      const names = (schema["x-kubernetes-list-map-keys"] ?? []).map((name) => escapeName(name) ?? name);
      return new KeyedList(items, (value) => keyOf(value, names));
    }
    default:
      return items;
  }
}

function keyOf(value: Value, names: readonly string[]): string | undefined {
  if (!(value instanceof MapValue)) return undefined;
  return names.map((name) => mapKey(value.get(name) ?? "") ?? "").join("\0");
}

/** A set, or a list whose items have keys: its order doesn't count, and adding replaces. */
class KeyedList extends ListValue {
  readonly #items: ListValue;
  readonly #key: (value: Value) => string | undefined;
  #byKey: ReadonlyMap<string | undefined, Value> | undefined;

  constructor(items: ListValue, key: (value: Value) => string | undefined) {
    super();
    this.#items = items;
    this.#key = key;
  }
  override get size(): number {
    return this.#items.size;
  }
  override at(index: number): Value {
    return this.#items.at(index);
  }
  get #keyed(): ReadonlyMap<string | undefined, Value> {
    return (this.#byKey ??= new Map([...this.#items].map((value) => [this.#key(value), value])));
  }
  override equals(other: ListValue): boolean {
    if (other.size !== this.size) return false;
    for (const value of other) {
      const mine = this.#keyed.get(this.#key(value));
      if (mine === undefined || !equals(mine, value)) return false;
    }
    return true;
  }
  override add(other: ListValue): ListValue {
    const values = [...this.#items];
    const places = new Map(values.map((value, i) => [this.#key(value), i]));
    for (const value of other) {
      const key = this.#key(value);
      const place = places.get(key);
      if (place !== undefined) values[place] = value;
      else {
        places.set(key, values.length);
        values.push(value);
      }
    }
    return new KeyedList(new Items(values), this.#key);
  }
}
