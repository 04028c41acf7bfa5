/**
 * Turns a parsed tree into an object of its schema: drops unknown fields and empty values that Go omits, adds zero values that Go writes, and brings
 * scalars, fields and map keys into their canonical form and order. The result is plain, new, and encodes as upstream encodes it.
 */
import { canonicalQuantity, quantityError } from "../meta/quantity.ts";
import { canonicalMicroTime, canonicalTime, formatDuration, parseDuration } from "../meta/time.ts";
import type { EmptyPlace } from "./empties.ts";
import { Fields, layoutOf, type Place } from "../schema/fields.ts";
import type { Schema } from "../schema/schema.ts";

export type FieldValidation = "Strict" | "Warn" | "Ignore";

export interface DecodeOptions {
  /** Default `Ignore`: unknown and duplicate fields are dropped silently, as from storage. */
  readonly fieldValidation?: FieldValidation;
  /** A custom resource: values of a wrong type are kept (its validation reports them), as are nulls; nothing is left out for being empty. */
  readonly custom?: boolean;
  /** A client's object of a built-in kind: it remembers the lists and maps that were given empty. */
  readonly empties?: boolean;
}

export interface Decoded<T = any> {
  readonly object: T;
  /** `unknown field "spec.foo"`, `duplicate field "spec.bar"`: what Strict refuses and Warn tells. */
  readonly warnings: readonly string[];
}

/** The input doesn't fit the type, in Go's words. The API server answers 400 with them. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

/** The message of upstream's strict decoding error. */
export function strictError(errors: readonly string[]): DecodeError {
  return new DecodeError(`strict decoding error: ${errors.join(", ")}`);
}

/** Runs a decoder that goes as deep as its input; what is too deep for it is the client's error, in Go's words. */
export function withinDepth<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof RangeError) throw new DecodeError("exceeded max depth", { cause: error });
    throw error;
  }
}

/** Reads a parsed tree; says how many fields were seen, known or not, how many were unknown, and which were left out for being empty. */
export function readTree(
  value: unknown,
  schema: Schema,
): {
  readonly object: any;
  readonly fields: number;
  readonly unknown: number;
  readonly empties: readonly EmptyPlace[];
} {
  const reader = new Reader(schema);
  try {
    const object = reader.read(value, schema);
    return { object, fields: reader.fields, unknown: reader.unknown, empties: reader.empties };
  } catch (error) {
    throw error instanceof DecodeError ? (errorToTell(value, schema) ?? error) : error;
  }
}

/** Go goes on after a value of the wrong type, and tells of the first; what a type that reads itself can't read ends it. */
function errorToTell(value: unknown, schema: Schema): DecodeError | undefined {
  const reader = new Reader(schema, true);
  try {
    reader.read(value, schema);
    return reader.mismatch;
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

/** A value of the wrong type. */
class Mismatch extends DecodeError {}

class Reader {
  fields = 0;
  unknown = 0;
  readonly empties: EmptyPlace[] = [];
  readonly #root: Schema;
  /** Names of fields and keys, and indexes, down to the value at hand. */
  readonly #path: (string | number)[] = [];

  /** Fields are read in the order of the document, and what doesn't fit is noted and left out. */
  readonly #goesOn: boolean;
  mismatch: Mismatch | undefined;

  constructor(root: Schema, goesOn = false) {
    this.#root = root;
    this.#goesOn = goesOn;
  }

  read(value: any, schema: Schema): any {
    switch (schema.type) {
      case "string":
        return schema.format === undefined ? this.#string(value, schema) : this.#formatted(value, schema);
      case "integer":
        return this.#integer(value, schema);
      case "number":
        return typeof value === "number" ? value : this.#mismatch(value, schema);
      case "boolean":
        return typeof value === "boolean" ? value : this.#mismatch(value, schema);
      case "array":
        return this.#array(value, schema);
      case "object":
        if (schema.properties !== undefined) return this.#struct(value, schema, schema.properties);
        if (schema.values !== undefined) return this.#map(value, schema, schema.values);
        if (schema.format === undefined && !isObject(value)) return this.#mismatch(value, schema);
        if (schema.format === undefined && schema.preserveUnknownFields !== true) {
          this.#count(value);
          this.unknown += Object.keys(value).length;
          return {};
        }
        return this.#count(value);
      case "any":
        return this.#any(value, schema);
    }
  }

  #string(value: unknown, schema: Schema): unknown {
    return typeof value === "string" ? value : this.#mismatch(value, schema);
  }

  #formatted(value: unknown, schema: Schema): unknown {
    try {
      switch (schema.format) {
        case "quantity":
          return quantity(typeof value === "string" ? value.trim() : JSON.stringify(value));
        case "date-time":
          return typeof value === "string" ? canonicalTime(value) : this.#wrong(value, "string");
        case "micro-time":
          return typeof value === "string" ? canonicalMicroTime(value) : this.#wrong(value, "string");
        case "duration":
          return typeof value === "string" ? formatDuration(parseDuration(value)) : this.#wrong(value, "string");
        case "byte":
          return typeof value === "string" ? this.#bytes(value) : this.#mismatch(value, schema);
      }
    } catch (error) {
      throw error instanceof DecodeError ? error : new DecodeError((error as Error).message, { cause: error });
    }
    return this.#string(value, schema);
  }

  #integer(value: unknown, schema: Schema): unknown {
    if (typeof value !== "number") return this.#mismatch(value, schema);
    const limit = schema.format === "int32" ? 2 ** 31 : 2 ** 63;
    if (Number.isInteger(value) && value < limit && value >= -limit) return value === 0 ? 0 : value;
    return this.#mismatch(value, schema, `number ${value}`);
  }

  #array(value: unknown, schema: Schema): unknown {
    if (!Array.isArray(value)) return this.#mismatch(value, schema);
    const items = schema.items!;
    // A copy is as long as it has to be: pushing would leave room for sixteen more in every list of every object.
    const out: unknown[] = value.slice();
    for (let i = 0; i < out.length; i++) {
      this.#path.push(i);
      out[i] = value[i] === null ? this.#null(items) : this.read(value[i], items);
      this.#path.pop();
    }
    return out;
  }

  #map(value: any, schema: Schema, values: Schema): unknown {
    if (!isObject(value)) return this.#mismatch(value, schema);
    const out: Record<string, unknown> = {};
    const keys = Object.keys(value);
    this.fields += keys.length;
    for (const key of this.#goesOn ? keys : sorted(keys)) {
      this.#path.push(key);
      put(out, key, value[key] === null ? this.#null(values) : this.read(value[key], values));
      this.#path.pop();
    }
    return out;
  }

  #struct(value: any, schema: Schema, properties: ReadonlyMap<string, Schema>): unknown {
    if (!isObject(value)) return this.#mismatch(value, schema);
    const { places, defaulted } = properties instanceof Fields ? properties.layout : layoutOf(properties);
    const out: Record<string, unknown> = {};
    const given: Place[] = [];
    let others: string[] | undefined;
    let last = -1;
    let inOrder = true;
    for (const key in value) {
      this.fields++;
      const place = places.get(key);
      if (place === undefined) (others ??= []).push(key);
      else {
        if (place.index < last) inOrder = false;
        last = place.index;
        given.push(place);
      }
    }
    if (!inOrder && !this.#goesOn) given.sort((a, b) => a.index - b.index);
    let next = 0;
    for (const place of given) {
      for (; next < defaulted.length && defaulted[next]!.index <= place.index; next++)
        if (defaulted[next] !== place) out[defaulted[next]!.name] = this.#default(defaulted[next]!.schema);
      this.#field(out, place, value[place.name]);
    }
    for (; next < defaulted.length; next++) out[defaulted[next]!.name] = this.#default(defaulted[next]!.schema);
    if (others !== undefined) this.#others(out, others, value, schema);
    return out;
  }

  #field(out: Record<string, unknown>, { name, schema }: Place, given: unknown): void {
    if (given === null || given === undefined) {
      if (schema.default !== undefined && schema.nullable !== true) out[name] = this.#default(schema);
      return;
    }
    this.#path.push(name);
    const read = this.#goesOn ? this.#readOn(given, schema) : this.read(given, schema);
    this.#path.pop();
    if (read === undefined) return;
    if (schema.omitEmpty === true && schema.pointer !== true && isEmpty(read, schema)) {
      if (typeof read === "object") this.#empty(name, schema);
      if (schema.default !== undefined && !isEmpty(schema.default, schema)) out[name] = this.#default(schema);
    } else {
      if (schema.type === "array" && (read as readonly unknown[]).length === 0) this.#empty(name, schema);
      out[name] = read;
    }
  }

  #readOn(given: unknown, schema: Schema): any {
    const depth = this.#path.length;
    try {
      return this.read(given, schema);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      this.mismatch ??= error;
      this.#path.length = depth;
      return undefined;
    }
  }

  /** Bytes don't read themselves: reading goes on after them. */
  #bytes(text: string): string {
    try {
      return base64(text);
    } catch (error) {
      throw new Mismatch((error as Error).message, { cause: error });
    }
  }

  #empty(name: string, { type, omitEmpty }: Schema): void {
    this.empties.push({ path: [...this.#path, name], list: type === "array", written: omitEmpty !== true });
  }

  /** Fields that the schema doesn't have. */
  #others(out: Record<string, unknown>, keys: readonly string[], value: any, schema: Schema): void {
    for (const key of keys) {
      const kept =
        schema.preserveUnknownFields === true ||
        (schema.embeddedResource === true && /^(apiVersion|kind|metadata)$/.test(key));
      if (kept) put(out, key, this.#count(value[key]));
      else {
        this.unknown++;
        this.#count(value[key]);
      }
    }
  }

  #any(value: unknown, schema: Schema): unknown {
    switch (schema.format) {
      case "int-or-string":
        if (typeof value === "string") return value;
        if (typeof value !== "number") return this.#wrong(value, "int32");
        if (!Number.isInteger(value) || value >= 2 ** 31 || value < -(2 ** 31))
          return this.#wrong(value, "int32", `number ${value}`);
        return value;
      case "schema-or-array":
        // Upstream takes anything else for nothing.
        if (!isObject(value) && !Array.isArray(value)) return undefined;
        return Array.isArray(value)
          ? this.#array(value, { type: "array", items: schema.items! })
          : this.read(value, schema.items!);
      case "schema-or-bool":
        if (typeof value !== "boolean" && !isObject(value)) throw new DecodeError("boolean or JSON schema expected");
        return typeof value === "boolean" ? value : this.read(value, schema.items!);
      case "schema-or-strings":
        // Upstream takes anything else for nothing.
        if (!isObject(value) && !Array.isArray(value)) return undefined;
        return Array.isArray(value)
          ? this.#array(value, { type: "array", items: { type: "string" } })
          : this.read(value, schema.items!);
    }
    return this.#count(value);
  }

  /** An element or map value that is null is its type's zero value. */
  #null(schema: Schema): unknown {
    if (schema.pointer === true || schema.type === "any" || schema.format === "raw") return null;
    if (schema.default !== undefined) return this.#default(schema);
    if (schema.properties !== undefined) return this.#struct({}, schema, schema.properties);
    switch (schema.type) {
      case "string":
        return schema.format === "quantity"
          ? "0"
          : schema.format === "date-time" || schema.format === "micro-time"
            ? null
            : "";
      case "integer":
      case "number":
        return 0;
      case "boolean":
        return false;
      case "array":
        return [];
      default:
        return {};
    }
  }

  #default(schema: Schema): unknown {
    const value = schema.default;
    if (typeof value !== "object" || value === null) return value;
    const { fields, unknown } = this;
    const read = this.read(structuredClone(value), schema);
    this.fields = fields;
    this.unknown = unknown;
    return read;
  }

  /** Passes a value through, counting the fields in it. */
  #count<T>(value: T): T {
    if (Array.isArray(value)) for (const item of value) this.#count(item);
    else if (isObject(value)) {
      for (const key of Object.keys(value)) {
        this.fields++;
        this.#count((value as Record<string, unknown>)[key]);
      }
    }
    return value;
  }

  #mismatch(value: unknown, schema: Schema, words?: string): never {
    return this.#wrong(value, goType(schema), words);
  }

  #wrong(value: unknown, type: string, words?: string): never {
    // Go names the innermost struct and all fields on the way; indexes and map keys are no fields.
    let at: Schema | undefined = this.#root;
    let struct: string | undefined;
    const fields: string[] = [];
    for (const step of this.#path) {
      if (at === undefined) break;
      if (typeof step === "number") at = at.items;
      else if (at.properties !== undefined) {
        struct = at.name;
        const field: Schema | undefined = at.properties.get(step);
        fields.push(...embeddedOn(struct, field), step);
        at = field;
      } else at = at.values;
    }
    if (struct === undefined) return wrongValue(value, type, words);
    throw new Mismatch(
      `json: cannot unmarshal ${words ?? kindOf(value)} into Go struct field ${struct.slice(struct.lastIndexOf(".") + 1)}.${fields.join(".")} of type ${type}`,
    );
  }
}

function wrongValue(value: unknown, type: string, words = kindOf(value)): never {
  throw new DecodeError(`json: cannot unmarshal ${words} into Go value of type ${type}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown, schema: Schema): boolean {
  if (value === "" || value === 0 || value === false) return schema.type !== "any";
  if (Array.isArray(value)) return value.length === 0 && schema.type === "array";
  if (schema.values === undefined) return false;
  for (const _ in value as object) return false;
  return true;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  return value === null ? "null" : typeof value;
}

/** Go's name of the type, as its errors print it. */
function goType(schema: Schema): string {
  if (schema.goType !== undefined) return schema.goType;
  if (schema.name !== undefined) return schema.name.split(".").slice(-2).join(".");
  switch (schema.type) {
    case "array":
      return `[]${goType(schema.items!)}`;
    case "object":
      return `map[string]${schema.values === undefined ? "interface {}" : goType(schema.values)}`;
    case "integer":
      return schema.format ?? "int64";
    case "number":
      return "float64";
    case "boolean":
      return "bool";
    case "string":
      switch (schema.format) {
        case "byte":
          return "[]uint8";
        case "quantity":
          return "resource.Quantity";
        case "date-time":
          return "v1.Time";
        default:
          return "string";
      }
    default:
      return "interface {}";
  }
}

function quantity(text: string): string {
  const wrong = quantityError(text);
  if (wrong !== undefined) throw new DecodeError(wrong);
  return canonicalQuantity(text);
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The last letter before the padding says more bits than there are bytes for. */
function withoutSpareBits(text: string): string {
  if (!text.endsWith("=")) return text;
  const end = Buffer.from(text.slice(-4), "base64").toString("base64");
  return text.endsWith(end) ? text : text.slice(0, -4) + end;
}

/** Structs that Go embeds in others, by the one that they are in: JSON doesn't show them, and messages about their fields do. */
const EMBEDDED: Readonly<Record<string, readonly string[]>> = {
  ConfigMapEnvSource: ["LocalObjectReference"],
  ConfigMapKeySelector: ["LocalObjectReference"],
  ConfigMapProjection: ["LocalObjectReference"],
  ConfigMapVolumeSource: ["LocalObjectReference"],
  DeviceAllocationConfiguration: ["DeviceConfiguration"],
  DeviceClaimConfiguration: ["DeviceConfiguration"],
  DeviceClassConfiguration: ["DeviceConfiguration"],
  EphemeralContainer: ["EphemeralContainerCommon"],
  IngressRule: ["IngressRuleValue"],
  NamedRuleWithOperations: ["RuleWithOperations", "Rule"],
  PersistentVolumeSpec: ["PersistentVolumeSource"],
  Probe: ["ProbeHandler"],
  RuleWithOperations: ["Rule"],
  SecretEnvSource: ["LocalObjectReference"],
  SecretKeySelector: ["LocalObjectReference"],
  SecretProjection: ["LocalObjectReference"],
  Volume: ["VolumeSource"],
};

/** Those on the way to a field. */
function embeddedOn(struct: string | undefined, field: Schema | undefined): readonly string[] {
  const { within = [] } = field?.proto ?? {};
  if (within.length === 0 || struct === undefined) return [];
  return EMBEDDED[struct.slice(struct.lastIndexOf(".") + 1)]?.slice(0, within.length) ?? [];
}

export function base64(text: string): string {
  if (BASE64.test(text)) return withoutSpareBits(text);
  const joined = text.replaceAll(/[\r\n]/g, "");
  if (BASE64.test(joined)) return withoutSpareBits(joined);
  const wrong = text.search(/[^A-Za-z0-9+/=\r\n]/);
  const padding = text.indexOf("=");
  const at = wrong >= 0 ? wrong : padding >= 0 ? padding : Math.floor(text.length / 4) * 4;
  throw new DecodeError(`illegal base64 data at input byte ${at}`);
}

function sorted(keys: string[]): string[] {
  for (let i = 1; i < keys.length; i++) if (keys[i - 1]! > keys[i]!) return keys.sort();
  return keys;
}

/** `__proto__` is a key like any other. */
function put(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}
