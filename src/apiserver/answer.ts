/**
 * Writes the responses of handlers: encoding, compression, long lists in pieces, watch streams, and errors as a Status.
 * Upstream: pkg/endpoints/handlers/responsewriters
 */
import { gzipSync } from "node:zlib";
import { InvariantError } from "../base/assert.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import type { Resource } from "../machinery/resource.ts";
import { apiVersionOf } from "../machinery/resource.ts";
import { badRequest, StatusError } from "../machinery/status.ts";
import type { Logger } from "../observe/log.ts";
import type { Exchange, ResponseStream } from "../world/net.ts";
import type { Clock } from "../world/world.ts";
import { GzipWriter } from "./gzip.ts";
import { LateError } from "./filters/timeout.ts";
import { type JsonList, jsonList, listParts } from "./list-parts.ts";
import type { Encoding } from "./negotiation.ts";
import { endpointOf, negotiate, NoCborError, statusEncoding } from "./negotiation.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";
import { encodeResponse } from "./responses.ts";
import { RouteError } from "./routing.ts";
import { pieceOf, PIECE_BYTES, type Reading, type SharedLists } from "./shared-lists.ts";
import { warningHeaders } from "./warnings.ts";
import { orderedStatus } from "./status-order.ts";
import type { Turns } from "./turns.ts";
import type { Describe, Printing } from "./table.ts";
import { serveWatch } from "./watch-stream.ts";

const PLAIN_TEXT = "text/plain; charset=utf-8";
const GZIP_FROM = 128 * 1024;
const LONG_BYTES = 1024 * 1024;
/** A client that hasn't read for so long keeps nobody else waiting. */
const STALLED_MS = 500;
const GIVEN_UP_MS = 60_000;
/** Parts of an answer between two looks at the clock. */
const LOOK_EVERY = 8;

export interface AnswerOptions {
  readonly codec: ProtobufCodec;
  readonly clock: Clock;
  readonly log: Logger;
  readonly turns: Turns;
  readonly lists: SharedLists;
  readonly describe?: Describe | undefined;
  /** A function that is told of the bytes of each event of a watch. */
  watched?(resource: Resource, request: ApiRequest): (bytes: number, endsList: boolean) => void;
}

function printingOf({ clock, describe }: AnswerOptions): Printing {
  return { nowMs: clock.now(), describe };
}

/** Sends what a handler has answered, and gives the code. */
export async function answer(
  request: ApiRequest,
  exchange: Exchange,
  response: ApiResponse,
  options: AnswerOptions,
): Promise<number> {
  switch (response.kind) {
    case "taken":
      return 200;
    case "raw": {
      const headers = commonHeaders(request);
      for (const [name, value] of Object.entries(response.headers)) if (value !== undefined) headers[name] = value;
      if (typeof response.body === "string" || response.body instanceof Uint8Array) {
        if (
          response.takesGzip === undefined &&
          response.status === 200 &&
          response.body instanceof Uint8Array &&
          isLong(request, response.body)
        ) {
          await sendParts(request, exchange, headers, inPieces(response.body), options);
          return 200;
        }
        const { takesGzip: takes } = response;
        if (takes !== undefined && takes(request.header("accept-encoding") ?? "")) {
          request.answeredBytes = response.body.length;
          const packed = gzipSync(response.body, { level: 1 });
          exchange.respond(response.status, { ...headers, "content-encoding": "gzip" }, packed);
        } else send(request, exchange, response.status, headers, response.body, takes === undefined);
        return response.status;
      }
      const stream = exchange.stream(response.status, headers);
      try {
        for await (const chunk of response.body) if (!stream.write(chunk)) await stream.drained;
        stream.end();
      } catch (error) {
        stream.destroy();
        throw error;
      }
      return response.status;
    }
    case "watch":
      try {
        await serveWatch(request, exchange, response, commonHeaders(request), options);
      } finally {
        response.watcher.close();
      }
      return 200;
    default: {
      const encoding = negotiate(request, endpointOf(request, response));
      const json = response.kind === "list" && request.method !== "HEAD" ? jsonList(response, encoding) : undefined;
      if (json !== undefined && response.kind === "list") {
        const headers = { ...commonHeaders(request), "content-type": encoding.mediaType };
        const { source } = response;
        const key = source && `${apiVersionOf(response.resource)} ${source.prefix}`;
        const reading = source && options.lists.read(source.state, key!, json);
        try {
          await sendJsonList(request, exchange, headers, json, reading, options);
        } finally {
          reading?.[Symbol.dispose]();
        }
        return 200;
      }
      const parts =
        response.kind === "list" ? listParts(response, encoding, printingOf(options), options.codec) : undefined;
      if (parts !== undefined) {
        const headers = headersOf(request, encoding.mediaType);
        await sendParts(request, exchange, headers, parts, options);
        return 200;
      }
      const body = encodeResponse(response, encoding, printingOf(options), options.codec);
      const status = response.kind === "list" ? 200 : response.status;
      send(request, exchange, status, headersOf(request, encoding.mediaType), body);
      return status;
    }
  }
}

/** Megabytes are compressed in turns with others. */
const isLong = (request: ApiRequest, body: Uint8Array): boolean =>
  body.length > LONG_BYTES && request.method !== "HEAD" && takesGzip(request.header("accept-encoding") ?? "");

function* inPieces(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
}

/** A short answer in one piece; a long one as it is made and read, in turns with others. */
async function sendParts(
  request: ApiRequest,
  exchange: Exchange,
  headers: Record<string, string | readonly string[]>,
  parts: Iterable<Uint8Array>,
  { turns, clock }: AnswerOptions,
): Promise<void> {
  // The time of a request is over when its list is there; its client's isn't.
  const { signal } = exchange.request;
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  let stream: ResponseStream | undefined;
  let gzip: GzipWriter | undefined;
  const write = (isLast: boolean): boolean => {
    if (stream === undefined) {
      if (takesGzip(request.header("accept-encoding") ?? "")) gzip = new GzipWriter();
      const more = gzip && { "content-encoding": "gzip", vary: varying(headers["vary"]) };
      stream = exchange.stream(200, { ...headers, ...more });
    }
    const piece = Buffer.concat(waiting, bytes);
    waiting = [];
    bytes = 0;
    return stream.write(gzip === undefined ? piece : gzip.write(piece, isLast));
  };
  await turns.next();
  let sinceLooked = 0;
  for (const part of parts) {
    if (part.length > 0) waiting.push(part);
    bytes += part.length;
    if (bytes > PIECE_BYTES && request.method !== "HEAD") {
      if (!write(false)) {
        if (!(await drained(stream!, request, clock))) return;
      } else if (!turns.isOver) continue;
    } else if (++sinceLooked < LOOK_EVERY || !turns.isOver) continue;
    sinceLooked = 0;
    await turns.next();
    if (signal.aborted) return;
  }
  if (stream === undefined) return send(request, exchange, 200, headers, Buffer.concat(waiting, bytes));
  write(true);
  stream.end();
}

/** The same for a list in JSON, whose items others may be reading too. */
async function sendJsonList(
  request: ApiRequest,
  exchange: Exchange,
  headers: Record<string, string | readonly string[]>,
  list: JsonList,
  reading: Reading | undefined,
  { turns, clock }: AnswerOptions,
): Promise<void> {
  const { signal } = exchange.request;
  await turns.next();
  const piece = (number: number, from: number) => reading?.piece(number, from) ?? pieceOf(list, from);
  const first = piece(0, 0);
  if (first.to === list.count && first.bytes.length <= PIECE_BYTES)
    return send(request, exchange, 200, headers, Buffer.concat([list.head, first.bytes, list.tail]));
  const gzip = takesGzip(request.header("accept-encoding") ?? "") ? new GzipWriter() : undefined;
  const packing = gzip && { "content-encoding": "gzip", vary: "Accept-Encoding" };
  const stream = exchange.stream(200, { ...headers, ...packing });
  stream.write(gzip === undefined ? list.head : gzip.write(list.head, false));
  for (let number = 0, from = 0; from < list.count; number++) {
    const next = number === 0 ? first : piece(number, from);
    from = next.to;
    const isTaken = stream.write(gzip === undefined ? next.bytes : gzip.write(next.bytes, false, next.packed));
    if (!isTaken) {
      if (!(await drained(stream, request, clock))) return;
    } else if (!turns.isOver) continue;
    await turns.next();
    if (signal.aborted) return;
  }
  stream.write(gzip === undefined ? list.tail : gzip.write(list.tail, true));
  stream.end();
}

/** Until the client has read on. False where it is given up: it has read nothing for a minute. */
async function drained(stream: ResponseStream, request: ApiRequest, clock: Clock): Promise<boolean> {
  let isGivenUp = false;
  const stalled = clock.after(STALLED_MS, () => request.onStall?.());
  const deaf = clock.after(GIVEN_UP_MS, () => {
    isGivenUp = true;
    stream.destroy();
  });
  await stream.drained;
  stalled[Symbol.dispose]();
  deaf[Symbol.dispose]();
  return !isGivenUp;
}

/** Sends what went wrong as a Status, and gives the code. */
export function fail(request: ApiRequest, exchange: Exchange, error: unknown, options: AnswerOptions): number {
  if (request.signal.aborted && !(error instanceof StatusError)) return 499;
  let status: StatusError;
  if (error instanceof StatusError) status = error;
  // Whatever recurses here does so along what the client sent.
  else if (error instanceof RangeError && /call stack/.test(error.message)) status = badRequest("exceeded max depth");
  else {
    options.log.error("A request failed", error, { method: request.method, path: request.path });
    if (error instanceof InvariantError || error instanceof TypeError || error instanceof RangeError) {
      send(
        request,
        exchange,
        500,
        { ...commonHeaders(request), "content-type": PLAIN_TEXT },
        "This request caused apiserver to panic. Look in the logs for details.\n",
      );
      return 500;
    }
    status = new StatusError("Unknown", error instanceof Error ? error.message : String(error), {}, { code: 500 });
  }
  if (error instanceof LateError) {
    const { kind: _, apiVersion: __, ...bare } = orderedStatus(status) as Record<string, unknown>;
    send(request, exchange, status.code, headersOf(request, PLAIN_TEXT), `${JSON.stringify(bare)}\n`);
    return status.code;
  }
  const encoding: Encoding = statusEncoding(
    request,
    request.cbor === true && status.code !== 401 && !(error instanceof RouteError || error instanceof NoCborError),
  );
  const body = encodeResponse(
    { kind: "object", status: status.code, object: orderedStatus(status) },
    encoding,
    printingOf(options),
    options.codec,
  );
  const headers = headersOf(request, encoding.mediaType);
  if (status.details.retryAfterSeconds) headers["retry-after"] = String(status.details.retryAfterSeconds);
  try {
    send(request, exchange, status.code, headers, body);
  } catch (already) {
    options.log.v(2).info("An answer broke off", { path: request.path, error: String(already) });
  }
  return status.code;
}

function commonHeaders(request: ApiRequest): Record<string, string | readonly string[]> {
  const headers: Record<string, string | readonly string[]> = Object.fromEntries(request.responseHeaders);
  if (request.warnings.length > 0) headers["warning"] = warningHeaders(request.warnings);
  return headers;
}

/** In the order in which they are sent, so that nobody has to sort them. */
function headersOf(request: ApiRequest, contentType: string): Record<string, string | readonly string[]> {
  const headers: Record<string, string | readonly string[]> = {};
  let isTyped = false;
  for (const [name, value] of request.responseHeaders) {
    if (!isTyped && name >= "content-type") {
      isTyped = true;
      headers["content-type"] = contentType;
    }
    if (name !== "content-type") headers[name] = value;
  }
  if (!isTyped) headers["content-type"] = contentType;
  if (request.warnings.length > 0) headers["warning"] = warningHeaders(request.warnings);
  return headers;
}

/** Upstream knows the bare word only: with a quality it is another one. */
function takesGzip(header: string): boolean {
  return header.split(",").some((token) => token.trim() === "gzip");
}

function send(
  request: ApiRequest,
  exchange: Exchange,
  status: number,
  headers: Record<string, string | readonly string[]>,
  body: Uint8Array | string,
  mayPack = true,
): void {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  request.answeredBytes = bytes.length;
  const isLong = mayPack && request.method !== "HEAD" && bytes.length > GZIP_FROM;
  if (isLong && takesGzip(request.header("accept-encoding") ?? "")) {
    exchange.respond(
      status,
      { ...headers, "content-encoding": "gzip", vary: varying(headers["vary"]) },
      gzipSync(bytes, { level: 1 }),
    );
    return;
  }
  exchange.respond(status, headers, bytes);
}

/** What the answer depends on, and now on the client's encodings too. */
function varying(vary: string | readonly string[] | undefined): string {
  const named = vary === undefined ? "" : String(vary);
  return named === "" ? "Accept-Encoding" : named.includes("Accept-Encoding") ? named : `Accept-Encoding, ${named}`;
}
