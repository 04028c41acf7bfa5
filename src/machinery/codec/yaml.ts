/**
 * YAML 1.1, as sigs.k8s.io/yaml reads it: `yes` and `on` are booleans, `0644` is octal, dates and times of day are strings, keys are strings. Only
 * the first document of a stream counts. What comes out takes the way of JSON from there.
 * Upstream: sigs.k8s.io/yaml, staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json
 */
import { Document, LineCounter, type Pair, parseAllDocuments, type Tags, visit } from "yaml";
import type { Schema } from "../schema/schema.ts";
import { type Decoded, DecodeError, type DecodeOptions, strictError, withinDepth } from "./decode.ts";
import { countTree } from "./custom.ts";
import { decodeJson, textOf } from "./json.ts";
import { countFields, tooDeep } from "./json-text.ts";

const TAGS = (tags: Tags): Tags =>
  tags
    .filter((tag) => typeof tag === "string" || !/timestamp|binary|set$|omap|pairs/.test(tag.tag))
    .filter((tag) => typeof tag === "string" || tag.format !== "TIME");

export function decodeYaml<T = any>(
  input: string | Uint8Array,
  schema: Schema,
  options: DecodeOptions = {},
): Decoded<T> {
  const { value, duplicates } = withinYamlDepth(() => read(textOf(input)));
  const json = withinDepth(() => JSON.stringify(value ?? null));
  const strict = (options.fieldValidation ?? "Ignore") !== "Ignore";
  const { object, warnings } = decodeJson<T>(json, schema, { ...options, ...(strict && { fieldValidation: "Warn" }) });
  if (!strict) return { object, warnings };
  const repeated = duplicates.map((line) => `  ${line}`);
  if (options.fieldValidation === "Warn") return { object, warnings: [...duplicates, ...warnings] };
  const all = [...(repeated.length > 0 ? [`yaml: unmarshal errors:\n${repeated.join("\n")}`] : []), ...warnings];
  if (all.length > 0) throw strictError(all);
  return { object, warnings };
}

/** Reads YAML of no particular type into what JSON can say. */
export function parseYaml(input: string | Uint8Array): unknown {
  return withinYamlDepth(() => read(textOf(input)).value);
}

function withinYamlDepth<T>(decode: () => T): T {
  try {
    return withinDepth(decode);
  } catch (error) {
    throw error instanceof DecodeError && error.message.endsWith("exceeded max depth")
      ? new DecodeError(TOO_DEEP)
      : error;
  }
}

const TOO_DEEP = "yaml: exceeded max depth of 10000";

function read(text: string): { readonly value: unknown; readonly duplicates: readonly string[] } {
  // JSON is YAML, and far the most of it.
  if (/^\s*\{/.test(text)) {
    try {
      const value: unknown = JSON.parse(text);
      if (tooDeep(text) !== undefined) throw new DecodeError(TOO_DEEP);
      // What comes twice in it, that reader will tell as well.
      if (countFields(text) === countTree(value)) return { value, duplicates: [] };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      // Flow style that isn't JSON, or a mistake that the reader of YAML will tell.
    }
  }
  if (opensWithoutEnd(text)) throw new DecodeError(TOO_DEEP);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: "1.1",
    merge: true,
    uniqueKeys: false,
    customTags: TAGS,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "silent",
  });
  const document = Array.isArray(documents) ? documents[0] : undefined;
  if (document === undefined) return { value: null, duplicates: [] };
  const error = document.errors[0];
  if (error !== undefined) {
    // The reader of YAML tells of its own stack as of a mistake.
    if (error.message.includes("call stack")) throw new DecodeError(TOO_DEEP);
    const { line } = lines.linePos(error.pos[0]);
    throw new DecodeError(`yaml: line ${line}: ${WORDS[error.code] ?? error.message}`);
  }
  const duplicates: string[] = [];
  let aliased: string | undefined;
  visit(document, {
    Alias(_, { source }) {
      aliased = source;
    },
    Map(_, map) {
      const seen = new Set<string>();
      for (const pair of map.items as Pair<any>[]) {
        const key = String(pair.key?.value ?? pair.key);
        if (seen.has(key) && key !== "<<")
          duplicates.push(
            `line ${lines.linePos(pair.key?.range?.[0] ?? 0).line}: key ${JSON.stringify(key)} already set in map`,
          );
        seen.add(key);
      }
    },
  });
  try {
    const value: unknown = document.toJS({ maxAliasCount: 1000 });
    if (aliased !== undefined && holdsItself(value))
      throw new DecodeError(`yaml: anchor '${aliased}' value contains itself`);
    return { value, duplicates };
  } catch (cause) {
    if (cause instanceof DecodeError || cause instanceof RangeError) throw cause;
    throw new DecodeError(
      /alias/i.test((cause as Error).message)
        ? "yaml: document contains excessive aliasing"
        : `yaml: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** One level in the next and nothing between: the reader would take seconds to find that it is too deep. */
function opensWithoutEnd(text: string): boolean {
  if (text.length <= 10_000) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 32) continue;
    const next = text.charCodeAt(i + 1);
    const opens =
      code === 91 /* [ */ || code === 123 /* { */ || ((code === 45 /* - */ || code === 63) /* ? */ && next === 32);
    depth = opens ? depth + 1 : 0;
    if (depth > 10_000) return true;
  }
  return false;
}

function holdsItself(value: unknown, above: ReadonlySet<unknown> = new Set()): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (above.has(value)) return true;
  const inside = new Set([...above, value]);
  return Object.values(value).some((inner) => holdsItself(inner, inside));
}

/** libyaml's words for the mistakes people make. */
const WORDS: Readonly<Record<string, string>> = {
  BAD_ALIAS: "unknown anchor referenced",
  BAD_DQ_ESCAPE: "found unknown escape character",
  BAD_INDENT: "did not find expected key",
  BAD_PROP_ORDER: "did not find expected node content",
  BAD_SCALAR_START: "found character that cannot start any token",
  BLOCK_AS_IMPLICIT_KEY: "mapping values are not allowed in this context",
  BLOCK_IN_FLOW: "did not find expected ',' or '}'",
  MISSING_CHAR: "could not find expected ':'",
  MULTILINE_IMPLICIT_KEY: "could not find expected ':'",
  TAB_AS_INDENT: "found character that cannot start any token",
  UNEXPECTED_TOKEN: "did not find expected key",
};

/** Keys sorted, sequences not indented: as sigs.k8s.io/yaml writes. */
export function encodeYaml(object: unknown): string {
  const document = new Document(object, { version: "1.1", sortMapEntries: true, aliasDuplicateObjects: false });
  return document.toString({ indentSeq: false, lineWidth: 0, directives: false });
}
