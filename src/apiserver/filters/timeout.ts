/** Requests end within their time, watches and streams excepted. Upstream: pkg/server/filters/timeout.go. */
import { deferred } from "../../base/deferred.ts";
import { badRequest, StatusError } from "../../machinery/status.ts";
import type { Clock } from "../../world/world.ts";
import type { ApiRequest, Filter } from "../request.ts";
import { isLongRunning } from "../request-info.ts";

export function requestTimeout(clock: Clock, defaultMs: number): Filter {
  return async (request, next) => {
    if (isLongRunning(request.info)) return next(request);
    const asked = request.query.get("timeout");
    const ms = asked === null || asked === "" ? defaultMs : Math.min(defaultMs, durationMs(asked));
    // A request of this process ends with its work: it holds nothing that a timer would have to take away.
    if (request.exchange === undefined && ms === defaultMs) return next(request);
    const limit = new AbortController();
    const onGone = () => limit.abort(request.signal.reason);
    if (request.signal.aborted) onGone();
    else request.signal.addEventListener("abort", onGone, { once: true });
    const timed: ApiRequest = Object.create(request, { signal: { value: limit.signal } }) as ApiRequest;
    const expired = deferred<never>();
    const timer = clock.after(ms, () => {
      const late = new StatusError("Timeout", "Timeout: request did not complete within the allotted timeout");
      expired.reject(late);
      limit.abort(late);
    });
    try {
      return await Promise.race([next(timed), expired.promise]);
    } finally {
      timer[Symbol.dispose]();
      request.signal.removeEventListener("abort", onGone);
    }
  };
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join("") !== text)
    throw badRequest(`invalid timeout specified in the request URL - time: invalid duration ${JSON.stringify(text)}`);
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit!]!, 0);
}
