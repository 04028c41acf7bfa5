/** Writes a watch: JSON lines in a chunked response, or messages over a WebSocket. An event is encoded once for all watchers of the same encoding. */
import { schemaOf } from "../api/schemas.ts";
import { escaped, goJson } from "../machinery/codec/go-json.ts";
import { encodeCbor, encodeCborEvent } from "../machinery/codec/cbor.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { StatusError } from "../machinery/status.ts";
import type { Exchange, Headers, ResponseStream } from "../world/net.ts";
import { acceptWebSocket, isWebSocketRequest, requestedProtocols } from "../wire/websocket/websocket.ts";
import type { Clock } from "../world/world.ts";
import { apiVersionOf } from "../machinery/resource.ts";
import type { Resource } from "../machinery/resource.ts";
import { zeroOf } from "../machinery/schema/zero.ts";
import { orderedStatus } from "./status-order.ts";
import type { Encoding } from "./negotiation.ts";
import { endpointOf, negotiate } from "./negotiation.ts";
import type { ApiRequest, WatchResponse } from "./request.ts";
import { entryCbor, entryProtobuf, metadataSchema } from "./responses.ts";
import type { Entry } from "./storage/entry.ts";
import type { CacheWatcher, EventType, WatchItem } from "./storage/cache-watcher.ts";
import { type Describe, partialMetadata, tableOf } from "./table.ts";
import type { Turns } from "./turns.ts";

const CBOR = "application/cbor";
const PROTOBUF = "application/vnd.kubernetes.protobuf";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const BOOKMARK_EVERY_MS = 60_000;

export interface WatchOptions {
  readonly clock: Clock;
  readonly codec: ProtobufCodec;
  readonly turns: Turns;
  readonly describe?: Describe | undefined;
  /** A function that is told of the bytes of each event, and whether it ends the list that the watch began with. */
  watched?(resource: Resource, request: ApiRequest): (bytes: number, endsList: boolean) => void;
}

export async function serveWatch(
  request: ApiRequest,
  exchange: Exchange,
  response: WatchResponse,
  headers: Headers,
  options: WatchOptions,
): Promise<void> {
  const { clock, codec, turns, watched } = options;
  const encoding = negotiate(request, endpointOf(request, response));
  const { watcher, resource } = response;
  if (isWebSocketRequest(exchange)) return serveWebSocket(exchange, response, encoding, options);
  const contentType = contentTypeOf(encoding);
  const stream = exchange.stream(200, { ...headers, "content-type": contentType, "transfer-encoding": undefined });
  const end = clock.after(response.timeoutMs, () => watcher.close());
  const bookmarks = startBookmarks(response, clock);
  try {
    await pump(watcher, stream, told(encoder(resource, encoding, options), watched?.(resource, request)), turns);
  } catch (error) {
    if (request.signal.aborted) return;
    if (error instanceof NoList) return stream.end();
    const status =
      error instanceof StatusError
        ? error
        : new StatusError("InternalError", String((error as Error).message ?? error));
    stream.write(errorEvent(orderedStatus(status), encoding, codec));
    stream.end();
  } finally {
    end[Symbol.dispose]();
    bookmarks[Symbol.dispose]();
  }
}

/** An event's object can't be the list that was asked for, and the watch ends without a word. */
class NoList extends Error {}

function told(encode: (item: WatchItem) => Uint8Array, tell: ((bytes: number, endsList: boolean) => void) | undefined) {
  if (tell === undefined) return encode;
  return (item: WatchItem) => {
    const event = encode(item);
    tell(event.length, item.type === "BOOKMARK" && item.initialEventsEnd);
    return event;
  };
}

/** Of what only this watch is told, as the state that it begins with, so much before others have their turns. */
const TURN_BYTES = 64 * 1024;

/**
 * From a watcher to its client, as fast as that one reads, until the watch is over. No promise an event: a thousand watchers are told of each change.
 * A client who doesn't read is cut off when the watcher has had enough of it.
 */
function pump(
  watcher: CacheWatcher,
  stream: ResponseStream,
  encode: (item: WatchItem) => Uint8Array,
  turns: Turns,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let items: readonly WatchItem[] = [];
    let at = 0;
    let blocked = false;
    const goOn = () => {
      blocked = false;
      run();
    };
    const inTurn = () => {
      blocked = true;
      void turns.next().then(goOn);
    };
    const take = (taken: readonly WatchItem[]) => {
      items = taken;
      at = 0;
      goOn();
    };
    const run = () => {
      try {
        for (let ownBytes = 0; ;) {
          if (at < items.length) {
            const item = items[at++]!;
            const bytes = encode(item);
            // What waits for a slow client are bytes that all watchers share.
            if (!stream.write(bytes)) {
              blocked = true;
              stream.drained.then(goOn, reject);
              return;
            }
            if (item.type === "BOOKMARK" || item.source === undefined) ownBytes += bytes.length;
            if (ownBytes >= TURN_BYTES && at < items.length) return inTurn();
            continue;
          }
          if (watcher.overrun) return cutOff();
          const taken = watcher.take();
          if (taken instanceof Promise) {
            blocked = true;
            taken.then(take, reject);
            return;
          }
          if (taken.length === 0) {
            if (!watcher.closed) return watcher.whenMore(run);
            if (watcher.error !== undefined) throw watcher.error;
            stream.end();
            return resolve();
          }
          items = taken;
          at = 0;
        }
      } catch (error) {
        reject(error as Error);
      }
    };
    const cutOff = () => {
      stream.destroy();
      resolve();
    };
    watcher.onEnd(() => {
      if (blocked && watcher.overrun) cutOff();
    });
    run();
  });
}

/** Go names the type of a stream only where it is not JSON's; CBOR has a name for it. */
function contentTypeOf({ mediaType }: Encoding): string {
  if (mediaType === CBOR) return `${CBOR}-seq`;
  return mediaType === "application/json" ? mediaType : `${mediaType};stream=watch`;
}

function errorEvent(status: object, { mediaType }: Encoding, codec: ProtobufCodec): Uint8Array {
  if (mediaType === PROTOBUF) return codec.encodeWatchEvent("ERROR", codec.encode(status, schemaOf(`${META}Status`)));
  if (mediaType === CBOR) return encodeCborEvent("ERROR", encodeCbor(status));
  return Buffer.from(`${escaped(JSON.stringify({ type: "ERROR", object: status }))}\n`);
}

const BEARER = "base64url.bearer.authorization.k8s.io.";

/** A message an event: what browsers can read. */
async function serveWebSocket(
  exchange: Exchange,
  response: WatchResponse,
  encoding: Encoding,
  options: WatchOptions,
): Promise<void> {
  const { clock, codec } = options;
  const { watcher, resource } = response;
  // The token that travels as a subprotocol is nothing to agree on.
  const offered = requestedProtocols(exchange.request.headers).filter((name) => !name.startsWith(BEARER));
  const socket = acceptWebSocket(exchange, offered);
  if (socket === undefined) return;
  const end = clock.after(response.timeoutMs, () => watcher.close());
  const bookmarks = startBookmarks(response, clock);
  const encode = encoder(resource, encoding, options);
  const isText = encoding.mediaType === "application/json";
  // The message is a frame already: neither a length before it nor a line's end after it.
  const message = (event: Uint8Array): Uint8Array | string =>
    isText ? Buffer.from(event).toString() : encoding.mediaType === PROTOBUF ? event.subarray(4) : event;
  void socket.closed.then(() => watcher.close());
  try {
    for await (const item of watcher) await socket.send(message(encode(item)));
  } catch (error) {
    const status =
      error instanceof StatusError
        ? error
        : new StatusError("InternalError", String((error as Error).message ?? error));
    await socket.send(message(errorEvent(orderedStatus(status), encoding, codec))).catch(() => {});
  } finally {
    end[Symbol.dispose]();
    bookmarks[Symbol.dispose]();
    socket.close();
  }
}

/** A bookmark a minute, so that a quiet watch can be taken up again where it is. */
export function startBookmarks({ watcher, bookmarks, revision }: WatchResponse, clock: Clock): Disposable {
  if (!bookmarks) return { [Symbol.dispose]() {} };
  let timer: Disposable;
  const next = () => {
    timer = clock.after(BOOKMARK_EVERY_MS, () => {
      watcher.push({ type: "BOOKMARK", revision: revision(), initialEventsEnd: false });
      next();
    });
  };
  next();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

export function bookmarkObject(resource: Resource, revision: number, initialEventsEnd: boolean): any {
  return {
    ...(resource.schema.name !== undefined && zeroOf(resource.schema)),
    kind: resource.kind,
    apiVersion: apiVersionOf(resource),
    metadata: {
      resourceVersion: String(revision),
      ...(initialEventsEnd && { annotations: { "k8s.io/initial-events-end": "true" } }),
    },
  };
}

function encoder(
  resource: Resource,
  encoding: Encoding,
  { clock, codec, describe }: WatchOptions,
): (item: WatchItem) => Uint8Array {
  if (encoding.asList)
    return () => {
      throw new NoList();
    };
  if (encoding.mediaType === PROTOBUF && encoding.as === "metadata") {
    const schema = metadataSchema("PartialObjectMetadata", encoding.asVersion);
    return (item) => codec.encodeWatchEvent(item.type, codec.encode(metadataOf(resource, encoding, item), schema));
  }
  if (encoding.mediaType === CBOR) {
    if (encoding.as === "metadata")
      return (item) => encodeCborEvent(item.type, encodeCbor(metadataOf(resource, encoding, item)));
    const keys = keysOf(resource, "cbor");
    return (item) => {
      if (item.type === "BOOKMARK")
        return encodeCborEvent(
          "BOOKMARK",
          encodeCbor(bookmarkObject(resource, item.revision, item.initialEventsEnd), resource.schema),
        );
      const { type, entry, source } = item;
      const known = source?.known(keys[type]);
      if (known !== undefined) return known;
      const make = () => encodeCborEvent(type, entryCbor(resource, entry));
      return source === undefined ? make() : source.bytes(keys[type], make);
    };
  }
  if (encoding.mediaType === PROTOBUF) {
    const keys = keysOf(resource, "protobuf");
    return (item) => {
      if (item.type === "BOOKMARK") {
        const bookmark = bookmarkObject(resource, item.revision, item.initialEventsEnd);
        return codec.encodeWatchEvent("BOOKMARK", codec.encode(bookmark, resource.schema));
      }
      const { type, entry, source } = item;
      const known = source?.known(keys[type]);
      if (known !== undefined) return known;
      const make = () => codec.encodeWatchEvent(type, entryProtobuf(resource, entry, codec));
      return source === undefined ? make() : source.bytes(keys[type], make);
    };
  }
  if (encoding.as === "object") {
    const keys = keysOf(resource, "json");
    return (item) => {
      if (item.type === "BOOKMARK")
        return line(
          "BOOKMARK",
          goJson(bookmarkObject(resource, item.revision, item.initialEventsEnd), resource.schema),
        );
      const { type, entry, source } = item;
      const known = source?.known(keys[type]);
      if (known !== undefined) return known;
      const make = () => jsonEvent(type, resource, entry);
      return source === undefined ? make() : source.bytes(keys[type], make);
    };
  }
  // Headers of a table travel with the first event only.
  let first = true;
  const apiVersion = `meta.k8s.io/${encoding.asVersion}`;
  return (item) => {
    // A bookmark is a row too, of an object that has nothing but its metadata.
    const object =
      item.type === "BOOKMARK"
        ? bookmarkObject(resource, item.revision, item.initialEventsEnd)
        : item.entry.view(resource);
    if (encoding.as === "metadata") return line(item.type, JSON.stringify(partialMetadata(object, apiVersion)));
    const table: any = tableOf(resource, [object], undefined, {
      apiVersion,
      includeObject: encoding.includeObject,
      nowMs: clock.now(),
      describe,
    });
    if (!first) table.columnDefinitions = null;
    first = false;
    return line(item.type, JSON.stringify(table));
  };
}

function metadataOf(resource: Resource, { asVersion }: Encoding, item: WatchItem): object {
  const object =
    item.type === "BOOKMARK"
      ? bookmarkObject(resource, item.revision, item.initialEventsEnd)
      : item.entry.view(resource);
  return partialMetadata(object, `meta.k8s.io/${asVersion}`);
}

/** Under what an event keeps its bytes. The type is part of it: a watcher with a selector may see another one. */
function keysOf({ group, version }: Resource, encoding: string): Readonly<Record<EventType, string>> {
  const key = (type: EventType) => `${type}:${group}/${version}:${encoding}`;
  return { ADDED: key("ADDED"), MODIFIED: key("MODIFIED"), DELETED: key("DELETED") };
}

/** The object's own bytes are a part of the event's, so that there are not two of them. */
function jsonEvent(type: EventType, resource: Resource, entry: Entry): Uint8Array {
  const head = `{"type":"${type}","object":`;
  const known = entry.knownBytes(resource, "json");
  if (known !== undefined) return Buffer.concat([Buffer.from(head), known, END]);
  const event = Buffer.from(`${head}${goJson(entry.view(resource), resource.schema)}}\n`);
  entry.setBytes(resource, "json", event.subarray(head.length, event.length - END.length));
  return event;
}
const END = Buffer.from("}\n");
const line = (type: string, json: string): Uint8Array => Buffer.from(`{"type":"${type}","object":${escaped(json)}}\n`);
