/** Headers that every answer has. Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/filters/cachecontrol.go */
import type { Filter } from "../request.ts";

export const cacheControl: Filter = (request, next) => {
  request.responseHeaders.set("cache-control", "no-cache, private");
  return next(request);
};
