/** Forwards requests to kubelets, pods, services and extension servers. Upstream: apimachinery/pkg/util/proxy. */
import { StatusError } from "../../machinery/status.ts";
import { relayUpgrade } from "../../wire/streaming/relay.ts";
import type { ClientTls, HttpClient } from "../../world/net.ts";
import type { Services } from "../registry/context.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";

export interface Target {
  readonly base: string;
  readonly tls?: ClientTls;
  /** What the client hears when nobody answers. */
  refusal?(words: string, method: string, url: string): StatusError;
  /** Headers that replace the client's credentials. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

/** What is between the client and this server, and nobody else's. */
const DROPPED =
  /^(authorization|host|connection|content-length|transfer-encoding|accept-encoding|impersonate-.*|x-remote-.*|:.*)$/;
const OF_UPGRADES = /^(upgrade|sec-websocket-.*)$/;
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "content-length"]);

/** Passes a request on, whatever it is: an upgrade as a stream of bytes, anything else with its body and answer streamed. */
export async function relay(
  services: Services,
  request: ApiRequest,
  { base, tls, refusal = unreachable, headers: said = {} }: Target,
  path: string,
  { upgrades = true }: { readonly upgrades?: boolean } = {},
): Promise<ApiResponse> {
  const { exchange } = request;
  const client = services.net.httpClient({ base, ...(tls !== undefined && { tls }), version: "1.1" });
  if (exchange !== undefined && upgrades && isUpgrade(request)) {
    try {
      const hidden = Object.fromEntries(
        Object.keys(exchange.request.headers)
          .filter((name) => /^(authorization|impersonate-.*|x-remote-.*)$/.test(name))
          .map((name) => [name, undefined]),
      );
      await relayUpgrade(exchange, client, {
        path,
        headers: { ...hidden, host: base.replace(/^https?:\/\//, ""), ...said },
      });
    } catch (error) {
      if (error instanceof StatusError) throw error;
      throw new StatusError("Unknown", `error dialing backend: ${wordsOf(error)}`, {}, { code: 500, cause: error });
    } finally {
      await client.close();
    }
    return { kind: "taken" };
  }
  const headers: Record<string, string | readonly string[] | undefined> = {};
  if (exchange !== undefined)
    for (const [name, value] of Object.entries(exchange.request.headers))
      if (!DROPPED.test(name) && !OF_UPGRADES.test(name)) headers[name] = value;
  const body = await request.body();
  let response;
  try {
    response = await client.request({
      method: request.method,
      path,
      headers: { ...headers, ...said },
      signal: request.signal,
      ...(body.kind === "bytes" && { body: body.bytes }),
      ...(body.kind === "object" && { body: JSON.stringify(body.value) }),
    });
  } catch (error) {
    await client.close();
    throw refusal(wordsOf(error), request.method, `${base}${path}`);
  }
  const answered: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers))
    if (!HOP_BY_HOP.has(name) && value !== undefined)
      answered[name] = typeof value === "string" ? value : value.join(", ");
  return { kind: "raw", status: response.status, headers: answered, body: closing(response.body, client) };
}

async function* closing(body: AsyncIterable<Uint8Array>, client: HttpClient): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    await client.close();
  }
}

function isUpgrade(request: ApiRequest): boolean {
  return /\bupgrade\b/i.test(request.header("connection") ?? "") && request.header("upgrade") !== undefined;
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function unreachable(words: string): StatusError {
  return new StatusError("ServiceUnavailable", `error trying to reach service: ${words}`);
}
