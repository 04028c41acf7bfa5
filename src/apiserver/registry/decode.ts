/** Decodes a request body into an object of its kind: checks kind and version, handles unknown fields, fills in defaults. */
import { builtinResources } from "../../api/index.ts";
import { readObject } from "../../machinery/codec/custom.ts";
import { dropEmpties, restoreEmpties } from "../../machinery/codec/empties.ts";
import { DecodeError, strictError } from "../../machinery/codec/decode.ts";
import { decodeCbor, parseCbor } from "../../machinery/codec/cbor.ts";
import type { Format } from "../../machinery/codec/content.ts";
import { bodyFormat } from "../../machinery/codec/content.ts";
import { decodeJson, parseJson } from "../../machinery/codec/json.ts";
import { openEnvelope } from "../../machinery/codec/protobuf.ts";
import { decodeYaml, openYaml } from "../../machinery/codec/yaml.ts";
import type { YamlDocument } from "../../machinery/codec/yaml-values.ts";
import type { Schema } from "../../machinery/schema/schema.ts";
import type { Resource } from "../../machinery/resource.ts";
import { apiVersionOf } from "../../machinery/resource.ts";
import { badRequest, StatusError } from "../../machinery/status.ts";
import type { RequestBody } from "../request.ts";
import type { FieldValidation } from "./context.ts";

/** Kinds are what a body may be: the resource's own, or that of a subresource. */
export interface Expected {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly schema: Schema;
  readonly defaults?: (draft: any) => void;
  readonly custom?: boolean;
}

export function expectedOf(resource: Resource): Expected {
  return {
    group: resource.group,
    version: resource.version,
    kind: resource.kind,
    schema: resource.schema,
    ...(resource.behaviour.defaults !== undefined && { defaults: (draft: any) => resource.behaviour.defaults!(draft) }),
    custom: isCustom(resource),
  };
}

/** Structural schemas of CRDs have no name in OpenAPI. */
export function isCustom(resource: Resource): boolean {
  return resource.schema.name === undefined;
}

export function decodeBody(
  body: RequestBody,
  expected: Expected,
  validation: FieldValidation,
  warn: (text: string) => void,
): any {
  if (body.kind === "none") return decodeNothing(body.contentType, expected);
  if (body.kind === "object") {
    checkKind(body.value, expected, validation, () => Buffer.from(JSON.stringify(body.value)));
    const object = readObject(body.value, expected.schema, expected.custom === true);
    expected.defaults?.(object);
    return fillKind(object, expected);
  }
  const { bytes } = body;
  const cbor = body.cbor === true;
  const format = bodyFormat(body.contentType, bodyFormats(cbor, expected.custom === true), bodyFormats(cbor, false));
  const options = { fieldValidation: validation, custom: expected.custom === true, empties: true };
  let object: any;
  let isParsed = false;
  let unread = "";
  try {
    if (format === "cbor") {
      unread = "unable to determine group/version/kind: ";
      const parsed = parseCbor(bytes);
      unread = "";
      checkKind(parsed, expected, validation, () => bytes);
      const decoded = decodeCbor(bytes, expected.schema, options);
      for (const warning of decoded.warnings) warn(warning);
      object = decoded.object;
    } else if (format === "protobuf") {
      checkKind(openEnvelope(bytes), expected, validation, () => bytes);
      object = body.codec.decode(bytes, expected.schema).object;
    } else {
      const document = format === "yaml" ? yamlOf(body) : undefined;
      checkKind(document === undefined ? parseJson(bytes) : document.value, expected, validation, () => bytes);
      isParsed = true;
      const decoded =
        document === undefined
          ? decodeJson(bytes, expected.schema, options)
          : decodeYaml(document, expected.schema, options);
      for (const warning of decoded.warnings) warn(warning);
      object = decoded.object;
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw undecodable(expected, unread + error.message, bytes, format === "json", isParsed);
  }
  fillDefaults(object, expected);
  return fillKind(object, expected);
}

/** What a YAML body says. */
export function yamlOf({ bytes, yaml }: Extract<RequestBody, { kind: "bytes" }>): YamlDocument {
  if (yaml instanceof DecodeError) throw yaml;
  return yaml ?? openYaml(bytes);
}

/** No bytes: in YAML they are an object without fields. */
function decodeNothing(contentType = "", expected: Expected): any {
  const format = bodyFormat(contentType, bodyFormats(false, expected.custom === true), bodyFormats(false, false));
  if (format === "yaml") return fillKind({}, expected);
  const why =
    format === "protobuf" ? "empty data" : "couldn't get version/kind; json parse error: unexpected end of JSON input";
  throw unrecognised(expected, why, Buffer.alloc(0));
}

/** What a body may be written in. */
export function bodyFormats(cbor: boolean, custom: boolean): readonly Format[] {
  return ["json", "yaml", ...(custom ? [] : (["protobuf"] as const)), ...(cbor ? (["cbor"] as const) : [])];
}

/** A tree that is not from the wire (a patched object): brought to its kind's shape, as decoding would. `faults` are told before its own. */
export function decodeTree(
  tree: unknown,
  expected: Expected,
  validation: FieldValidation,
  warn: (text: string) => void,
  faults: readonly string[] = [],
): any {
  const text = JSON.stringify(tree);
  const decoded = decodeJson(text, expected.schema, {
    fieldValidation: "Warn",
    custom: expected.custom === true,
    empties: true,
  });
  const wrong = [...faults, ...decoded.warnings];
  if (validation === "Strict" && wrong.length > 0) throw strictError(wrong);
  if (validation === "Warn") for (const warning of wrong) warn(warning);
  fillDefaults(decoded.object, expected);
  return fillKind(decoded.object, expected);
}

/** Defaults tell what was given empty from what wasn't given. */
function fillDefaults(object: any, { defaults }: Expected): void {
  if (defaults === undefined) return;
  restoreEmpties(object);
  defaults(object);
  dropEmpties(object);
}

function fillKind(object: any, expected: Expected): any {
  const { apiVersion, kind, metadata, ...rest } = object;
  if (expected.custom === true) return { apiVersion, kind, metadata: metadata ?? {}, ...rest };
  return { apiVersion: apiVersionOf(expected), kind: expected.kind, metadata: metadata ?? {}, ...rest };
}

function checkKind(value: unknown, expected: Expected, validation: FieldValidation, bytes: () => Uint8Array): void {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw unrecognised(
      expected,
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${Array.isArray(value) ? "array" : typeof value} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
      bytes(),
    );
  for (const [field, said] of Object.entries(value))
    if ((field === "apiVersion" || field === "kind") && said !== null && typeof said !== "string")
      throw unrecognised(
        expected,
        `couldn't get version/kind; json parse error: json: cannot unmarshal ${jsonType(said)} into Go struct field .${field} of type string`,
        bytes(),
      );
  const { apiVersion = "", kind = "" } = value as { apiVersion?: unknown; kind?: unknown };
  if (expected.custom === true) return checkCustomKind(apiVersion, kind, expected, validation, bytes);
  // Upstream takes a body without either for what the endpoint expects.
  if (kind === "" && apiVersion === "") return;
  const wanted = apiVersionOf(expected);
  if (kind === "") return;
  if (apiVersion === "") return;
  if (apiVersion === wanted && kind === expected.kind) return;
  if (!expected.custom && !isRegistered(String(apiVersion), String(kind)))
    throw badRequest(
      `${String(kind)} in version ${JSON.stringify(goVersion(apiVersion))} cannot be handled as a ${expected.kind}: no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "${SCHEME}"`,
    );
  if (kind === expected.kind)
    throw badRequest(
      `the API version in the data (${String(apiVersion)}) does not match the expected API version (${wanted})`,
    );
  throw badRequest(
    `${String(kind)} in version ${JSON.stringify(String(apiVersion).split("/").at(-1))} cannot be handled as a ${expected.kind}: converting (${goVersion(apiVersion)}.${String(kind)}) to (${goVersion(wanted)}.${expected.kind}): unknown conversion`,
  );
}

/** An object of a custom kind says what it is. Whether it is of the right kind is asked later, as its first rule. */
function checkCustomKind(
  apiVersion: unknown,
  kind: unknown,
  expected: Expected,
  validation: FieldValidation,
  bytes: () => Uint8Array,
): void {
  if ((kind ?? "") === "") {
    const why = `Object 'Kind' is missing in '${Buffer.from(bytes()).toString()}'`;
    throw validation === "Ignore"
      ? undecodable(expected, why, bytes(), true, true)
      : unrecognised(expected, why, bytes());
  }
  const wanted = apiVersionOf(expected);
  if (apiVersion === wanted) return;
  if (String(apiVersion).split("/").length > 2)
    throw unrecognised(expected, `unexpected GroupVersion string: ${String(apiVersion)}`, bytes());
  if (apiVersion === null)
    throw badRequest(
      `${String(kind)} in version "" cannot be handled as a ${expected.kind}: .apiVersion accessor error: <nil> is of the type <nil>, expected string`,
    );
  throw badRequest(
    `the API version in the data (${String(apiVersion)}) does not match the expected API version (${wanted})`,
  );
}

function jsonType(value: unknown): string {
  if (typeof value === "boolean") return "bool";
  return Array.isArray(value) ? "array" : typeof value;
}

/** Where upstream's table of kinds is made: its errors say so. */
const SCHEME = "pkg/api/legacyscheme/scheme.go:30";

function isRegistered(apiVersion: string, kind: string): boolean {
  return builtinResources.some(
    (resource) => apiVersionOf(resource) === apiVersion && (resource.kind === kind || resource.listKind === kind),
  );
}

const goVersion = (apiVersion: unknown): string => String(apiVersion).split("/").at(-1)!;

/** The type is known, its content is wrong. */
function undecodable(
  expected: Expected,
  why: string,
  bytes: Uint8Array,
  isJson: boolean,
  isParsed: boolean,
): StatusError {
  const ofEmbedded = expected.custom === true && /^\S+: Invalid value: /.test(why);
  if (isParsed || ofEmbedded || why.startsWith("strict decoding error") || why.startsWith("json: cannot unmarshal"))
    return badRequest(
      `${expected.kind} in version ${JSON.stringify(expected.version)} cannot be handled as a ${expected.kind}: ${why}`,
    );
  return unrecognised(expected, isJson ? `couldn't get version/kind; json parse error: ${why}` : why, bytes);
}

function unrecognised(expected: Expected, why: string, bytes: Uint8Array): StatusError {
  return badRequest(
    `the object provided is unrecognized (must be of type ${expected.kind}): ${why} (${summary(bytes)})`,
  );
}

function summary(bytes: Uint8Array): string {
  if (bytes.length === 0) return "<empty>";
  const head = Buffer.from(bytes.subarray(0, 30));
  const text = head[0] === 0x7b ? head.toString() : head.toString("hex");
  return bytes.length > 30 ? `${text} ...` : text;
}
