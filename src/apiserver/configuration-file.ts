/**
 * Files of configuration that have a kind, as the codecs of the API read them: JSON or YAML, strictly, and with their words for what is wrong.
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

/** The object and its kind, where `schemaOf` knows it. */
export function decodeConfiguration<T>(
  text: string,
  schemaOf: (apiVersion: string, kind: string) => Schema | undefined,
): T {
  const isJson = /^[ \t\r\n]*\{/.test(text);
  const document = isJson ? undefined : openYaml(text);
  const { apiVersion, kind } = headOf(document === undefined ? jsonHead(text) : document.value);
  if (kind === "") throw new DecodeError(`Object 'Kind' is missing in '${text}'`);
  if (apiVersion === "") throw new DecodeError(`Object 'apiVersion' is missing in '${text}'`);
  const schema = schemaOf(apiVersion, kind);
  if (schema === undefined)
    throw new DecodeError(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "${SCHEME}"`,
    );
  const strict = { fieldValidation: "Strict" } as const;
  return document === undefined
    ? decodeJson<T>(text, schema, strict).object
    : decodeYaml<T>(document, schema, strict).object;
}

function jsonHead(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new DecodeError(`couldn't get version/kind; json parse error: ${error.message}`, { cause: error });
  }
}

function headOf(value: unknown): { readonly apiVersion: string; readonly kind: string } {
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
