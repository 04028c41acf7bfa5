/**
 * Files of the group apiserver.config.k8s.io, read strictly: JSON where they begin with a brace, YAML otherwise.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/recognizer, staging/src/k8s.io/apiserver/pkg/apis/apiserver/install
 */
import type { Schema } from "../schema/schema.ts";
import { DecodeError } from "./decode.ts";
import { decodeJson, parseJson } from "./json.ts";
import { decodeYaml, parseYaml } from "./yaml.ts";

const GROUP = "apiserver.config.k8s.io";
/** Kinds of the group that upstream's decoder knows, with their versions. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  AdmissionConfiguration: ["v1", "v1alpha1"],
  AuthenticationConfiguration: ["v1", "v1beta1", "v1alpha1"],
  AuthorizationConfiguration: ["v1", "v1beta1", "v1alpha1"],
  EgressSelectorConfiguration: ["v1beta1", "v1alpha1"],
  EncryptionConfiguration: ["v1"],
  TracingConfiguration: ["v1", "v1beta1", "v1alpha1"],
};

/** What the text says, without its kind; throws in Go's words where it isn't a good object of this kind. */
export function decodeConfiguration(
  text: string,
  kind: string,
  schemas: Readonly<Record<string, (version: string) => Schema>>,
): unknown {
  const head = versionAndKind(text);
  if (!head.kind) throw new DecodeError(`Object 'Kind' is missing in '${text}'`);
  if (!head.apiVersion) throw new DecodeError(`Object 'apiVersion' is missing in '${text}'`);
  const [group = "", version = ""] = head.apiVersion.split("/");
  if (group !== GROUP || KNOWN[head.kind]?.includes(version) !== true) throw notRegistered(head);
  if (head.kind !== kind) throw new DecodeError(`expected ${kind}, got *apiserver.${head.kind}`);
  const { apiVersion: _, kind: __, ...rest } = decodeText(text, schemas[kind]!(version), "Strict") as Head;
  return rest;
}

const isJson = (text: string): boolean => /^\s*\{/.test(text);

export function decodeText(text: string, schema: Schema, fieldValidation: "Strict" | "Ignore"): unknown {
  return (isJson(text) ? decodeJson : decodeYaml)(text, schema, { fieldValidation }).object;
}

export interface Head {
  readonly apiVersion: string;
  readonly kind: string;
}

export function notRegistered({ apiVersion, kind }: Head): DecodeError {
  return new DecodeError(
    `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/runtime/scheme.go:111"`,
  );
}

/** What an object says that it is: empty where it doesn't. */
export function versionAndKind(text: string): Head {
  const wrong = (why: string) => new DecodeError(`couldn't get version/kind; json parse error: ${why}`);
  let value: unknown;
  try {
    value = isJson(text) ? parseJson(text) : parseYaml(text);
  } catch (error) {
    throw error instanceof DecodeError && isJson(text) ? wrong(error.message) : error;
  }
  if (typeof value !== "object" || Array.isArray(value))
    throw wrong(
      `json: cannot unmarshal ${kindOf(value)} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  const { apiVersion = "", kind = "" } = (value ?? {}) as Readonly<Record<string, unknown>>;
  for (const [field, said] of Object.entries({ apiVersion, kind }))
    if (said !== null && typeof said !== "string")
      throw wrong(`json: cannot unmarshal ${kindOf(said)} into Go struct field .${field} of type string`);
  return { apiVersion: String(apiVersion ?? ""), kind: String(kind ?? "") };
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}
