/**
 * Turns a parsed tree into a custom object: prunes fields that the schema does not know, drops nulls where they are not allowed, and fills in
 * defaults. Values of a wrong type are kept for validation to report. Metadata is decoded as Go's own type, as for built-in kinds.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting,objectmeta}
 */
import { asMaps } from "../validation/field-error.ts";
import { Fields, layoutOf } from "../schema/fields.ts";
import type { Schema } from "../schema/schema.ts";
import { DecodeError, readTree } from "./decode.ts";
import { strictErrors } from "./json-text.ts";

export interface ReadCustom {
  readonly object: any;
  /** The places of what went for being unknown, in upstream's order. */
  readonly unknown: readonly string[];
}

/** How many fields all objects of a tree have together. */
export function countTree(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countTree(item), 0);
  let count = 0;
  for (const key in value) count += 1 + countTree((value as Tree)[key]);
  return count;
}

/** A tree of any kind, custom or not, as an object of its schema. */
export function readObject(value: unknown, schema: Schema, custom: boolean): any {
  return custom ? readCustom(value, schema).object : readTree(value, schema).object;
}

export function readCustom(value: unknown, schema: Schema): ReadCustom {
  const reader = new CustomReader();
  const object = reader.read(value, schema, "", false);
  return { object, unknown: [...reader.ofMetadata, ...reader.unknown.sort()] };
}

const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const IDENTITY: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata"]);

type Tree = Readonly<Record<string, unknown>>;

class CustomReader {
  readonly unknown: string[] = [];
  readonly ofMetadata: string[] = [];

  /** Without a schema nothing is known; `kept`: what isn't known stays all the same. */
  read(value: unknown, schema: Schema | undefined, path: string, kept: boolean): unknown {
    if (typeof value !== "object" || value === null) return value;
    const keep = kept || schema?.preserveUnknownFields === true;
    if (Array.isArray(value)) return this.#items(value, schema, path, keep);
    return this.#entries(value as Tree, schema, path, keep);
  }

  #items(value: readonly unknown[], schema: Schema | undefined, path: string, keep: boolean): unknown[] {
    const items = schema?.items;
    if (items === undefined && keep) return value as unknown[];
    const out: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      const item = value[i];
      // What preserves the unknown in a list does so in its items, one by one.
      out.push(
        item === null && items !== undefined && items.nullable !== true
          ? this.default(items)
          : this.read(item, items, `${path}[${i}]`, keep && items !== undefined),
      );
    }
    return out;
  }

  #entries(value: Tree, schema: Schema | undefined, path: string, keep: boolean): unknown {
    const properties = schema?.properties;
    const values = schema?.values;
    const out: Record<string, unknown> = {};
    for (const name of namesOf(value, properties)) {
      const given = Object.hasOwn(value, name) ? value[name] : undefined;
      const property = properties?.get(name) ?? values;
      if (property === undefined) {
        if (keep || (schema?.embeddedResource === true && IDENTITY.has(name))) put(out, name, given);
        else this.unknown.push(dotted(below(path, name)));
      } else if (given === undefined || (given === null && property.nullable !== true)) {
        if (property.default !== undefined) put(out, name, this.default(property));
      } else {
        const at = property === values ? `${path}${KEY}${name}${KEY_END}` : below(path, name);
        if (schema?.embeddedResource === true) checkIdentity(name, given, bracketed(at));
        const isMeta = property.name === OBJECT_META;
        put(out, name, isMeta ? this.#metadata(given, property, at) : this.read(given, property, at, false));
      }
    }
    return out;
  }

  #metadata(value: unknown, schema: Schema, path: string): unknown {
    try {
      const { object, unknown } = readTree(value, schema);
      if (unknown > 0)
        for (const text of strictErrors(JSON.stringify(value), schema)) {
          const name = below(path, JSON.parse(text.slice("unknown field ".length)) as string);
          (path === "metadata" ? this.ofMetadata : this.unknown).push(bracketed(name));
        }
      return object;
    } catch (error) {
      // Upstream reads metadata again from a map: the first in alphabetical order is what is wrong.
      if (path === "metadata" && isTree(value))
        for (const name of Object.keys(value).sort()) readTree({ [name]: value[name] }, schema);
      if (!(error instanceof DecodeError) || path === "metadata") throw error;
      throw new DecodeError(`${bracketed(path)}: Invalid value: ${JSON.stringify(asMaps(value))}: ${error.message}`, {
        cause: error,
      });
    }
  }

  /** A copy: objects never share what someone may change. */
  default(schema: Schema): unknown {
    const { default: value = null } = schema;
    return typeof value === "object" && value !== null
      ? new CustomReader().read(structuredClone(value), schema, "", false)
      : value;
  }
}

function checkIdentity(name: string, value: unknown, path: string): void {
  if (name !== "metadata" && IDENTITY.has(name) && typeof value !== "string")
    throw new DecodeError(`${path}: Invalid value: ${JSON.stringify(asMaps(value))}: must be a string`);
}

/** A key of a map within a path: who prunes shows it with a dot, and who reads metadata in brackets. */
const KEY = "\u0001";
const KEY_END = "\u0002";
const dotted = (path: string): string => path.replaceAll(KEY, ".").replaceAll(KEY_END, "");
const bracketed = (path: string): string => path.replaceAll(KEY, "[").replaceAll(KEY_END, "]");

const below = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

/** The names of fields that are there or have a default, in their order. */
function namesOf(value: Tree, properties: ReadonlyMap<string, Schema> | undefined): readonly string[] {
  const names = Object.keys(value);
  if (properties !== undefined) {
    const { defaulted } = properties instanceof Fields ? properties.layout : layoutOf(properties);
    for (const { name } of defaulted) if (!Object.hasOwn(value, name)) names.push(name);
  }
  for (let i = 1; i < names.length; i++) if (names[i - 1]! > names[i]!) return names.sort();
  return names;
}

/** `__proto__` is a key like any other. */
function put(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
