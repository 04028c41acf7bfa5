/**
 * The error that Go reports when a tree cannot be decoded into its kind: the first one in the order of the kind's fields. The result of a strategic
 * merge patch is checked by this reader rather than by the JSON one.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/converter.go
 */
import { base64 } from "../codec/decode.ts";
import type { Schema } from "../schema/schema.ts";

/** Undefined where nothing is wrong. */
export function restoreError(value: unknown, schema: Schema): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (schema.type === "any" || schema.format === "int-or-string" || schema.format === "quantity") return undefined;
  switch (schema.type) {
    case "object":
      if (schema.properties === undefined) return mapError(value, schema);
      return structError(value, schema.properties);
    case "array":
      if (!Array.isArray(value)) return `cannot restore slice from ${kindOf(value)}`;
      return first(value, (item) => (schema.items === undefined ? undefined : restoreError(item, schema.items)));
    default:
      return scalarError(value, schema);
  }
}

function structError(value: unknown, properties: ReadonlyMap<string, Schema>): string | undefined {
  if (!isTree(value)) return `cannot restore struct from: ${kindOf(value)}`;
  return first(properties, ([name, schema]) =>
    Object.hasOwn(value, name) ? restoreError(value[name], schema) : undefined,
  );
}

function mapError(value: unknown, { values }: Schema): string | undefined {
  if (!isTree(value)) return `cannot restore map from ${kindOf(value)}`;
  return values === undefined ? undefined : first(Object.values(value), (one) => restoreError(one, values));
}

function scalarError(value: unknown, schema: Schema): string | undefined {
  const { type, format } = schema;
  // These read themselves, from JSON.
  if (type === "string" && format !== undefined && format !== "byte") return undefined;
  const found = kindOf(value);
  if (type === "string") {
    if (found === "int64") return `cannot convert int64 to ${schema.goType ?? "string"}`;
    if (found !== "string") return "unrecognized type: string";
    return format === "byte" ? base64Error(String(value)) : undefined;
  }
  if (type === "boolean") return found === "bool" ? undefined : "unrecognized type: bool";
  const wanted = type === "integer" ? (format ?? "int64") : "float64";
  if (found !== "int64" && found !== "float64") return `unrecognized type: ${wanted}`;
  return type === "integer" && found === "float64" ? `cannot convert float64 to ${wanted}` : undefined;
}

function base64Error(text: string): string | undefined {
  try {
    base64(text);
    return undefined;
  } catch (error) {
    return `error decoding from json: ${(error as Error).message}`;
  }
}

/** As Go's reflection calls what it found. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "slice";
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "float64";
  return { object: "map", boolean: "bool" }[typeof value as string] ?? typeof value;
}

const isTree = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function first<T>(all: Iterable<T>, look: (one: T) => string | undefined): string | undefined {
  for (const one of all) {
    const found = look(one);
    if (found !== undefined) return found;
  }
  return undefined;
}
