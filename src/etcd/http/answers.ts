/** Plain-text responses as Go's net/http writes them. */
import type { Exchange, Headers } from "../../world/net.ts";

export const JSON_HEADERS = { "content-type": "application/json" } as const;
export const TEXT_HEADERS = {
  "content-type": "text/plain; charset=utf-8",
  "x-content-type-options": "nosniff",
} as const;

export function notFound(exchange: Exchange): void {
  exchange.respond(404, TEXT_HEADERS, "404 page not found\n");
}

/** True where the request is a GET; others are refused. */
export function isGet(exchange: Exchange): boolean {
  if (exchange.request.method === "GET") return true;
  exchange.respond(405, { ...TEXT_HEADERS, allow: "GET" }, "Method Not Allowed\n");
  return false;
}

/** The same exchange, whose answers carry these headers as well. */
export function withHeaders(exchange: Exchange, more: Headers): Exchange {
  return {
    request: exchange.request,
    respond: (status, headers, body) => exchange.respond(status, { ...more, ...headers }, body),
    stream: (status, headers) => exchange.stream(status, { ...more, ...headers }),
    upgrade: (headers) => exchange.upgrade(headers),
  };
}
