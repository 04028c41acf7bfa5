/** Where a node's kubelet listens, and requests passed on to it. Upstream: pkg/kubelet/client, pkg/registry/core/node/rest. */
import { StatusError } from "../../machinery/status.ts";
import type { HttpClient } from "../../world/net.ts";
import { relayUpgrade } from "../../wire/streaming/relay.ts";
import type { Services } from "../registry/context.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";

const DEFAULT_PORT = 10250;
/** `--kubelet-preferred-address-types` */
const PREFERRED = ["Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"];
/** What is between the client and this server, and not the kubelet's. */
const DROPPED = new Set([
  "authorization",
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "accept-encoding",
]);

export interface Target {
  readonly base: string;
  readonly serverName?: string;
}

export async function kubeletOf({ cluster }: Services, nodeName: string, port?: number): Promise<Target> {
  const node = cluster.get("nodes", "", nodeName) ?? (await cluster.live("nodes", "", nodeName));
  if (node === undefined)
    throw new StatusError("NotFound", `nodes ${JSON.stringify(nodeName)} not found`, { name: nodeName, kind: "nodes" });
  const addresses: readonly { type: string; address: string }[] = node.status?.addresses ?? [];
  // A host name resolves only where a resolver knows it; an address always leads there.
  const order = ["InternalIP", "ExternalIP", ...PREFERRED];
  const address = order
    .map((type) => addresses.find((one) => one.type === type)?.address)
    .find((found) => found !== undefined);
  if (address === undefined)
    throw new StatusError("Unknown", `no preferred addresses found; known addresses: []`, {}, { code: 500 });
  const number = port ?? (node.status?.daemonEndpoints?.kubeletEndpoint?.Port || DEFAULT_PORT);
  return { base: `https://${address.includes(":") ? `[${address}]` : address}:${number}` };
}

/** Passes a request on, whatever it is: an upgrade as a stream of bytes, anything else with its body and answer streamed. */
export async function relay(
  services: Services,
  request: ApiRequest,
  { base }: Target,
  path: string,
  secure = true,
): Promise<ApiResponse> {
  const { exchange } = request;
  const onNode =
    base.startsWith("https://") && request.info.resource !== "services" && request.info.subresource !== "proxy";
  const tls = services.options.kubelet?.tls ?? { insecureSkipVerify: true };
  const client = services.net.httpClient({ base, ...(secure && { tls }), version: "1.1" });
  if (exchange !== undefined && isUpgrade(request)) {
    try {
      await relayUpgrade(exchange, client, {
        path,
        headers: { host: base.replace(/^https?:\/\//, ""), authorization: undefined },
      });
    } catch (error) {
      throw broken(`error dialing backend: ${wordsOf(error)}`, error);
    } finally {
      await client.close();
    }
    return { kind: "taken" };
  }
  const headers: Record<string, string | readonly string[] | undefined> = {};
  if (exchange !== undefined)
    for (const [name, value] of Object.entries(exchange.request.headers))
      if (!DROPPED.has(name) && !name.startsWith(":")) headers[name] = value;
  const body = await request.body();
  let response;
  try {
    response = await client.request({
      method: request.method,
      path,
      headers,
      signal: request.signal,
      ...(body.kind === "bytes" && { body: body.bytes }),
    });
  } catch (error) {
    await client.close();
    throw onNode
      ? broken(
          `${request.method === "GET" ? "Get" : "Post"} ${JSON.stringify(`${base}${path}`)}: ${wordsOf(error)}`,
          error,
        )
      : new StatusError("ServiceUnavailable", `error trying to reach service: ${wordsOf(error)}`, {}, { cause: error });
  }
  const answered: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers))
    if (!HOP_BY_HOP.has(name) && value !== undefined)
      answered[name] = typeof value === "string" ? value : value.join(", ");
  return { kind: "raw", status: response.status, headers: answered, body: closing(response.body, client) };
}

const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "content-length"]);

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

/** A plain 500 with these words, as upstream has it. */
function broken(words: string, cause: unknown): StatusError {
  return cause instanceof StatusError ? cause : new StatusError("Unknown", words, {}, { code: 500, cause });
}
