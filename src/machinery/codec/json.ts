/**
 * JSON as the API server reads it: case-sensitive, with unknown and duplicate fields reported and errors in Go's words. The platform's parser does
 * the work; the text is examined again only if something is wrong with it.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json, sigs.k8s.io/json
 */
import type { Schema } from "../schema/schema.ts";
import { countTree, readCustom } from "./custom.ts";
import {
  type Decoded,
  DecodeError,
  type DecodeOptions,
  type FieldValidation,
  readTree,
  strictError,
  withinDepth,
} from "./decode.ts";
import { rememberEmpties } from "./empties.ts";
import {
  countFields,
  infiniteNumber,
  repeatedFields,
  repeatsOf,
  strictErrors,
  syntaxError,
  tooDeep,
} from "./json-text.ts";

export function decodeJson<T = any>(
  input: string | Uint8Array,
  schema: Schema,
  options: DecodeOptions = {},
): Decoded<T> {
  return withinDepth(() => decode<T>(textOf(input), schema, options));
}

function decode<T>(text: string, schema: Schema, options: DecodeOptions): Decoded<T> {
  const validation = options.fieldValidation ?? "Ignore";
  if (options.custom === true) return decodeCustom(text, schema, validation);
  const tree = parseJson(text);
  let read = readTree(tree, schema);
  // What is stored says nothing twice.
  const count = options.fieldValidation === undefined ? read.fields : countFields(text);
  const isRepeated = count !== read.fields && count !== countTree(tree);
  if (isRepeated) {
    // Go reads what comes first as well, and what comes later into it.
    readTree(repeatsOf(text, "first"), schema);
    read = readTree(repeatsOf(text, "merged"), schema);
  }
  const { object, unknown, empties } = read;
  if (options.empties === true) rememberEmpties(object, empties);
  if (validation === "Ignore" || (unknown === 0 && !isRepeated)) return { object, warnings: [] };
  const warnings = strictErrors(text, schema);
  if (validation === "Strict" && warnings.length > 0) throw strictError(warnings);
  return { object, warnings };
}

function decodeCustom<T>(text: string, schema: Schema, validation: FieldValidation): Decoded<T> {
  const tree = parseJson(text);
  const wrong = infiniteNumber(text);
  if (wrong !== undefined) throw new DecodeError(wrong);
  const { object, unknown } = readCustom(tree, schema);
  if (validation === "Ignore") return { object, warnings: [] };
  const repeated = repeatedFields(text, tree);
  const warnings = [...repeated, ...unknown.map((path) => `unknown field "${path}"`)];
  if (validation === "Strict" && warnings.length > 0) throw strictError(warnings);
  return { object, warnings };
}

/** Parses JSON of no particular type; a broken one throws a DecodeError in Go's words. */
export function parseJson(input: string | Uint8Array): unknown {
  const text = textOf(input);
  return withinDepth(() => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new DecodeError(syntaxError(text) ?? (error as Error).message, { cause: error });
    }
    const wrong = tooDeep(text);
    if (wrong !== undefined) throw new DecodeError(wrong);
    return value;
  });
}

export function textOf(input: string | Uint8Array): string {
  if (typeof input === "string") return input;
  return Buffer.from(input.buffer, input.byteOffset, input.byteLength).toString("utf8");
}
