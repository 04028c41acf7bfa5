/** Turns HTTP requests into API requests and passes them to the filter chain; `answer.ts` writes the responses. */
import { type MediaType, parseAccept } from "../machinery/codec/content.ts";
import { StatusError } from "../machinery/status.ts";
import type { Exchange, Headers, HttpHandler, Peer } from "../world/net.ts";
import { answer, type AnswerOptions, fail } from "./answer.ts";
import type { AuditTrail } from "./audit/trail.ts";
import type { UserInfo } from "./authn/user.ts";
import type { ApiRequest, Handler, Outcome, RequestBody } from "./request.ts";
import type { RequestInfo } from "./request-info.ts";
import { decodedPath, requestInfo } from "./request-info.ts";
import { DecodeError } from "../machinery/codec/decode.ts";
import { MEDIA_TYPES, PATCH_TYPES } from "../machinery/codec/content.ts";
import { openYamlInGoes } from "../machinery/codec/yaml.ts";
import type { YamlDocument } from "../machinery/codec/yaml-values.ts";
import { SharedLists } from "./shared-lists.ts";
import type { Turns } from "./turns.ts";
import { WriteGate } from "./write-gate.ts";

const BODY_MAX = 3 * 1024 * 1024;

export interface HttpOptions extends Omit<AnswerOptions, "lists"> {
  /** `CBORServingAndStorage` */
  readonly cbor: boolean;
  /** Told of each request as it comes, and of its answer: code and milliseconds. */
  begun?(request: ApiRequest): void;
  observe(request: ApiRequest, code: number, ms: number): void;
}

interface Options extends HttpOptions, AnswerOptions {
  readonly accepted: Accepted;
}

export function httpHandler(handle: Handler, given: HttpOptions): HttpHandler {
  const options: Options = {
    ...given,
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

/** A pair with a semicolon in it counts for nothing. Upstream: net/url (ParseQuery) */
function withoutSemicolons(search: string): string {
  if (!search.includes(";")) return search;
  return search
    .split("&")
    .filter((pair) => !pair.includes(";"))
    .join("&");
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
  readonly rawPath: string;
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
    this.rawPath = mark < 0 ? url : url.slice(0, mark);
    this.path = decodedPath(this.rawPath);
    this.#search = mark < 0 ? "" : url.slice(mark + 1);
    this.info = requestInfo(method, this.rawPath, this.#search === "" ? undefined : this.query);
    this.peer = peer;
    this.cbor = options.cbor;
    this.exchange = exchange;
    this.#options = options;
    this.#headers = headers;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(withoutSemicolons(this.#search)));
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
