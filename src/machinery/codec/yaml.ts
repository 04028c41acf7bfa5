/**
 * YAML 1.1, as sigs.k8s.io/yaml reads it: `yes` and `on` are booleans, `0644` is octal, dates and times are strings, keys are strings. Only the
 * first document of a stream is read. From there on the result is treated like JSON.
 * Upstream: sigs.k8s.io/yaml, staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json
 */
import type { Schema } from "../schema/schema.ts";
import { countTree } from "./custom.ts";
import { type Decoded, DecodeError, type DecodeOptions, strictError, withinDepth } from "./decode.ts";
import { decodeJson, textOf } from "./json.ts";
import { countFields, tooDeep } from "./json-text.ts";
import { type YamlDocument, YamlReader } from "./yaml-values.ts";
import { writeYaml } from "./yaml-writer.ts";

export function decodeYaml<T = any>(
  input: string | Uint8Array | YamlDocument,
  schema: Schema,
  options: DecodeOptions = {},
): Decoded<T> {
  const { value, duplicates } = typeof input === "object" && "duplicates" in input ? input : openYaml(input);
  const json = withinDepth(() => JSON.stringify(value ?? null));
  const strict = (options.fieldValidation ?? "Ignore") !== "Ignore";
  const read = decodeJson<T>(json, schema, { ...options, ...(strict && { fieldValidation: "Warn" }) });
  if (!strict) return read;
  const { object } = read;
  // Upstream makes JSON of it first, with the keys of each object sorted: what is wrong is told in that order.
  const { warnings } =
    read.warnings.length < 2 ? read : decodeJson(sortedJson(value), schema, { ...options, fieldValidation: "Warn" });
  const repeated = duplicates.map((line) => `  ${line}`);
  if (options.fieldValidation === "Warn") return { object, warnings: [...duplicates, ...warnings] };
  const all = [...(repeated.length > 0 ? [`yaml: unmarshal errors:\n${repeated.join("\n")}`] : []), ...warnings];
  if (all.length > 0) throw strictError(all);
  return { object, warnings };
}

const sortedJson = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

/** Reads YAML of no particular type into what JSON can say. */
export function parseYaml(input: string | Uint8Array): unknown {
  return openYaml(input).value;
}

/** The same, with what has to be told of it; `decodeYaml` goes on from there. */
export function openYaml(input: string | Uint8Array): YamlDocument {
  return openYamlInGoes(input)(() => false)!;
}

/** The same for a long text: undefined where `isOver` says that it is enough for this time, and there is more to do. */
export function openYamlInGoes(input: string | Uint8Array): (isOver: () => boolean) => YamlDocument | undefined {
  const text = textOf(input);
  let reader: YamlReader | undefined;
  return (isOver) => {
    try {
      return withinDepth(() => {
        const json = reader === undefined ? readJson(text) : undefined;
        return json ?? (reader ??= new YamlReader(text)).read(isOver);
      });
    } catch (error) {
      throw error instanceof DecodeError && error.message === "exceeded max depth" ? new DecodeError(TOO_DEEP) : error;
    }
  };
}

const TOO_DEEP = "yaml: exceeded max depth of 10000";

/** JSON is YAML, and far the most of it. */
function readJson(text: string): YamlDocument | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (tooDeep(text) !== undefined) throw new DecodeError(TOO_DEEP);
    // What comes twice in it, the reader of YAML will tell.
    if (countFields(text) === countTree(value)) return { value, duplicates: [] };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // Flow style that isn't JSON, or a mistake that the reader of YAML will tell.
  }
  return undefined;
}

/** As sigs.k8s.io/yaml writes. */
export function encodeYaml(object: unknown): string {
  return writeYaml(JSON.parse(JSON.stringify(object)));
}
