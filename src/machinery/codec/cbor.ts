/**
 * CBOR (RFC 8949) in the API's dialect. Written deterministically: strings and keys as byte strings, maps sorted by the bytes of their keys, floats
 * as short as possible, everything within the self-describing tag. Read: whatever JSON could express; duplicate keys, big numbers, infinities and
 * other simple values are rejected.
 *
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/cbor
 */
import { rememberEmpties } from "./empties.ts";
import type { Schema } from "../schema/schema.ts";
import { CborReader } from "./cbor-reader.ts";
import { readCustom } from "./custom.ts";
import { type Decoded, DecodeError, type DecodeOptions, readTree, strictError, withinDepth } from "./decode.ts";
import { strictErrors } from "./json-text.ts";

/** The head of tag 55799: what CBOR begins with where nothing else says that it is. */
const SELF_DESCRIBED = Buffer.from([0xd9, 0xd9, 0xf7]);
const BASE64_EXPECTED = 22;

export function isCbor(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && bytes[0] === 0xd9 && bytes[1] === 0xd9 && bytes[2] === 0xf7;
}

/** With a schema, fields of bytes travel as bytes. */
export function encodeCbor(value: unknown, schema?: Schema): Buffer {
  const parts: Uint8Array[] = [SELF_DESCRIBED];
  write(parts, value, schema);
  return Buffer.concat(parts);
}

/** One event of a watch: an item of a CBOR sequence, with the object's own item in it. */
export function encodeCborEvent(type: string, object: Uint8Array): Buffer {
  const parts: Uint8Array[] = [SELF_DESCRIBED, head(5, 2)];
  writeBytes(parts, Buffer.from("type"));
  writeBytes(parts, Buffer.from(type));
  writeBytes(parts, Buffer.from("object"));
  parts.push(object);
  return Buffer.concat(parts);
}

/** Reads CBOR of no particular type into what JSON can say. */
export function parseCbor(bytes: Uint8Array): unknown {
  return withinDepth(() => new CborReader(bytes).whole());
}

/** Unlike JSON's, the words for an unknown field know its place in its map only; what has a field twice is no CBOR at all. */
export function decodeCbor<T = any>(bytes: Uint8Array, schema: Schema, options: DecodeOptions = {}): Decoded<T> {
  const tree = parseCbor(bytes);
  const validation = options.fieldValidation ?? "Ignore";
  if (options.custom === true) {
    const { object, unknown } = withinDepth(() => readCustom(tree, schema));
    const warnings = validation === "Ignore" ? [] : unknown.map((path) => `unknown field "${path}"`);
    if (validation === "Strict" && warnings.length > 0) throw strictError(warnings);
    return { object, warnings };
  }
  const { object, unknown, empties } = withinDepth(() => readTree(tree, schema));
  if (options.empties === true) rememberEmpties(object, empties);
  if (validation === "Ignore" || unknown === 0) return { object, warnings: [] };
  const fields = strictErrors(JSON.stringify(tree), schema);
  const warnings = fields.slice(0, 1).map((text) => placeOf(tree, text));
  if (validation === "Strict" && warnings.length > 0) throw strictError(warnings);
  return { object, warnings };
}

function placeOf(tree: unknown, text: string): string {
  const path = /"(.*)"$/.exec(text)?.[1]?.match(/[^.[\]]+/g) ?? [];
  let above: any = tree;
  for (const step of path.slice(0, -1)) above = above?.[step];
  const index = Object.keys(above ?? {}).indexOf(path.at(-1) ?? "");
  return `cbor: found unknown field at map element index ${Math.max(index, 0)}`;
}

function write(parts: Uint8Array[], value: unknown, schema: Schema | undefined): void {
  switch (typeof value) {
    case "string":
      if (schema?.format === "byte") {
        parts.push(head(6, BASE64_EXPECTED));
        return writeBytes(parts, Buffer.from(value, "base64"));
      }
      return writeBytes(parts, Buffer.from(value));
    case "number":
      return writeNumber(parts, value, schema?.type === "number");
    case "boolean":
      parts.push(Buffer.of(value ? 0xf5 : 0xf4));
      return;
    case "object":
      if (value === null) break;
      if (Array.isArray(value)) {
        parts.push(head(4, value.length));
        for (const item of value) write(parts, item, schema?.items);
        return;
      }
      return writeMap(parts, value as Readonly<Record<string, unknown>>, schema);
  }
  parts.push(Buffer.of(0xf6));
}

function writeMap(parts: Uint8Array[], map: Readonly<Record<string, unknown>>, schema: Schema | undefined): void {
  const keys = Object.keys(map)
    .filter((key) => map[key] !== undefined)
    .map((name) => ({ name, bytes: Buffer.from(name) }))
    // The length is a part of the key's bytes, and the first: short keys go before long ones.
    .sort((a, b) => a.bytes.length - b.bytes.length || Buffer.compare(a.bytes, b.bytes));
  parts.push(head(5, keys.length));
  for (const { name, bytes } of keys) {
    writeBytes(parts, bytes);
    write(parts, map[name], schema?.properties?.get(name) ?? schema?.values);
  }
}

function writeBytes(parts: Uint8Array[], bytes: Uint8Array): void {
  parts.push(head(2, bytes.length), bytes);
}

function writeNumber(parts: Uint8Array[], value: number, isFloat: boolean): void {
  if (!Number.isFinite(value)) throw new DecodeError(`cbor: unsupported value: ${value}`);
  if (!isFloat && Number.isInteger(value) && Math.abs(value) < 2 ** 63)
    parts.push(value < 0 ? head(1, -1 - value) : head(0, value));
  else parts.push(float(value));
}

/** The first byte of an item and its argument, as short as it can be. */
function head(major: number, argument: number): Buffer {
  const high = major << 5;
  if (argument < 24) return Buffer.of(high | argument);
  if (argument < 0x100) return Buffer.of(high | 24, argument);
  if (argument < 0x1_0000) return Buffer.of(high | 25, argument >> 8, argument & 0xff);
  const long = argument >= 0x1_0000_0000;
  const bytes = Buffer.alloc(long ? 9 : 5);
  bytes[0] = high | (long ? 27 : 26);
  if (long) bytes.writeBigUInt64BE(BigInt(argument), 1);
  else bytes.writeUInt32BE(argument, 1);
  return bytes;
}

/** In 16 bits where they hold the value, else in 32, else in 64. */
function float(value: number): Buffer {
  const half = halfOf(value);
  if (half !== undefined) return Buffer.of(0xf9, half >> 8, half & 0xff);
  const single = Math.fround(value) === value;
  const bytes = Buffer.alloc(single ? 5 : 9);
  bytes[0] = single ? 0xfa : 0xfb;
  if (single) bytes.writeFloatBE(value, 1);
  else bytes.writeDoubleBE(value, 1);
  return bytes;
}

/** A number's 16 bits, if they can hold it. */
function halfOf(value: number): number | undefined {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size === 0) return sign;
  if (size < 2 ** -14) {
    const fraction = size * 2 ** 24;
    return Number.isInteger(fraction) ? sign | fraction : undefined;
  }
  if (size > 65504) return undefined;
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent--;
  const fraction = (size / 2 ** exponent - 1) * 1024;
  return Number.isInteger(fraction) ? sign | ((exponent + 15) << 10) | fraction : undefined;
}
