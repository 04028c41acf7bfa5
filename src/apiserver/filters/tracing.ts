/** Opens a span for each request. Upstream: pkg/endpoints/filters/traces.go */
import type { ApiRequest, Filter } from "../request.ts";
import type { RequestInfo } from "../request-info.ts";
import type { Tracing } from "../tracing/tracing.ts";

/** Whose traces are gone on with. */
const TRUSTED = ["system:masters", "system:monitoring"];

export function trace(tracing: Tracing): Filter {
  return (request, next) => {
    if (request.exchange === undefined) return next(request);
    const { info, exchange } = request;
    const { httpVersion, url, encrypted, peer } = exchange.request;
    const attributes = {
      "http.request.method": request.method,
      "url.scheme": encrypted ? "https" : "http",
      "url.path": request.path,
      "http.target": url,
      "server.address": request.header("host") ?? request.header(":authority"),
      "network.protocol.version": httpVersion,
      "client.address": peer.address.host,
      "user_agent.original": request.header("user-agent"),
      "audit-id": request.responseHeaders.get("audit-id") as string | undefined,
    };
    const from = {
      traceparent: request.header("traceparent"),
      trusted: request.user!.groups.some((group) => TRUSTED.includes(group)),
    };
    return tracing.serve(spanName(request, info), attributes, from, (span) => {
      request.atEnd.push(({ code }) => {
        span.set({ "http.response.status_code": code });
        if (code >= 500) span.fail("");
        span.end();
      });
      return next(request);
    });
  };
}

/** By what is asked for, not by whom it is asked of: names are many. */
export function spanName({ method }: Pick<ApiRequest, "method">, info: RequestInfo): string {
  if (!info.isResourceRequest) return method;
  const parts = [
    info.apiPrefix,
    ...(info.apiGroup === "" ? [] : [info.apiGroup]),
    info.apiVersion,
    ...(info.namespace === "" ? [] : ["namespaces", "{:namespace}"]),
    info.resource,
    ...(info.name === "" ? [] : ["{:name}"]),
    ...(info.subresource === "" ? [] : [info.subresource]),
  ];
  return `${method} /${parts.join("/")}`;
}
