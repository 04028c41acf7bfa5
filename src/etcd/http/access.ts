/**
 * Which web pages may send requests (`--cors`), and under which host names this server may be addressed without TLS (`--host-whitelist`), which
 * stops pages that make their own name resolve to this machine.
 * Upstream: server/embed/serve.go, pkg/httputil
 */
import type { HttpHandler } from "../../world/net.ts";
import { TEXT_HEADERS, withHeaders } from "./answers.ts";

export interface AccessOptions {
  readonly cors: readonly string[];
  readonly hostWhitelist: readonly string[];
}

export function withAccess({ cors, hostWhitelist }: AccessOptions, inner: HttpHandler): HttpHandler {
  const origins = new Set(cors);
  const hosts = new Set(hostWhitelist);
  return (exchange) => {
    const { headers, encrypted, method } = exchange.request;
    const host = hostName(String(headers["host"] ?? headers[":authority"] ?? ""));
    if (!encrypted && hosts.size > 0 && !hosts.has("*") && !hosts.has(host))
      return exchange.respond(421, TEXT_HEADERS, refusal(host));
    const origin = typeof headers["origin"] === "string" ? headers["origin"] : "";
    const allowed = origins.has("*") ? "*" : origins.has(origin) && origin !== "" ? origin : undefined;
    const answered = allowed === undefined ? exchange : withHeaders(exchange, corsHeaders(allowed));
    if (method === "OPTIONS") return answered.respond(200, {});
    return inner(answered);
  };
}

const corsHeaders = (origin: string) => ({
  "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE",
  "access-control-allow-origin": origin,
  "access-control-allow-headers": "accept, content-type, authorization",
});

/** Without its port. */
function hostName(host: string): string {
  const match = /^\[(.*)\](?::\d+)?$/.exec(host) ?? /^([^:]*)(?::\d+)?$/.exec(host);
  return match?.[1] ?? host;
}

const refusal = (host: string): string =>
  `This etcd does not know the host name of your request (CVE-2018-5702: a web page may have made it).
Serve clients with TLS, or allow the name: --host-whitelist ${JSON.stringify(host)}
`;
