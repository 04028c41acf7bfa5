/** Encodes objects and lists; the bytes of a stored object are made once and shared. */
import { schemaOf } from "../api/schemas.ts";
import { encodeCbor } from "../machinery/codec/cbor.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { encodeYaml } from "../machinery/codec/yaml.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import { apiVersionOf } from "../machinery/resource.ts";
import { StatusError } from "../machinery/status.ts";
import { escaped, goJson, inGoOrder } from "../machinery/codec/go-json.ts";
import type { Encoding } from "./negotiation.ts";
import type { ListResponse, ObjectResponse } from "./request.ts";
import type { Entry } from "./storage/entry.ts";
import { partialMetadata, type Printing, tableOf } from "./table.ts";
import { isCustom } from "./registry/decode.ts";
import type { Resource } from "../machinery/resource.ts";
import type { Schema } from "../machinery/schema/schema.ts";

export function encodeResponse(
  response: ObjectResponse | ListResponse,
  encoding: Encoding,
  printing: Printing,
  codec: ProtobufCodec,
): Uint8Array {
  if (response.kind === "object") {
    const { resource, entry, object } = response;
    if (encoding.as !== "object" && resource !== undefined)
      return encodeTransformed(
        transform(resource, [object as KubeObject], undefined, encoding, printing),
        encoding,
        codec,
      );
    if (resource !== undefined && entry !== undefined) {
      if (isCompactJson(encoding)) return Buffer.concat([entryJson(resource, entry), NEWLINE]);
      if (encoding.mediaType === PROTOBUF) return entryProtobuf(resource, entry, codec);
      if (encoding.mediaType === CBOR) return entryCbor(resource, entry);
    }
    const schema: Schema = response.schema ?? (resource === undefined ? schemaOf(`${META}Status`) : resource.schema);
    if (encoding.mediaType === PROTOBUF) return codec.encode(object, schema);
    return encode(object, encoding, schema);
  }
  // Most lists are made part by part instead.
  const { resource, entries, metadata } = response;
  if (encoding.as !== "object") {
    const objects = entries.map((entry) => entry.view(resource));
    return encodeTransformed(transform(resource, objects, metadata, encoding, printing), encoding, codec);
  }
  return encode(bareList(response), encoding, listSchema(resource));
}

/** A list's schema: of a custom resource only as far as its items'. */
export function listSchema(resource: Resource): Schema {
  if (resource.schema.name !== undefined) return schemaOf(`${resource.schema.name}List`);
  return { type: "object", properties: new Map([["items", { type: "array", items: resource.schema }]]) };
}

/** Tables know JSON and YAML only; bare metadata has a schema of its own. */
function encodeTransformed(value: { readonly kind: string }, encoding: Encoding, codec: ProtobufCodec): Uint8Array {
  if (encoding.mediaType !== PROTOBUF) return encode(value, encoding);
  return codec.encode(value, metadataSchema(value.kind, encoding.asVersion));
}

/** The older list has its fields the other way round. */
export function metadataSchema(kind: string, version: string): Schema {
  const isList = kind === "PartialObjectMetadataList";
  return schemaOf(`io.k8s.apimachinery.pkg.apis.meta.${isList ? version : "v1"}.${kind}`);
}

export function listObject({ resource, entries, metadata }: ListResponse): object {
  return {
    kind: resource.listKind,
    apiVersion: apiVersionOf(resource),
    metadata,
    items: entries.map((entry) => entry.view(resource)),
  };
}

function transform(
  resource: Resource,
  objects: readonly KubeObject[],
  list: ListResponse["metadata"] | undefined,
  encoding: Encoding,
  printing: Printing,
): { readonly kind: string; readonly [field: string]: unknown } {
  const apiVersion = `meta.k8s.io/${encoding.asVersion}`;
  if (encoding.as === "table")
    return tableOf(resource, objects, list, { apiVersion, includeObject: encoding.includeObject, ...printing });
  if (encoding.asList !== (list !== undefined)) throw notSuch(resource, encoding.asList);
  if (list === undefined) return partialMetadata(objects[0]!, apiVersion);
  return {
    kind: "PartialObjectMetadataList",
    apiVersion,
    metadata: list,
    items: objects.map((object) => partialMetadata(object, apiVersion)),
  };
}

/** Upstream names its own type. */
function notSuch({ group, kind, listKind, schema }: Resource, asList: boolean): StatusError {
  const of =
    group === "" || group === "events.k8s.io"
      ? "core"
      : group === "internal.apiserver.k8s.io"
        ? "apiserverinternal"
        : group.split(".")[0]!;
  const type = (name: string, custom: string) =>
    schema.name === undefined ? `*unstructured.${custom}` : `*${of}.${name}`;
  return new StatusError(
    "NotAcceptable",
    asList
      ? `you requested PartialObjectMetadataList, but the requested object is not a list (${type(kind, "Unstructured")})`
      : `you requested PartialObjectMetadata, but the requested object is a list (${type(listKind, "UnstructuredList")})`,
  );
}

const CBOR = "application/cbor";
const PROTOBUF = "application/vnd.kubernetes.protobuf";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const NEWLINE = Buffer.from("\n");
const isCompactJson = (encoding: Encoding) => encoding.mediaType === "application/json" && !encoding.pretty;

export function entryJson(resource: Resource, entry: Entry): Uint8Array {
  return entry.bytes(resource, "json", (object) => Buffer.from(goJson(object, resource.schema)));
}

export function entryProtobuf(resource: Resource, entry: Entry, codec: ProtobufCodec): Uint8Array {
  return entry.bytes(resource, "protobuf", (object) => codec.encode(object, resource.schema));
}

export function entryCbor(resource: Resource, entry: Entry): Uint8Array {
  return entry.bytes(resource, "cbor", (object) => encodeCbor(object, resource.schema));
}

/** A list of custom resources has its keys in the order of the alphabet, and always says where it goes on. */
export function listHead(resource: Resource, metadata: ListResponse["metadata"]): string {
  if (isCustom(resource)) return `{"apiVersion":${JSON.stringify(apiVersionOf(resource))},"items":[`;
  const head = JSON.stringify({ kind: resource.listKind, apiVersion: apiVersionOf(resource), metadata });
  return `${head.slice(0, -1)},"items":[`;
}
export function listTail({ listKind }: Resource, metadata: ListResponse["metadata"]): string {
  const { resourceVersion, continue: next = "", remainingItemCount } = metadata;
  const shown = { continue: next, ...(remainingItemCount !== undefined && { remainingItemCount }), resourceVersion };
  return JSON.stringify({ kind: listKind, metadata: shown }).slice(1, -1);
}

export const kindHead = ({ kind, ...resource }: Resource): string =>
  `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersionOf(resource))},`;

/** As it travels: Go's items of a built-in kind have no kind of their own. */
export function bareItem(resource: Resource, object: KubeObject): object {
  if (resource.schema.name === undefined) return object;
  const { kind: _, apiVersion: __, ...rest } = object;
  return rest;
}

function bareList(response: ListResponse): object {
  const { resource, entries } = response;
  const items = entries.map((entry) => bareItem(resource, entry.view(resource)));
  return { ...listObject({ ...response, entries: [] }), items };
}

/** Go writes kind before apiVersion. */
function ordered(object: unknown): unknown {
  if (typeof object !== "object" || object === null || !("kind" in object) || !("apiVersion" in object)) return object;
  const { kind, apiVersion, ...rest } = object;
  return { kind, apiVersion, ...rest };
}

export function encode(object: unknown, { mediaType, pretty }: Encoding, schema?: Schema): Buffer {
  if (mediaType === CBOR) return Buffer.from(encodeCbor(object, schema));
  if (mediaType === "application/yaml") return Buffer.from(encodeYaml(shown(object, schema)));
  // Go ends the line only where it doesn't indent.
  const json = escaped(JSON.stringify(shown(object, schema), undefined, pretty ? 2 : 0));
  return Buffer.from(pretty ? json : `${json}\n`);
}

/** As Go has it: a table and bare metadata are made of what has a place already. */
function shown(object: unknown, schema: Schema | undefined): unknown {
  return schema === undefined ? ordered(object) : inGoOrder(object, schema);
}
