/**
 * Encodes a list object by object, so that a long list never exists as a whole: the stored bytes of its items are reused, and only what surrounds
 * them is made.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/{json,protobuf}/collections.go
 */
import { schemaOf } from "../api/schemas.ts";
import { assert } from "../base/assert.ts";
import { escaped, inGoOrder } from "../machinery/codec/go-json.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import type { Resource } from "../machinery/resource.ts";
import type { Encoding } from "./negotiation.ts";
import type { ListResponse } from "./request.ts";
import { isCustom } from "./registry/decode.ts";
import type { Schema } from "../machinery/schema/schema.ts";
import {
  bareItem,
  encode,
  entryJson,
  entryProtobuf,
  kindHead,
  listHead,
  listObject,
  listSchema,
  listTail,
  metadataSchema,
} from "./responses.ts";
import { partialMetadata, type Printing, rowsOf, tableOf } from "./table.ts";

const NOTHING = Buffer.alloc(0);
const COMMA = Buffer.from(",");
const COMMA_OPEN = Buffer.from(",{");
const OPEN = Buffer.from("{");
/** Rows and metadata are made anew for each list: so many at once. */
const AT_ONCE = 16;
/** And of YAML and indented JSON, which take a multiple of that. */
const WRITTEN_AT_ONCE = 4;

/** Parts without bytes say that something was done. Undefined for a form that is made in one piece. */
export function listParts(
  response: ListResponse,
  encoding: Encoding,
  printing: Printing,
  codec: ProtobufCodec,
): Iterable<Uint8Array> | undefined {
  const { resource, metadata } = response;
  const { mediaType, as, asVersion, pretty } = encoding;
  // Who asks for one object's metadata is told that this is a list.
  if (as === "metadata" && encoding.asList !== true) return undefined;
  if (mediaType === "application/vnd.kubernetes.protobuf") {
    if (as === "metadata") {
      // The older list has its fields the other way round.
      if (asVersion !== "v1") return undefined;
      const apiVersion = `meta.k8s.io/${asVersion}`;
      const schema = metadataSchema("PartialObjectMetadata", asVersion);
      const list = { kind: "PartialObjectMetadataList", apiVersion, metadata, items: [] };
      return protobufParts(codec, list, metadataSchema("PartialObjectMetadataList", asVersion), response, (entry) =>
        codec.encode(partialMetadata(entry.view(resource), apiVersion), schema),
      );
    }
    const list = listObject({ ...response, entries: [] });
    return protobufParts(codec, list, schemaOf(`${resource.schema.name}List`), response, (entry) =>
      entryProtobuf(resource, entry, codec),
    );
  }
  const isWritten = mediaType === "application/yaml" || (mediaType === "application/json" && pretty);
  if (mediaType !== "application/json" && !isWritten) return undefined;
  const parts = (made: Made) => (isWritten ? writtenParts(made, encoding) : madeParts(made));
  const apiVersion = `meta.k8s.io/${asVersion}`;
  if (as === "table") {
    const options = { apiVersion, includeObject: encoding.includeObject, ...printing };
    const { rows: _, ...head } = tableOf(resource, [], metadata, options);
    const entries = inRowOrder(response);
    return parts({ head, field: "rows", resource, entries, make: (objects) => rowsOf(resource, objects, options) });
  }
  if (as === "metadata") {
    const head = { kind: "PartialObjectMetadataList", apiVersion, metadata };
    const make: Made["make"] = (objects) => objects.map((object) => partialMetadata(object, apiVersion));
    return parts({ head, field: "items", resource, entries: response.entries, make });
  }
  if (!isWritten) return jsonParts(response);
  const head = listObject({ ...response, entries: [] });
  const make: Made["make"] = (objects) => objects.map((object) => bareItem(resource, object));
  return parts({ head, field: "items", schema: listSchema(resource), resource, entries: response.entries, make });
}

/** A list whose `field` is made a few objects at a time. */
interface Made {
  readonly head: object;
  readonly field: "items" | "rows";
  readonly schema?: Schema;
  readonly resource: Resource;
  readonly entries: ListResponse["entries"];
  make(objects: readonly KubeObject[]): readonly object[];
}

/** The whole is put in order, not what is made of it at once. */
function inRowOrder({ resource, entries }: ListResponse): ListResponse["entries"] {
  const { rowOrder } = resource;
  if (rowOrder === undefined) return entries;
  return entries.toSorted((a, b) => rowOrder(a.view(resource), b.view(resource)));
}

/** A list in JSON: what is its own, and items that another list of the same state has too. */
export interface JsonList {
  readonly head: Uint8Array;
  readonly count: number;
  /** What stands before an item. */
  before(at: number): Uint8Array;
  item(at: number): Uint8Array;
  readonly tail: Uint8Array;
}

/** Undefined where a list isn't one of whole objects in plain JSON. */
export function jsonList(response: ListResponse, { mediaType, as, pretty }: Encoding): JsonList | undefined {
  return mediaType === "application/json" && as === "object" && !pretty ? jsonListOf(response) : undefined;
}

function jsonListOf({ resource, entries, metadata }: ListResponse): JsonList {
  const custom = isCustom(resource);
  // A built-in kind's items don't say their kind, which every entry's bytes begin with.
  const kindLength = custom ? 0 : kindHead(resource).length;
  const [first, other] = custom ? [NOTHING, COMMA] : [OPEN, COMMA_OPEN];
  return {
    head: Buffer.from(listHead(resource, metadata)),
    count: entries.length,
    before: (at) => (at === 0 ? first : other),
    item: (at) => {
      const item = entryJson(resource, entries[at]!);
      return kindLength === 0 ? item : item.subarray(kindLength);
    },
    tail: Buffer.from(`]${custom ? `,${listTail(resource, metadata)}` : ""}}\n`),
  };
}

function* jsonParts(response: ListResponse): Generator<Uint8Array> {
  const list = jsonListOf(response);
  yield list.head;
  for (let at = 0; at < list.count; at++) {
    yield list.before(at);
    yield list.item(at);
  }
  yield list.tail;
}

function* madeParts({ head, field, resource, entries, make }: Made): Generator<Uint8Array> {
  yield Buffer.from(`${escaped(JSON.stringify(head)).slice(0, -1)},"${field}":[`);
  for (let at = 0; at < entries.length; at += AT_ONCE) {
    const made = make(entries.slice(at, at + AT_ONCE).map((entry) => entry.view(resource)));
    yield Buffer.from(`${at > 0 ? "," : ""}${escaped(JSON.stringify(made)).slice(1, -1)}`);
  }
  yield Buffer.from("]}\n");
}

/**
 * YAML and indented JSON: ten thousand pods in one piece would keep everybody waiting for a second. The list is written without its items, and each
 * few of them as a list that has nothing else, so that all stands where it would stand in the whole. Only the list's own field begins a line in its
 * column: text of several lines is indented in YAML, and has none in JSON.
 */
function* writtenParts(
  { head, field, schema, resource, entries, make }: Made,
  encoding: Encoding,
): Generator<Uint8Array> {
  const isYaml = encoding.mediaType === "application/yaml";
  const none = isYaml ? `${field}: []\n` : `  "${field}": []`;
  const [begin, end] = isYaml ? [`${field}:\n`, ""] : [`  "${field}": [`, "\n  ]"];
  const empty = encode({ ...head, [field]: [] }, encoding, schema).toString();
  const place = empty.indexOf(`\n${none}`) + 1;
  assert(place > 0, "a list has a place for its items");
  if (entries.length === 0) return yield Buffer.from(empty);
  yield Buffer.from(empty.slice(0, place) + begin);
  const around = isYaml ? [begin, end] : [`{\n${begin}`, `${end}\n}`];
  for (let at = 0; at < entries.length; at += WRITTEN_AT_ONCE) {
    const made = make(entries.slice(at, at + WRITTEN_AT_ONCE).map((entry) => entry.view(resource)));
    const inOrder = schema === undefined ? made : (inGoOrder({ [field]: made }, schema) as Json)[field];
    const text = encode({ [field]: inOrder }, encoding).toString();
    yield Buffer.from((isYaml || at === 0 ? "" : ",") + text.slice(around[0]!.length, text.length - around[1]!.length));
  }
  yield Buffer.from(end + empty.slice(place + none.length));
}

type Json = Readonly<Record<string, unknown>>;

/** Behind the message: its encoding and its type, which are empty. */
const ENVELOPE_END = Buffer.from([0x1a, 0, 0x22, 0]);
const MESSAGE_TAG = 0x12;

/** An item stands in a list as the message stands in its envelope, with the same number before it. */
function* protobufParts(
  codec: ProtobufCodec,
  list: object,
  schema: Parameters<ProtobufCodec["encode"]>[1],
  { entries }: ListResponse,
  envelopeOf: (entry: ListResponse["entries"][number]) => Uint8Array,
): Generator<Uint8Array> {
  // The length of all comes first.
  const metadata = codec.encodeMessage(list, schema);
  let length = metadata.length;
  const items: Uint8Array[] = [];
  for (const entry of entries) {
    const envelope = envelopeOf(entry);
    const item = envelope.subarray(messageStart(envelope), envelope.length - ENVELOPE_END.length);
    length += item.length;
    items.push(item);
    yield NOTHING;
  }
  const empty = codec.encode(list, schema);
  yield empty.subarray(0, messageStart(empty));
  yield Buffer.from([MESSAGE_TAG, ...varint(length)]);
  yield metadata;
  yield* items;
  yield ENVELOPE_END;
}

/** Behind the magic number, and the kind and version, which are short. */
const messageStart = (envelope: Uint8Array): number => 6 + envelope[5]!;

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}
