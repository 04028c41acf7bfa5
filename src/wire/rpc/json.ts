/**
 * Protobuf's JSON: bytes in base64, 64-bit numbers as strings, enums by name, zero values left out. Field names go out as in the .proto
 * file and come in that way or in camelCase; unknown ones are ignored.
 */
import { assert } from "../../base/assert.ts";
import type { Registry } from "./codec.ts";
import type { MessageField, MessageType } from "./service.ts";

export class JsonError extends Error {
  override readonly name = "JsonError";
}

type Json = Record<string, unknown>;

export function toJson(registry: Registry, type: MessageType<any>, message: unknown): Json {
  const json: Json = {};
  for (const field of type.fields) {
    const value = (message as Json)[field.name];
    if (value === undefined) continue;
    const always = field.oneof !== undefined || field.optional === true;
    if (field.map) {
      const entries = Object.entries(value as Json);
      if (entries.length > 0)
        json[field.name] = Object.fromEntries(
          entries.map(([key, item]) => [key, valueToJson(registry, field.map!.value, item)]),
        );
    } else if (field.repeated) {
      const items = value as readonly unknown[];
      if (items.length > 0) json[field.name] = items.map((item) => valueToJson(registry, field.type, item));
    } else if (always || !isZero(registry, field.type, value))
      json[field.name] = valueToJson(registry, field.type, value);
  }
  return json;
}

function valueToJson(registry: Registry, type: string, value: unknown): unknown {
  const nested = registry.messages[type];
  if (nested) return toJson(registry, nested, value);
  if (type === "bytes") return Buffer.from(value as Uint8Array).toString("base64");
  if (type.endsWith("64")) return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value;
}

function isZero(registry: Registry, type: string, value: unknown): boolean {
  const values = registry.enums[type];
  if (values) return value === 0 || values[value as string] === 0;
  return (
    value === 0 ||
    value === 0n ||
    value === "" ||
    value === false ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

export function fromJson(registry: Registry, type: MessageType<any>, json: unknown): Json {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new JsonError(`proto: syntax error: unexpected token ${JSON.stringify(json)}`);
  const message: Json = {};
  for (const field of type.fields) {
    const value = (json as Json)[field.name] ?? (json as Json)[camelCase(field.name)];
    if (value === undefined || value === null) continue;
    message[field.name] = fieldFromJson(registry, field, value);
  }
  return message;
}

function fieldFromJson(registry: Registry, field: MessageField, value: unknown): unknown {
  if (field.map) {
    if (typeof value !== "object" || value === null) throw invalid(field, value);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        valueFromJson(registry, { ...field, type: field.map!.value }, item),
      ]),
    );
  }
  if (!field.repeated) return valueFromJson(registry, field, value);
  if (!Array.isArray(value)) throw invalid(field, value);
  return value.map((item: unknown) => valueFromJson(registry, field, item));
}

function valueFromJson(registry: Registry, field: MessageField, value: unknown): unknown {
  const { type } = field;
  const nested = registry.messages[type];
  if (nested) return fromJson(registry, nested, value);
  const values = registry.enums[type];
  if (values) {
    if (typeof value === "number") return Object.keys(values).find((name) => values[name] === value) ?? value;
    if (typeof value !== "string" || !(value in values)) throw invalid(field, value);
    return value;
  }
  if (type === "string" || type === "bool") {
    if (typeof value !== (type === "bool" ? "boolean" : "string")) throw invalid(field, value);
    return value;
  }
  if (type === "bytes") {
    if (typeof value !== "string" || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw invalid(field, value);
    return new Uint8Array(Buffer.from(value, "base64")); // Node takes the URL's alphabet too.
  }
  if (typeof value !== "number" && (typeof value !== "string" || value.trim() === "")) throw invalid(field, value);
  if (type === "float" || type === "double") return Number(value);
  return integer(field, value);
}

function integer(field: MessageField, value: number | string): number | bigint {
  const number = Number(value);
  if (!Number.isInteger(number)) throw invalid(field, value);
  const big = typeof value === "number" || /[.eE]/.test(value) ? BigInt(number) : BigInt(value);
  const bits = field.type.endsWith("64") ? 64 : 32;
  const fits = /^u|^fixed/.test(field.type) ? BigInt.asUintN(bits, big) : BigInt.asIntN(bits, big);
  if (fits !== big) throw invalid(field, value);
  if (field.big) return big;
  if (!Number.isSafeInteger(number)) throw invalid(field, value);
  return number;
}

function invalid(field: MessageField, value: unknown): JsonError {
  const kind = field.repeated || field.map ? "list or map" : field.type;
  return new JsonError(`proto: invalid value for ${kind} field ${field.name}: ${JSON.stringify(value)}`);
}

function camelCase(name: string): string {
  return name.replace(/_([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Cuts a text of JSON values, one after the other, into values as it comes in. */
export class JsonSplitter {
  #text = "";
  #depth = 0;
  #inString = false;
  #escaped = false;
  #at = 0;

  push(text: string): unknown[] {
    this.#text += text;
    const values: unknown[] = [];
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]!;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (char === "\\") this.#escaped = true;
        else if (char === '"') this.#inString = false;
      } else if (char === '"') this.#inString = true;
      else if (char === "{" || char === "[") this.#depth++;
      else if (char === "}" || char === "]") {
        this.#depth--;
        if (this.#depth > 0) continue;
        if (this.#depth < 0) throw new JsonError("proto: syntax error: unexpected end of a value");
        values.push(parse(this.#text.slice(0, this.#at + 1)));
        this.#text = this.#text.slice(this.#at + 1);
        this.#at = -1;
      }
    }
    return values;
  }

  /** Throws where a value is cut off. */
  end(): void {
    if (this.#text.trim() !== "") throw new JsonError("unexpected EOF");
    assert(this.#depth === 0, "a JSON value is open and has no text");
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JsonError(`proto: syntax error: ${(cause as Error).message}`, { cause });
  }
}
