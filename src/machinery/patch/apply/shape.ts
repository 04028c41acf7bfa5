/**
 * How a value merges: as the schema says, or, where the schema says nothing, by the value itself.
 * Upstream: sigs.k8s.io/structured-merge-diff/v6/schema, k8s.io/kube-openapi/pkg/schemaconv
 */
import { isNil } from "../../schema/fields.ts";
import type { Schema } from "../../schema/schema.ts";
import { isEmpty, isObject, member, type JsonObject } from "../json-value.ts";
import { keyElement, valueElement } from "./field-set.ts";

/** Content that no schema describes: lists atomic, maps granular all the way down. */
export const DEDUCED: Schema = { type: "any", preserveUnknownFields: true };

/** An empty struct that Go always writes. */
const EMPTY_STRUCT: JsonObject = Object.freeze({});

export type Shape = "leaf" | "map" | "list" | "set";

/** How `value` merges. Null and absent values take the shape that the schema prefers. */
export function shapeOf(schema: Schema, value: unknown): Shape {
  switch (schema.type) {
    case "object":
      if (schema.mapType === "atomic" || schema.format === "raw" || schema.format === "fields") return "leaf";
      return value === undefined || value === null || isObject(value) ? "map" : "leaf";
    case "array":
      return value === undefined || value === null || Array.isArray(value) ? listShape(schema) : "leaf";
    case "any":
      if (schema.format === "raw" || schema.format === "json") return "leaf";
      return isObject(value) && schema.mapType !== "atomic" ? "map" : "leaf";
    default:
      return "leaf";
  }
}

function listShape(schema: Schema): Shape {
  switch (schema.listType) {
    case "map":
      return "list";
    case "set":
      return "set";
    case "atomic":
      return "leaf";
    default:
      if (schema.patchStrategy?.includes("merge") !== true) return "leaf";
      return schema.patchMergeKey === undefined ? "set" : "list";
  }
}

/** The schema of a member; undefined where the schema doesn't allow it. */
export function memberSchema(schema: Schema, name: string): Schema | undefined {
  return (
    schema.properties?.get(name) ??
    schema.values ??
    (schema.type === "any" || schema.preserveUnknownFields === true || schema.properties === undefined
      ? DEDUCED
      : undefined)
  );
}

export const isDeclared = (schema: Schema, name: string): boolean => schema.properties?.has(name) === true;

/** What Go's zero value of a field is on the wire, where it always writes one: a struct, or null. Undefined where absent stays absent. */
export function zeroOf(field: Schema, name = ""): JsonObject | null | undefined {
  if (field.proto === undefined || name === "creationTimestamp") return undefined;
  if (isNil(field)) return null;
  if (field.pointer === true) return undefined;
  if (field.type === "object" && field.properties !== undefined) {
    return isObject(field.default) && isEmpty(field.default) ? EMPTY_STRUCT : undefined;
  }
  return field.omitEmpty !== true && (field.type === "array" || field.type === "object") ? null : undefined;
}

/** An item that can't be told from its siblings. */
export class ItemError extends Error {
  override readonly name = "ItemError";
}

/** The path element that identifies an item of a granular list. */
export function itemElement(schema: Schema, shape: "list" | "set", item: unknown): string {
  if (shape === "set") {
    if (item === null) throw new ItemError("associative list without keys has an element that's an explicit null");
    if (Array.isArray(item)) throw new ItemError("not supported: associative list with lists as elements");
    if (isObject(item)) throw new ItemError("associative list without keys has an element that's a map type");
    return valueElement(item);
  }
  if (item === null) throw new ItemError("associative list with keys may not have a null element");
  if (!isObject(item)) throw new ItemError("associative list with keys may not have non-map elements");
  const names = keysOf(schema);
  const keys: [string, unknown][] = [];
  for (const name of names) {
    const value = member(item, name) ?? schema.items?.properties?.get(name)?.default;
    if (value !== undefined && value !== null) keys.push([name, value]);
  }
  if (keys.length === 0) {
    throw new ItemError(
      `associative list with keys has an element that omits all key fields [${names.map((name) => JSON.stringify(name)).join(" ")}] (and doesn't have default values for any key fields)`,
    );
  }
  return keyElement(keys);
}

function keysOf(schema: Schema): readonly string[] {
  const keys = schema.listMapKeys ?? (schema.patchMergeKey === undefined ? [] : [schema.patchMergeKey]);
  return keys.length > 1 ? [...keys].sort() : keys;
}

export const itemsOf = (schema: Schema): Schema => schema.items ?? DEDUCED;
