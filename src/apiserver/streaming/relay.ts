/** Forwards requests to kubelets, pods, services and extension servers. Upstream: apimachinery/pkg/util/proxy. */
import { badRequest, StatusError } from "../../machinery/status.ts";
import { relayAnswer, relayUpgrade } from "../../wire/streaming/relay.ts";
import type { ClientTls, Exchange, Headers, HttpClient, HttpResponse } from "../../world/net.ts";
import type { Services } from "../registry/context.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { unreachable } from "../webhook-destination.ts";

export interface Target {
  readonly base: string;
  readonly tls?: ClientTls;
  /** What the client hears when nobody answers. */
  refusal?(words: string, method: string, url: string): StatusError;
  /** Headers that replace the client's credentials. */
  readonly headers?: Headers;
}

export interface RelayOptions {
  /** False where an upgrade of the client's is its own affair. */
  readonly upgrades?: boolean;
  /** Anything but an upgrade is refused. */
  readonly upgradeRequired?: boolean;
  /** Nothing of the client's request is told. */
  readonly anonymous?: boolean;
  /** Headers that tell where it comes from; an upgrade goes without. */
  readonly added?: Headers;
}

/** Who the client is has been found out here, and nobody else needs to know how. */
const CREDENTIALS = /^(authorization|impersonate-.*|x-remote-.*)$/;
/** What belongs to one connection. `te` may say that trailers are welcome. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Passes a request on, whatever it is: an upgrade as a stream of bytes, anything else with its body and answer streamed. */
export async function relay(
  services: Services,
  request: ApiRequest,
  target: Target,
  path: string,
  { upgrades = true, upgradeRequired = false, anonymous = false, added = {} }: RelayOptions = {},
): Promise<ApiResponse> {
  const { base, tls, refusal = outOfReach, headers: said = {} } = target;
  const { exchange } = request;
  const isOne = exchange !== undefined && upgrades && isUpgrade(request);
  if (upgradeRequired && !isOne) throw badRequest("Upgrade request required");
  const client = services.net.httpClient({ base, ...(tls !== undefined && { tls }), version: "1.1" });
  if (isOne) {
    try {
      await passUpgrade(exchange, client, path, { ...forwarded(exchange), ...said });
    } finally {
      await client.close();
    }
    return { kind: "taken" };
  }
  let response;
  try {
    response = await client.request({
      method: anonymous ? "GET" : request.method,
      path,
      headers:
        anonymous || exchange === undefined
          ? { host: hostOf(base), ...said }
          : { ...endToEnd(exchange), ...added, ...said },
      signal: request.signal,
      ...(!anonymous && (await bodyOf(request))),
    });
  } catch (error) {
    await client.close();
    throw refusal(wordsOf(error), request.method, `${base}${path}`);
  }
  return { kind: "raw", status: response.status, headers: answered(response), body: closing(response.body, client) };
}

export const hostOf = (base: string): string => base.replace(/^https?:\/\//, "");

/** The client's headers, credentials left out, with the client's address added to those of the proxies before. */
export function forwarded({ request: { headers, peer } }: Exchange): Record<string, Headers[string]> {
  const told: Record<string, Headers[string]> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !name.startsWith(":") && !CREDENTIALS.test(name)) told[name] = value;
  told["x-forwarded-for"] = [...[told["x-forwarded-for"] ?? []].flat(), peer.address.host].join(", ");
  return told;
}

/** Without what was meant for this server. */
function endToEnd(exchange: Exchange): Record<string, Headers[string]> {
  const told = forwarded(exchange);
  const named = [told["connection"] ?? []]
    .flat()
    .flatMap((one) => one.split(",").map((name) => name.trim().toLowerCase()));
  const trailers = /\btrailers\b/i.test(String(told["te"] ?? ""));
  for (const name of [...HOP_BY_HOP, ...named]) delete told[name];
  if (trailers) told["te"] = "trailers";
  return told;
}

async function bodyOf(
  request: ApiRequest,
): Promise<{ readonly body?: Uint8Array | string | AsyncIterable<Uint8Array> }> {
  const { exchange } = request;
  if (exchange !== undefined && !request.bodyBytes) {
    const { headers, body } = exchange.request;
    if (headers["content-length"] !== undefined) return headers["content-length"] === "0" ? {} : { body };
    return unlessEmpty(body);
  }
  const body = await request.body();
  return {
    ...(body.kind === "bytes" && { body: body.bytes }),
    ...(body.kind === "object" && { body: JSON.stringify(body.value) }),
  };
}

async function unlessEmpty(body: AsyncIterable<Uint8Array>): Promise<{ readonly body?: AsyncIterable<Uint8Array> }> {
  const chunks = body[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) return {};
  const whole = async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  };
  return { body: whole() };
}

function answered({ headers }: HttpResponse): Headers {
  const named = [headers["connection"] ?? []]
    .flat()
    .flatMap((one) => one.split(",").map((name) => name.trim().toLowerCase()));
  const told = Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && !named.includes(name) && name !== "audit-id"),
  );
  // Nothing that passes through here is for caches, whatever they are told besides.
  if (told["cache-control"] !== undefined)
    told["cache-control"] = `no-cache, private, ${String(told["cache-control"])}`;
  return told;
}

/** An answer that is an error goes to the client as it is; any other but the upgrade is none. */
async function passUpgrade(exchange: Exchange, client: HttpClient, path: string, headers: Headers): Promise<void> {
  const hidden = Object.fromEntries(
    Object.keys(exchange.request.headers)
      .filter((name) => CREDENTIALS.test(name))
      .map((name) => [name, undefined]),
  );
  try {
    await relayUpgrade(exchange, client, {
      path,
      headers: { ...hidden, ...headers },
      check: refuseOdd,
    });
  } catch (error) {
    throw notUpgraded(error);
  }
}

/** Passes on what a server said in place of an upgrade. */
export async function passAnswer(exchange: Exchange, response: HttpResponse): Promise<void> {
  refuseOdd(response);
  await relayAnswer(exchange, response);
}

function refuseOdd({ status }: HttpResponse): void {
  if (status < 400)
    throw new StatusError("Unknown", `invalid upgrade response: status code ${status}`, {}, { code: 500 });
}

export function notUpgraded(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  const words = wordsOf(error);
  const said = words === "EOF" ? "unexpected EOF" : words.replace(/^net\/http: .*?: (?=malformed)/, "");
  const whole = words.startsWith("dial tcp") ? `error dialing backend: ${words}` : said;
  return new StatusError("Unknown", whole, {}, { code: 500, cause: error });
}

async function* closing(body: AsyncIterable<Uint8Array>, client: HttpClient): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    await client.close();
  }
}

function isUpgrade(request: ApiRequest): boolean {
  return /\bupgrade\b/i.test(request.header("connection") ?? "");
}

/** In Go's words where they are known. */
export function wordsOf(error: unknown): string {
  const { code, rawPacket } = error as { readonly code?: string; readonly rawPacket?: Uint8Array };
  if (code?.startsWith("HPE_") && rawPacket !== undefined) {
    const [line = ""] = Buffer.from(rawPacket).toString("latin1").split("\r\n");
    return `net/http: HTTP/1.x transport connection broken: malformed HTTP response ${JSON.stringify(line)}`;
  }
  const words = unreachable(error);
  return words === "socket hang up" ? "EOF" : words;
}

function outOfReach(words: string): StatusError {
  return new StatusError("ServiceUnavailable", `error trying to reach service: ${words}`);
}
