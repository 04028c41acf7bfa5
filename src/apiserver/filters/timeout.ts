/** Requests end within their time, watches and streams excepted. Upstream: pkg/server/filters/timeout.go. */
import { parseDuration } from "../../machinery/meta/time.ts";
import { deferred } from "../../base/deferred.ts";
import { badRequest, StatusError } from "../../machinery/status.ts";
import type { Clock } from "../../world/world.ts";
import type { ApiRequest, ApiResponse, Filter, Handler } from "../request.ts";
import { isLongRunning } from "../request-info.ts";

export function requestTimeout(clock: Clock, defaultMs: number): Filter {
  return (request, next) => {
    if (isLongRunning(request.info)) return next(request);
    const ms = timeoutMs(request.query.get("timeout"), defaultMs);
    // A request of this process ends with its work: it holds nothing that a timer would have to take away.
    if (request.exchange === undefined && ms === defaultMs) return next(request);
    return request.expire === undefined ? withSignal(clock, ms, request, next) : limited(clock, ms, request, next);
  };
}

const late = () => new StatusError("Timeout", "Timeout: request did not complete within the allotted timeout");

function limited(clock: Clock, ms: number, request: ApiRequest, next: Handler): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => {
      const error = late();
      request.expire!(error);
      reject(error);
    });
    const failed = (error: unknown) => {
      timer[Symbol.dispose]();
      reject(error as Error);
    };
    try {
      next(request).then((response) => {
        timer[Symbol.dispose]();
        resolve(response);
      }, failed);
    } catch (error) {
      failed(error);
    }
  });
}

/** For a request that has no signal of its own. */
async function withSignal(clock: Clock, ms: number, request: ApiRequest, next: Handler): Promise<ApiResponse> {
  const limit = new AbortController();
  const onGone = () => limit.abort(request.signal.reason);
  if (request.signal.aborted) onGone();
  else request.signal.addEventListener("abort", onGone, { once: true });
  const timed: ApiRequest = Object.create(request, { signal: { value: limit.signal } }) as ApiRequest;
  const expired = deferred<never>();
  const timer = clock.after(ms, () => {
    const error = late();
    expired.reject(error);
    limit.abort(error);
  });
  try {
    return await Promise.race([next(timed), expired.promise]);
  } finally {
    timer[Symbol.dispose]();
    request.signal.removeEventListener("abort", onGone);
  }
}

/** What the client asks for, as far as the server goes along; zero asks for nothing. */
export function timeoutMs(asked: string | null, defaultMs: number): number {
  if (asked === null || asked === "") return defaultMs;
  try {
    const ms = parseDuration(asked) / 1e6;
    return ms > 0 ? Math.min(defaultMs, ms) : defaultMs;
  } catch (error) {
    throw badRequest(`invalid timeout specified in the request URL - ${(error as Error).message}`);
  }
}
