/**
 * Limits the number of requests in flight, reads and writes separately. It replaces priority and fairness where that is disabled.
 * Upstream: pkg/server/filters/maxinflight.go.
 */
import type { ApiRequest, Filter } from "../request.ts";
import { text } from "../request.ts";
import { isLongRunning } from "../request-info.ts";

const READS = new Set(["get", "list", "watch"]);

export function maxInFlight(
  reads: number,
  writes: number,
  terminated?: (request: ApiRequest, code: number) => void,
): Filter {
  let readsNow = 0;
  let writesNow = 0;
  return async (request, next) => {
    // What this process asks of itself is bounded by what it does at once; refusing it would only make it ask again.
    if (request.exchange === undefined || isLongRunning(request.info)) return next(request);
    const isRead = READS.has(request.info.verb) || !request.info.isResourceRequest;
    const full = isRead ? readsNow >= reads : writesNow >= writes;
    if (full && !request.user!.groups.includes("system:masters")) {
      terminated?.(request, 429);
      return text(429, "Too many requests, please try again later.\n", { "retry-after": "1" });
    }
    if (isRead) readsNow++;
    else writesNow++;
    try {
      return await next(request);
    } finally {
      if (isRead) readsNow--;
      else writesNow--;
    }
  };
}
