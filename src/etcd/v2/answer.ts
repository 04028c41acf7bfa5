/** Reads v2 requests and writes v2 responses. Upstream: server/etcdserver/api/v2http/http.go, httptypes */
import type { Exchange, Headers } from "../../world/net.ts";
import { HttpError, V2Error } from "./errors.ts";
import { goJson } from "./node.ts";
import { KEYS_ROOT } from "./request.ts";

const JSON_TYPE = { "content-type": "application/json" } as const;
const TEXT = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" } as const;
/** As net/http bounds a form. */
const BODY_BYTES_MAX = 10 * 1024 * 1024;

export function answerJson(exchange: Exchange, status: number, headers: Headers, value: unknown): void {
  exchange.respond(status, { ...JSON_TYPE, ...headers }, `${goJson(value)}\n`);
}

export function answerText(exchange: Exchange, status: number, text: string): void {
  exchange.respond(status, TEXT, `${text}\n`);
}

/** False where it has answered that the method isn't one of these. */
export function allowMethod(exchange: Exchange, ...methods: readonly string[]): boolean {
  if (methods.includes(exchange.request.method)) return true;
  exchange.respond(405, { ...TEXT, allow: methods.join(",") }, "Method Not Allowed\n");
  return false;
}

export function answerError(exchange: Exchange, headers: Headers, error: V2Error | HttpError): void {
  if (error instanceof HttpError)
    return exchange.respond(error.status, { ...JSON_TYPE, ...headers }, goJson({ message: error.message }));
  const index = { "x-etcd-index": String(error.index) };
  answerJson(exchange, error.status, { ...headers, ...index }, error.body(KEYS_ROOT));
}

export async function readBody({ request }: Exchange): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body) {
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) throw new V2Error("invalidForm", "http: POST too large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

export function headerOf({ request }: Exchange, name: string): string {
  const value = request.headers[name];
  return (typeof value === "string" ? value : value?.[0]) ?? "";
}

/** The media type alone. */
export function mediaType(exchange: Exchange): string {
  return headerOf(exchange, "content-type").split(";")[0]!.trim().toLowerCase();
}
