/** Sets the headers that every response has. Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/filters/cachecontrol.go */
import type { ApiRequest, Filter } from "../request.ts";

export const cacheControl: Filter = (request, next) => {
  request.responseHeaders.set("cache-control", "no-cache, private");
  return next(request);
};

/** A filter's refusal is looked at by nobody who guesses types. Upstream: pkg/endpoints/handlers/responsewriters/errors.go (Forbidden). */
export function markForbidden(request: ApiRequest): void {
  request.responseHeaders.set("x-content-type-options", "nosniff");
}
