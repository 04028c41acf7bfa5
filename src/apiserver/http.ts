/**
 * Bytes on one side, requests and answers on the other: content negotiation, compression, watch streams, and errors as a Status.
 * Upstream: pkg/endpoints/handlers (responsewriters, negotiation, watch).
 */
import { gzipSync } from "node:zlib";
import { InvariantError } from "../base/assert.ts";
import { type MediaType, parseAccept } from "../machinery/codec/content.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import type { Resource } from "../machinery/resource.ts";
import { apiVersionOf } from "../machinery/resource.ts";
import { badRequest, StatusError } from "../machinery/status.ts";
import type { Logger } from "../observe/log.ts";
import type { Exchange, Headers, HttpHandler, Peer, ResponseStream } from "../world/net.ts";
import type { Clock } from "../world/world.ts";
import type { Encoding } from "./negotiation.ts";
import { endpointOf, negotiate, statusEncoding } from "./negotiation.ts";
import { GzipWriter } from "./gzip.ts";
import { type JsonList, jsonList, listParts } from "./list-parts.ts";
import { encodeResponse } from "./responses.ts";
import type { AuditTrail } from "./audit/trail.ts";
import type { UserInfo } from "./authn/user.ts";
import type { ApiRequest, ApiResponse, Handler, Outcome, RequestBody } from "./request.ts";
import type { RequestInfo } from "./request-info.ts";
import { requestInfo } from "./request-info.ts";
import { RouteError } from "./routing.ts";
import { DecodeError } from "../machinery/codec/decode.ts";
import { MEDIA_TYPES, PATCH_TYPES } from "../machinery/codec/content.ts";
import { openYamlInGoes } from "../machinery/codec/yaml.ts";
import type { YamlDocument } from "../machinery/codec/yaml-values.ts";
import { pieceOf, PIECE_BYTES, type Reading, SharedLists } from "./shared-lists.ts";
import { Turns } from "./turns.ts";
import { serveWatch } from "./watch-stream.ts";
import { WriteGate } from "./write-gate.ts";

const BODY_MAX = 3 * 1024 * 1024;
const GZIP_FROM = 128 * 1024;
/** A client that hasn't read for so long keeps nobody else waiting. */
const STALLED_MS = 500;
const GIVEN_UP_MS = 60_000;
/** Parts of an answer between two looks at the clock. */
const LOOK_EVERY = 8;
const WARNINGS_MAX = 4096;
const WARNING_MAX = 256;

export interface HttpOptions {
  readonly codec: ProtobufCodec;
  readonly clock: Clock;
  readonly log: Logger;
  /** `CBORServingAndStorage` */
  readonly cbor: boolean;
  /** Told of each request as it comes, and of its answer: code and milliseconds. */
  begun?(request: ApiRequest): void;
  observe(request: ApiRequest, code: number, ms: number): void;
  /** A function that is told of the bytes of each event of a watch. */
  watched?(resource: Resource, request: ApiRequest): (bytes: number, endsList: boolean) => void;
}

interface Options extends HttpOptions {
  readonly turns: Turns;
  readonly lists: SharedLists;
  readonly accepted: Accepted;
}

export function httpHandler(handle: Handler, given: HttpOptions): HttpHandler {
  const options: Options = {
    ...given,
    turns: new Turns(given.clock),
    lists: new SharedLists(),
    accepted: new Accepted(),
  };
  const gate = new WriteGate(given.clock);
  const inTurn = (request: ApiRequest, exchange: Exchange) =>
    READS.has(request.method)
      ? handle(request)
      : gate.pass(Number(exchange.request.headers["content-length"] ?? 0), () => handle(request));
  return async (exchange) => {
    const { url } = exchange.request;
    if (url.includes("%") && BROKEN_ESCAPE.test(url)) return refuseUrl(exchange);
    const started = options.clock.monotonic();
    const request = new ServedRequest(exchange, options);
    options.begun?.(request);
    let code = 200;
    let failure: unknown;
    try {
      code = await answer(request, exchange, await inTurn(request, exchange), options);
    } catch (error) {
      failure = error;
      code = fail(request, exchange, error, options);
    }
    for (const end of request.atEnd) end({ code, ...(failure !== undefined && { error: failure }) });
    options.observe(request, code, options.clock.monotonic() - started);
  };
}

const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** What was made of Accept headers, of which there are few. */
class Accepted {
  readonly #known = new Map<string, readonly MediaType[]>();

  of(header: string): readonly MediaType[] {
    let known = this.#known.get(header);
    if (known === undefined) {
      known = parseAccept(header);
      if (header.length < 200 && this.#known.size < 200) this.#known.set(header, known);
    }
    return known;
  }
}

/** In the path; in a query it is the handlers' to tell. */
const BROKEN_ESCAPE = /^[^?]*%(?![0-9a-fA-F]{2})/;

/** As Go's server does, before anybody else sees the request. */
function refuseUrl(exchange: Exchange): void {
  exchange.respond(400, { "content-type": "text/plain; charset=utf-8" }, "400 Bad Request");
}

/** A class, since there is one for each request: no closures, and the same shape for all. */
class ServedRequest implements ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly info: RequestInfo;
  readonly peer: Peer;
  user: UserInfo | undefined = undefined;
  readonly warnings: string[] = [];
  readonly responseHeaders = new Map<string, string | readonly string[]>();
  readonly atEnd: ((outcome: Outcome) => void)[] = [];
  audit: AuditTrail | undefined = undefined;
  readonly cbor: boolean;
  readonly exchange: Exchange;
  readonly #options: Options;
  readonly #headers: Headers;
  readonly #search: string;
  #query: URLSearchParams | undefined = undefined;
  #body: Promise<RequestBody> | undefined = undefined;
  bodyBytes = 0;
  #limit: AbortController | undefined = undefined;
  #expired: unknown = undefined;

  constructor(exchange: Exchange, options: Options) {
    const { method, url, headers, peer } = exchange.request;
    const mark = url.indexOf("?");
    this.method = method;
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.#search = mark < 0 ? "" : url.slice(mark + 1);
    this.info = requestInfo(method, this.path, this.#search === "" ? undefined : this.query);
    this.peer = peer;
    this.cbor = options.cbor;
    this.exchange = exchange;
    this.#options = options;
    this.#headers = headers;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.#search));
  }

  accepts(): readonly MediaType[] {
    return this.#options.accepted.of(this.header("accept") ?? "");
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return typeof value === "string" ? value : value?.[0];
  }

  headers(name: string): readonly string[] {
    const value = this.#headers[name];
    return value === undefined ? [] : typeof value === "string" ? [value] : value;
  }

  body(): Promise<RequestBody> {
    return (this.#body ??= readBody(this.exchange, this.#options, (bytes) => (this.bodyBytes = bytes)));
  }

  /** Few look at it, and so it is made when somebody does: it ends with the client or with the request's time. */
  get signal(): AbortSignal {
    if (this.#limit === undefined) {
      const limit = (this.#limit = new AbortController());
      const client = this.exchange.request.signal;
      if (this.#expired !== undefined) limit.abort(this.#expired);
      else if (client.aborted) limit.abort(client.reason);
      else client.addEventListener("abort", () => limit.abort(client.reason), { once: true });
    }
    return this.#limit.signal;
  }

  expire(error: StatusError): void {
    this.#expired = error;
    this.#limit?.abort(error);
  }
}

async function readBody(
  { request }: Exchange,
  { codec, cbor, turns }: Options,
  tell: (bytes: number) => void,
): Promise<RequestBody> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of request.body) {
      size += chunk.length;
      if (size > BODY_MAX)
        throw new StatusError("RequestEntityTooLarge", `Request entity too large: limit is ${BODY_MAX}`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw new StatusError("Unknown", (error as Error).message, {}, { code: 500, cause: error });
  }
  tell(size);
  const header = request.headers["content-type"];
  const contentType = (typeof header === "string" ? header : (header?.[0] ?? "")).split(";")[0]!.trim().toLowerCase();
  // A patch of nothing is a patch that can't be read.
  if (size === 0 && request.method !== "PATCH") return { kind: "none", contentType };
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  const yaml = size > LONG_YAML && YAML_TYPES.has(contentType) ? await readYaml(bytes, turns) : undefined;
  return { kind: "bytes", bytes, contentType, codec, cbor, ...(yaml && { yaml }) };
}

/** YAML that is shorter than that is read in no time. */
const LONG_YAML = 64 * 1024;
const YAML_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.yaml, PATCH_TYPES.apply]);

/** Others get their turns while a long text is read. */
async function readYaml(bytes: Uint8Array, turns: Turns): Promise<YamlDocument | DecodeError> {
  const read = openYamlInGoes(bytes);
  for (;;) {
    await turns.next();
    try {
      const document = read(() => turns.isOver);
      if (document !== undefined) return document;
    } catch (error) {
      if (error instanceof DecodeError) return error;
      throw error;
    }
  }
}

async function answer(
  request: ApiRequest,
  exchange: Exchange,
  response: ApiResponse,
  options: Options,
): Promise<number> {
  switch (response.kind) {
    case "taken":
      return 200;
    case "raw": {
      const headers = { ...commonHeaders(request), ...response.headers };
      if (typeof response.body === "string" || response.body instanceof Uint8Array) {
        send(request, exchange, response.status, headers, response.body);
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
        response.kind === "list" ? listParts(response, encoding, options.clock.now(), options.codec) : undefined;
      if (parts !== undefined) {
        const headers = headersOf(request, encoding.mediaType);
        await sendParts(request, exchange, headers, parts, options);
        return 200;
      }
      const body = encodeResponse(response, encoding, options.clock.now(), options.codec);
      const status = response.kind === "list" ? 200 : response.status;
      send(request, exchange, status, headersOf(request, encoding.mediaType), body);
      return status;
    }
  }
}

/** A short answer in one piece; a long one as it is made and read, in turns with others. */
async function sendParts(
  request: ApiRequest,
  exchange: Exchange,
  headers: Record<string, string | readonly string[]>,
  parts: Iterable<Uint8Array>,
  { turns, clock }: Options,
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
      const more = gzip === undefined ? {} : { "content-encoding": "gzip", vary: "Accept-Encoding" };
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
  { turns, clock }: Options,
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

function fail(request: ApiRequest, exchange: Exchange, error: unknown, { log, codec }: HttpOptions): number {
  if (request.signal.aborted && !(error instanceof StatusError)) return 499;
  let status: StatusError;
  if (error instanceof StatusError) status = error;
  // Whatever recurses here does so along what the client sent.
  else if (error instanceof RangeError && /call stack/.test(error.message)) status = badRequest("exceeded max depth");
  else {
    log.error("A request failed", error, { method: request.method, path: request.path });
    if (error instanceof InvariantError || error instanceof TypeError || error instanceof RangeError) {
      send(
        request,
        exchange,
        500,
        { ...commonHeaders(request), "content-type": "text/plain; charset=utf-8" },
        "This request caused apiserver to panic. Look in the logs for details.\n",
      );
      return 500;
    }
    status = new StatusError("Unknown", error instanceof Error ? error.message : String(error), {}, { code: 500 });
  }
  const encoding: Encoding = statusEncoding(request, request.cbor === true && !(error instanceof RouteError));
  const body = encodeResponse(
    { kind: "object", status: status.code, object: orderedStatus(status) },
    encoding,
    0,
    codec,
  );
  const headers = headersOf(request, encoding.mediaType);
  if (status.details.retryAfterSeconds) headers["retry-after"] = String(status.details.retryAfterSeconds);
  try {
    send(request, exchange, status.code, headers, body);
  } catch (already) {
    log.v(2).info("An answer broke off", { path: request.path, error: String(already) });
  }
  return status.code;
}

/** Upstream's order of keys, and `details` even where it is empty if the reason is one of those that carry it. */
export function orderedStatus(error: StatusError): object {
  const { details, reason, code, message } = error.toStatus() as any;
  const { metadata } = error.toStatus();
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata,
    status: "Failure",
    message,
    ...(reason !== undefined && { reason }),
    ...(details !== undefined ? { details } : hasEmptyDetails(error) && { details: {} }),
    code,
  };
}
const EMPTY_DETAILS = new Set(["Forbidden", "NotFound", "MethodNotAllowed", "Timeout"]);
const hasEmptyDetails = (error: StatusError) => error instanceof RouteError || EMPTY_DETAILS.has(error.reason);

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

function warningHeaders(warnings: readonly string[]): readonly string[] {
  const total = warnings.reduce((sum, warning) => sum + [...warning].length, 0);
  const texts = total <= WARNINGS_MAX ? warnings : warnings.map((text) => [...text].slice(0, WARNING_MAX).join(""));
  return texts.map((text) => `299 - "${text.replaceAll(/[\\"]/g, "\\$&").replaceAll(/[\r\n]+/g, " ")}"`);
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
): void {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  request.answeredBytes = bytes.length;
  if (request.method !== "HEAD" && bytes.length > GZIP_FROM && takesGzip(request.header("accept-encoding") ?? "")) {
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
