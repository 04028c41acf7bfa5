/**
 * Files of configuration that have a kind, as the codecs of the API read them: JSON or YAML, with their words for what is wrong.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json
 */
import { DecodeError } from "../machinery/codec/decode.ts";
import { decodeJson, parseJson } from "../machinery/codec/json.ts";
import { decodeYaml, openYaml } from "../machinery/codec/yaml.ts";
import type { Schema } from "../machinery/schema/schema.ts";

/** Where upstream's table of a configuration's kinds is made: its errors say so. */
const SCHEME = "pkg/runtime/scheme.go:111";
const HEAD =
  'couldn\'t get version/kind; json parse error: json: cannot unmarshal %s into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

export interface ConfigurationFile<T> {
  readonly object: T;
  /** As the file says it; empty where it doesn't and there are `defaults`. */
  readonly apiVersion: string;
  readonly kind: string;
  /** What is no field, or comes twice, where that is let pass. */
  readonly warnings: readonly string[];
}

interface Head {
  readonly apiVersion: string;
  readonly kind: string;
}

/**
 * `schemaOf` says which kinds there are; a file that leaves out what it is takes `defaults` for it, if there are any. Fields that nobody knows are
 * an error unless it is `lenient`.
 */
export function decodeConfiguration<T>(
  text: string,
  schemaOf: (apiVersion: string, kind: string) => Schema | undefined,
  { defaults, lenient = false }: { readonly defaults?: Head; readonly lenient?: boolean } = {},
): ConfigurationFile<T> {
  const isJson = /^[ \t\r\n]*\{/.test(text);
  const document = isJson ? undefined : openYaml(text);
  const said = headOf(document === undefined ? jsonHead(text) : document.value);
  const kind = said.kind || (defaults?.kind ?? "");
  const apiVersion = said.apiVersion || (defaults?.apiVersion ?? "");
  if (kind === "") throw new DecodeError(`Object 'Kind' is missing in '${text}'`);
  if (apiVersion === "") throw new DecodeError(`Object 'apiVersion' is missing in '${text}'`);
  const schema = schemaOf(apiVersion, kind);
  if (schema === undefined)
    throw new DecodeError(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "${SCHEME}"`,
    );
  const options = { fieldValidation: lenient ? "Warn" : "Strict" } as const;
  const { object, warnings } =
    document === undefined || document.value === null
      ? decodeJson<T>(isJson ? text : "{}", schema, options)
      : decodeYaml<T>(document, schema, options);
  return { object, apiVersion: said.apiVersion, kind, warnings };
}

function jsonHead(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new DecodeError(`couldn't get version/kind; json parse error: ${error.message}`, { cause: error });
  }
}

function headOf(value: unknown): Head {
  if (value === null || value === undefined) return { apiVersion: "", kind: "" };
  if (typeof value !== "object" || Array.isArray(value)) throw new DecodeError(HEAD.replace("%s", typeName(value)));
  const said = value as Readonly<Record<string, unknown>>;
  return { apiVersion: textField(said, "apiVersion"), kind: textField(said, "kind") };
}

function textField(object: Readonly<Record<string, unknown>>, name: string): string {
  const value = object[name] ?? "";
  if (typeof value === "string") return value;
  throw new DecodeError(
    `couldn't get version/kind; json parse error: json: cannot unmarshal ${typeName(value)} into Go struct field .${name} of type string`,
  );
}

function typeName(value: unknown): string {
  if (typeof value === "boolean") return "bool";
  return Array.isArray(value) ? "array" : typeof value;
}

/** A schema of these fields, each `[name, schema]`. */
export function objectSchema(name: string, fields: readonly (readonly [string, Schema])[]): Schema {
  return { type: "object", name, properties: new Map(fields) };
}

export const listOf = (items: Schema): Schema => ({ type: "array", items, omitEmpty: true });
export const text: Schema = { type: "string", omitEmpty: true };
export const flag: Schema = { type: "boolean", omitEmpty: true };
