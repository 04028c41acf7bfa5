/** What browsers are told: whose pages may talk to this server, and to come by HTTPS alone. Upstream: pkg/server/filters/{cors,hsts}.go */
import { RE2JS } from "re2js";
import type { Filter } from "../request.ts";

export interface BrowserOptions {
  /** `--cors-allowed-origins`: regular expressions. */
  readonly origins?: readonly string[];
  /** `--strict-transport-security-directives` */
  readonly transportSecurity?: readonly string[];
}

const ALLOWED = {
  "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE, PATCH",
  "access-control-allow-headers":
    "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since",
  "access-control-expose-headers": "Date",
  "access-control-allow-credentials": "true",
} as const;

export function browserFilters({ origins = [], transportSecurity = [] }: BrowserOptions): readonly Filter[] {
  return [
    ...(origins.length === 0 ? [] : [cors(origins)]),
    ...(transportSecurity.length === 0 ? [] : [strictTransport(transportSecurity)]),
  ];
}

/** Also before authentication: a browser asks with OPTIONS, as nobody, whether it may ask. */
function cors(origins: readonly string[]): Filter {
  const patterns = origins.map((origin) => RE2JS.compile(origin));
  return async (request, next) => {
    const origin = request.header("origin") ?? "";
    if (origin === "" || !patterns.some((pattern) => pattern.matcher(origin).find())) return next(request);
    request.responseHeaders.set("access-control-allow-origin", origin);
    for (const [name, value] of Object.entries(ALLOWED)) request.responseHeaders.set(name, value);
    if (request.method === "OPTIONS") return { kind: "raw", status: 204, headers: {}, body: "" };
    return next(request);
  };
}

function strictTransport(directives: readonly string[]): Filter {
  const value = directives.join("; ");
  return (request, next) => {
    if (request.exchange !== undefined) request.responseHeaders.set("strict-transport-security", value);
    return next(request);
  };
}
