/**
 * The filter chain for callers in the same process: objects are passed by reference, without encoding. The transport supplies the identity, which is
 * authorized like any other.
 */
import { StatusError } from "../machinery/status.ts";
import type { RestRequest, Transport, WatchEvent } from "../client/transport.ts";
import type { Clock } from "../world/world.ts";
import type { UserInfo } from "./authn/user.ts";
import type { ApiRequest, ApiResponse, Handler, Outcome, RequestBody, WatchResponse } from "./request.ts";
import { requestInfo } from "./request-info.ts";
import { listObject } from "./responses.ts";
import { bookmarkObject, startBookmarks } from "./watch-stream.ts";
import { deadline } from "../world/time.ts";
import { deepFreeze } from "../base/mutable.ts";

export interface InProcessOptions {
  readonly clock: Clock;
  readonly handle: Handler;
  readonly user: UserInfo;
  /** Stands where the User-Agent would: the default name in managed fields. */
  readonly userAgent: string;
}

export function inProcessTransport({ clock, handle, user, userAgent }: InProcessOptions): Transport {
  const closing = new AbortController();
  const run = async (request: RestRequest, signal: AbortSignal): Promise<ApiResponse> => {
    const asked = requestOf(request, user, userAgent, signal);
    const ended = (outcome: Outcome) => {
      for (const end of asked.atEnd) end(outcome);
    };
    try {
      const response = await handle(asked);
      if (response.kind === "watch" && asked.atEnd.length > 0) response.watcher.onEnd(() => ended({ code: 200 }));
      else ended({ code: "status" in response ? response.status : 200 });
      return response;
    } catch (error) {
      ended({ code: error instanceof StatusError ? error.code : 500, error });
      throw error instanceof StatusError
        ? error
        : new StatusError(
            "Unknown",
            error instanceof Error ? error.message : String(error),
            {},
            { code: 500, cause: error },
          );
    }
  };
  return {
    async send(request) {
      request.signal?.throwIfAborted();
      if (request.timeoutMs === undefined) return resultOf(await run(request, request.signal ?? closing.signal));
      using limit = deadline(clock, request.timeoutMs, request.signal);
      return resultOf(await run(request, limit.signal));
    },
    async *watch(request): AsyncGenerator<WatchEvent> {
      request.signal?.throwIfAborted();
      const response = await run(
        { ...request, query: { ...request.query, watch: "true" } },
        request.signal ?? closing.signal,
      );
      if (response.kind !== "watch") throw refusalOf(response);
      yield* events(response, clock, closing.signal);
    },
    async raw(request) {
      const response = await run(request, request.signal ?? closing.signal);
      if (response.kind === "raw") return { status: response.status, body: chunks(response.body) };
      return { status: 200, body: chunks(JSON.stringify(resultOf(response))) };
    },
    async close() {
      closing.abort();
    },
  };
}

function requestOf(request: RestRequest, user: UserInfo, userAgent: string, signal: AbortSignal): ApiRequest {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value === undefined) continue;
    for (const one of typeof value === "string" ? [value] : value) query.append(name, one);
  }
  const body: RequestBody =
    request.body === undefined
      ? { kind: "none" }
      : { kind: "object", value: request.body, contentType: request.patchType ?? "application/json" };
  return {
    method: request.method,
    path: request.path,
    query,
    header: (name) => (name === "user-agent" ? userAgent : undefined),
    headers: () => [],
    info: requestInfo(request.method, request.path, query),
    peer: undefined,
    user,
    signal,
    body: async () => body,
    warnings: [],
    responseHeaders: new Map(),
    atEnd: [],
    audit: undefined,
    exchange: undefined,
  };
}

function resultOf(response: ApiResponse): unknown {
  switch (response.kind) {
    case "object":
      return response.object;
    case "list":
      return listObject(response);
    case "raw":
      if (response.status >= 400) throw refusalOf(response);
      return response.body;
    default:
      throw new StatusError("BadRequest", "the answer is a stream");
  }
}

function refusalOf(response: ApiResponse): StatusError {
  if (response.kind !== "raw") return new StatusError("BadRequest", "the answer is not a watch");
  const message = typeof response.body === "string" ? response.body.trim() : "unknown";
  if (response.status === 404) return new StatusError("NotFound", message);
  if (response.status === 429) return new StatusError("TooManyRequests", message);
  return new StatusError("Unknown", message, {}, { code: response.status });
}

async function* events(response: WatchResponse, clock: Clock, closing: AbortSignal): AsyncGenerator<WatchEvent> {
  const { watcher, resource } = response;
  const onClose = () => watcher.close();
  closing.addEventListener("abort", onClose, { once: true });
  const end = clock.after(response.timeoutMs, onClose);
  const bookmarks = startBookmarks(response, clock);
  try {
    for await (const item of watcher)
      yield item.type === "BOOKMARK"
        ? { type: "BOOKMARK", object: deepFreeze(bookmarkObject(resource, item.revision, item.initialEventsEnd)) }
        : { type: item.type, object: item.entry.view(resource) };
  } finally {
    closing.removeEventListener("abort", onClose);
    end[Symbol.dispose]();
    bookmarks[Symbol.dispose]();
    watcher.close();
  }
}

async function* chunks(body: Uint8Array | string | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (typeof body === "string") yield Buffer.from(body);
  else if (body instanceof Uint8Array) yield body;
  else yield* body;
}
