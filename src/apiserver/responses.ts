/** Objects and lists as bytes; a stored object's are made once and shared. */
import { schemaOf } from "../api/schemas.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { encodeYaml } from "../machinery/codec/yaml.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import { apiVersionOf } from "../machinery/resource.ts";
import type { Encoding } from "./negotiation.ts";
import type { ListResponse, ObjectResponse } from "./request.ts";
import type { Entry } from "./storage/entry.ts";
import { partialMetadata, tableOf } from "./table.ts";
import type { Resource } from "../machinery/resource.ts";

export function encodeResponse(
  response: ObjectResponse | ListResponse,
  encoding: Encoding,
  nowMs: number,
  codec: ProtobufCodec,
): Uint8Array {
  if (response.kind === "object") {
    const { resource, entry, object } = response;
    if (encoding.as !== "object" && resource !== undefined)
      return encode(transform(resource, [object as KubeObject], undefined, encoding, nowMs), encoding);
    if (resource !== undefined && entry !== undefined) {
      if (isCompactJson(encoding)) return Buffer.concat([entryJson(resource, entry), NEWLINE]);
      if (encoding.mediaType === PROTOBUF) return entryProtobuf(resource, entry, codec);
    }
    if (encoding.mediaType === PROTOBUF)
      return codec.encode(object, resource === undefined ? schemaOf(`${META}Status`) : resource.schema);
    return encode(object, encoding);
  }
  const { resource, entries, metadata } = response;
  if (encoding.as !== "object")
    return encode(
      transform(
        resource,
        entries.map((entry) => entry.view(resource)),
        metadata,
        encoding,
        nowMs,
      ),
      encoding,
    );
  if (isCompactJson(encoding)) return listJson(response);
  if (encoding.mediaType === PROTOBUF)
    return codec.encode(listObject(response), schemaOf(`${resource.schema.name}List`));
  return encode(listObject(response), encoding);
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
  nowMs: number,
): object {
  const apiVersion = `meta.k8s.io/${encoding.asVersion}`;
  if (encoding.as === "table")
    return tableOf(resource, objects, list, { apiVersion, includeObject: encoding.includeObject, nowMs });
  if (list === undefined) return partialMetadata(objects[0]!, apiVersion);
  return {
    kind: "PartialObjectMetadataList",
    apiVersion,
    metadata: list,
    items: objects.map((object) => partialMetadata(object, apiVersion)),
  };
}

const PROTOBUF = "application/vnd.kubernetes.protobuf";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const NEWLINE = Buffer.from("\n");
const COMMA = Buffer.from(",");
const isCompactJson = (encoding: Encoding) => encoding.mediaType === "application/json" && !encoding.pretty;

export function entryJson(resource: Resource, entry: Entry): Uint8Array {
  return entry.bytes(resource, "json", (object) => Buffer.from(JSON.stringify(ordered(object))));
}

export function entryProtobuf(resource: Resource, entry: Entry, codec: ProtobufCodec): Uint8Array {
  return entry.bytes(resource, "protobuf", (object) => codec.encode(object, resource.schema));
}

/** The items' own bytes, put together: a list costs a copy and no encoding. */
function listJson({ resource, entries, metadata }: ListResponse): Uint8Array {
  const head = JSON.stringify({ kind: resource.listKind, apiVersion: apiVersionOf(resource), metadata });
  const parts: Uint8Array[] = [Buffer.from(`${head.slice(0, -1)},"items":[`)];
  entries.forEach((entry, i) => {
    if (i > 0) parts.push(COMMA);
    parts.push(entryJson(resource, entry));
  });
  parts.push(Buffer.from("]}\n"));
  return Buffer.concat(parts);
}

/** Go writes kind before apiVersion. */
function ordered(object: unknown): unknown {
  if (typeof object !== "object" || object === null || !("kind" in object) || !("apiVersion" in object)) return object;
  const { kind, apiVersion, ...rest } = object;
  return { kind, apiVersion, ...rest };
}

function encode(object: unknown, { mediaType, pretty }: Encoding): Uint8Array {
  if (mediaType === "application/yaml") return Buffer.from(encodeYaml(object));
  return Buffer.from(`${JSON.stringify(ordered(object), undefined, pretty ? 2 : 0)}\n`);
}
