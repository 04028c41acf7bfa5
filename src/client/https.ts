/**
 * A transport over HTTPS: JSON in both directions, watches as JSON lines. Requests that the server rejects with Retry-After are retried then.
 * Upstream: staging/src/k8s.io/client-go/rest/request.go
 */
import { StatusError, hasReason, type Reason } from "../machinery/status.ts";
import { deepFreeze } from "../base/mutable.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import type { Status } from "../machinery/meta/types.ts";
import type { ClientTls, HttpClient, HttpResponse } from "../world/net.ts";
import { deadline, sleep } from "../world/time.ts";
import type { World } from "../world/world.ts";
import type { RestRequest, Transport, WatchEvent } from "./transport.ts";

export interface HttpsTransportOptions {
  /** `https://host:port`, with a path prefix where the server is behind one. */
  readonly server: string;
  /** PEM texts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly insecureSkipVerify?: boolean;
  /** A bearer token, or where to get the present one. */
  readonly token?: string | (() => string | undefined | Promise<string | undefined>);
  readonly userAgent?: string;
  /** Act as someone else. */
  readonly impersonate?: { readonly user: string; readonly groups?: readonly string[] };
  readonly version?: "1.1" | "2";
}

const RETRIES_MAX = 10;

/** With `shared`, on the connection of another transport to the same server, which stays its owner: for many identities by token. */
export function httpsTransport(
  world: Pick<World, "net" | "clock">,
  options: HttpsTransportOptions,
  shared?: Transport,
): Transport {
  return new HttpsTransport(world, options, shared instanceof HttpsTransport ? shared : undefined);
}

class HttpsTransport implements Transport {
  readonly #world: Pick<World, "net" | "clock">;
  readonly #options: HttpsTransportOptions;
  readonly #http: HttpClient;
  readonly #prefix: string;

  readonly #ownsConnection: boolean;

  constructor(world: Pick<World, "net" | "clock">, options: HttpsTransportOptions, shared?: HttpsTransport) {
    this.#world = world;
    this.#options = options;
    this.#ownsConnection = shared === undefined;
    const { origin, pathname } = new URL(options.server);
    this.#prefix = pathname.replace(/\/+$/, "");
    const tls: ClientTls = {
      ...(options.ca !== undefined && { ca: options.ca }),
      ...(options.cert !== undefined && { cert: options.cert }),
      ...(options.key !== undefined && { key: options.key }),
      ...(options.serverName !== undefined && { serverName: options.serverName }),
      ...(options.insecureSkipVerify !== undefined && { insecureSkipVerify: options.insecureSkipVerify }),
    };
    this.#http =
      shared !== undefined
        ? shared.#http
        : world.net.httpClient({
            base: origin,
            ...(origin.startsWith("https:") && { tls }),
            ...(options.version !== undefined && { version: options.version }),
          });
  }

  async send(request: RestRequest): Promise<unknown> {
    const limit =
      request.timeoutMs === undefined ? undefined : deadline(this.#world.clock, request.timeoutMs, request.signal);
    try {
      const signal = limit?.signal ?? request.signal;
      const response = await this.#exchange(request, signal);
      const answer = parse(await textOf(response.body), response.status);
      if (response.status >= 400) throw failure(answer, response);
      return deepFreeze(withItemTypes(answer));
    } finally {
      limit?.[Symbol.dispose]();
    }
  }

  async *watch(request: RestRequest): AsyncIterable<WatchEvent> {
    const query = { ...request.query, watch: "true" };
    const response = await this.#exchange({ ...request, query }, request.signal);
    if (response.status >= 400) throw failure(parse(await textOf(response.body), response.status), response);
    for await (const line of linesOf(response.body)) {
      const event = parse(line, 500) as { readonly type: string; readonly object: KubeObject };
      if (event.type === "ERROR") throw StatusError.from(event.object as unknown as Status);
      yield deepFreeze(event) as WatchEvent;
    }
  }

  async raw(request: RestRequest): Promise<{ readonly status: number; readonly body: AsyncIterable<Uint8Array> }> {
    const { status, body } = await this.#exchange(request, request.signal);
    return { status, body };
  }

  async close(): Promise<void> {
    if (this.#ownsConnection) await this.#http.close();
  }

  /** Sends until the server takes the request: 429 and 5xx with Retry-After are asked again, as client-go does. */
  async #exchange(request: RestRequest, signal: AbortSignal | undefined): Promise<HttpResponse> {
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    for (let attempt = 0; ; attempt++) {
      const response = await this.#once(request, body, signal);
      const retryAfter = Number(header(response, "retry-after"));
      const refused = response.status === 429 || response.status >= 500;
      if (!refused || !(retryAfter > 0) || attempt >= RETRIES_MAX) return response;
      for await (const _ of response.body); // Frees the stream.
      await sleep(this.#world.clock, retryAfter * 1000, signal);
    }
  }

  async #once(request: RestRequest, body: string | undefined, signal: AbortSignal | undefined): Promise<HttpResponse> {
    const { token, userAgent, impersonate } = this.#options;
    try {
      const bearer = typeof token === "function" ? await token() : token;
      return await this.#http.request({
        method: request.method,
        path: this.#prefix + request.path + queryString(request.query),
        headers: {
          accept: "application/json",
          ...(body !== undefined && { "content-type": request.patchType ?? "application/json" }),
          ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
          ...(userAgent !== undefined && { "user-agent": userAgent }),
          ...(impersonate !== undefined && {
            "impersonate-user": impersonate.user,
            ...(impersonate.groups && { "impersonate-group": impersonate.groups }),
          }),
        },
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
      });
    } catch (cause) {
      if (signal?.aborted || hasReason(cause, "ServiceUnavailable")) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new StatusError(
        "ServiceUnavailable",
        `${request.method} ${this.#options.server}${request.path}: ${why}`,
        {},
        { cause },
      );
    }
  }
}

export function queryString(query: RestRequest["query"]): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (typeof value === "string") parameters.append(name, value);
    else for (const each of value ?? []) parameters.append(name, each);
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

function header(response: HttpResponse, name: string): string | undefined {
  const value = response.headers[name];
  return typeof value === "string" ? value : value?.[0];
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Lines of a stream; a chunk may end anywhere, also inside a character. An unfinished last line is dropped: the connection broke. */
export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  let rest: Uint8Array[] = [];
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...rest, chunk.subarray(start, end)]).toString("utf8");
      rest = [];
      start = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
}

function parse(text: string, status: number): any {
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (status >= 400) return { message: text.trim() };
    throw new StatusError("InternalError", "the server's answer is not JSON", {}, { cause });
  }
}

const REASON_BY_CODE: Readonly<Record<number, Reason>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  406: "NotAcceptable",
  409: "Conflict",
  410: "Gone",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

function failure(answer: any, response: HttpResponse): StatusError {
  if (answer?.kind === "Status") return StatusError.from(answer as Status, response.status);
  const message = typeof answer?.message === "string" && answer.message !== "" ? answer.message : "unknown";
  return new StatusError(REASON_BY_CODE[response.status] ?? "Unknown", message, {}, { code: response.status });
}

/** The items of a typed list travel without their type; here they get it back. */
function withItemTypes(answer: any): unknown {
  if (
    !Array.isArray(answer?.items) ||
    typeof answer.kind !== "string" ||
    !answer.kind.endsWith("List") ||
    answer.kind === "List"
  )
    return answer;
  const kind = answer.kind.slice(0, -"List".length);
  for (const item of answer.items) {
    item.kind ??= kind;
    item.apiVersion ??= answer.apiVersion;
  }
  return answer;
}
