/**
 * Encodes a list object by object, so that a long list never exists as a whole: the stored bytes of its items are reused, and only what surrounds
 * them is made.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/{json,protobuf}/collections.go
 */
import { schemaOf } from "../api/schemas.ts";
import { escaped } from "../machinery/codec/go-json.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import type { Encoding } from "./negotiation.ts";
import type { ListResponse } from "./request.ts";
import { isCustom } from "./registry/decode.ts";
import { entryJson, entryProtobuf, kindHead, listHead, listObject, listTail, metadataSchema } from "./responses.ts";
import { partialMetadata, rowsOf, tableOf } from "./table.ts";

const NOTHING = Buffer.alloc(0);
const COMMA = Buffer.from(",");
const COMMA_OPEN = Buffer.from(",{");
const OPEN = Buffer.from("{");
/** Rows and metadata are made anew for each list: so many at once. */
const AT_ONCE = 16;

/** Parts without bytes say that something was done. Undefined for a form that is made in one piece. */
export function listParts(
  response: ListResponse,
  encoding: Encoding,
  nowMs: number,
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
  if (mediaType !== "application/json" || pretty) return undefined;
  const apiVersion = `meta.k8s.io/${asVersion}`;
  if (as === "table") {
    const options = { apiVersion, includeObject: encoding.includeObject, nowMs };
    const { rows: _, ...head } = tableOf(resource, [], metadata, options);
    return madeParts(head, "rows", response, (objects) => rowsOf(resource, objects, options));
  }
  if (as === "metadata")
    return madeParts({ kind: "PartialObjectMetadataList", apiVersion, metadata }, "items", response, (objects) =>
      objects.map((object) => partialMetadata(object, apiVersion)),
    );
  return jsonParts(response);
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

function* madeParts(
  head: object,
  field: string,
  { resource, entries }: ListResponse,
  make: (objects: ReturnType<ListResponse["entries"][number]["view"]>[]) => readonly object[],
): Generator<Uint8Array> {
  yield Buffer.from(`${escaped(JSON.stringify(head)).slice(0, -1)},"${field}":[`);
  for (let at = 0; at < entries.length; at += AT_ONCE) {
    const made = make(entries.slice(at, at + AT_ONCE).map((entry) => entry.view(resource)));
    yield Buffer.from(`${at > 0 ? "," : ""}${escaped(JSON.stringify(made)).slice(1, -1)}`);
  }
  yield Buffer.from("]}\n");
}

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
