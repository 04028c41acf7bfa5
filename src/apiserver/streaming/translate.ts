/**
 * Version 5 of remote commands, and SPDY in a WebSocket: for kubelets that don't declare to know them, both become plain SPDY on the way.
 * Upstream: staging/src/k8s.io/apiserver/pkg/util/proxy/{streamtranslator,streamtunnel}.go
 */
import type { Status } from "../../machinery/meta/types.ts";
import { StatusError } from "../../machinery/status.ts";
import { dialRemoteCommand, UpgradeRefused, type RemoteCommand } from "../../wire/streaming/dial-remote-command.ts";
import { exitCodeOf, exitStatus, failureStatus, SUCCESS, V5 } from "../../wire/streaming/protocols.ts";
import { joinStreams, relayRemoteCommand } from "../../wire/streaming/relay.ts";
import { webSocketStreams, type RemoteCommandOptions } from "../../wire/streaming/remote-command.ts";
import {
  acceptWebSocket,
  isWebSocketRequest,
  requestedProtocols,
  webSocketBytes,
} from "../../wire/websocket/websocket.ts";
import type { Headers } from "../../world/net.ts";
import type { Services } from "../registry/context.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { Kubelet } from "./kubelet.ts";
import { forwarded, hostOf, notUpgraded, passAnswer, wordsOf } from "./relay.ts";

export interface StreamRequest {
  readonly services: Services;
  readonly request: ApiRequest;
  readonly kubelet: Kubelet;
  readonly path: string;
}

const LAST_WORDS_MS = 1000;
const TUNNEL = "SPDY/3.1+";
const isTunnelled = (protocol: string) => protocol.startsWith(TUNNEL) && protocol.endsWith(".k8s.io");

export const isVersion5 = ({ exchange }: ApiRequest): boolean =>
  exchange !== undefined && isWebSocketRequest(exchange) && requestedProtocols(exchange.request.headers).includes(V5);

export const isTunnel = ({ exchange }: ApiRequest): boolean =>
  exchange !== undefined &&
  isWebSocketRequest(exchange) &&
  requestedProtocols(exchange.request.headers).some(isTunnelled);

/** The client is answered first: what goes wrong behind it is told on the channel for errors. */
export async function translate(
  { services, request, kubelet, path }: StreamRequest,
  options: RemoteCommandOptions,
): Promise<ApiResponse> {
  const socket = acceptWebSocket(request.exchange!, [V5]);
  if (socket === undefined) return { kind: "taken" };
  const streams = webSocketStreams(socket, options);
  await using http = clientOf(services, kubelet);
  // A client that is gone already may still have said something.
  const patience = new AbortController();
  const onGone = () => void services.clock.after(LAST_WORDS_MS, () => patience.abort(streams.signal.reason));
  streams.signal.addEventListener("abort", onGone, { once: true });
  let remote: RemoteCommand;
  try {
    remote = await dialRemoteCommand(http, services.random, {
      ...options,
      path,
      headers: { host: hostOf(kubelet.base) },
      over: "spdy",
      signal: patience.signal,
    });
  } catch (error) {
    await streams.finish(internal(await whyNot(error, kubelet, path)));
    return { kind: "taken" };
  }
  streams.signal.removeEventListener("abort", onGone);
  await relayRemoteCommand(streams, remote, { clock: services.clock, translate: toldAnew });
  return { kind: "taken" };
}

const clientOf = (services: Services, { base, tls }: Kubelet) =>
  services.net.httpClient({ base, ...(tls !== undefined && { tls }), version: "1.1" });

const internal = (words: string): Status => ({
  ...failureStatus(words),
  message: `Internal error occurred: ${words}`,
});

async function whyNot(error: unknown, { base }: Kubelet, path: string): Promise<string> {
  const asking = (url: string, why: string) => `error sending request: Post ${JSON.stringify(url)}: ${why}`;
  if (!(error instanceof UpgradeRefused))
    return asking(`${base}${path}`, wordsOf(error).replace(/^net\/http: .*?: (?=malformed)/, ""));
  const { status, headers, body } = error.response;
  if (status >= 300 && status < 400 && headers["location"] !== undefined)
    return asking(new URL(String(headers["location"]), base).href, "redirect not allowed");
  let words = "";
  for await (const chunk of body) words += Buffer.from(chunk).toString();
  return `unable to upgrade connection: ${words.trim()}`;
}

/** A result as upstream's client understands it, and as its server then tells it. */
function toldAnew(status: Status): Status {
  if (status.status === "Success") return SUCCESS;
  if (status.status !== "Failure") return internal("error stream protocol error: unknown error");
  if (status.reason !== "NonZeroExitCode") return internal(status.message ?? "");
  const cause = status.details?.causes?.find(({ reason }) => reason === "ExitCode");
  if (cause === undefined) return internal("error stream protocol error: no ExitCode cause given");
  const code = exitCodeOf(status);
  if (code === undefined || !/^\d{1,3}$/.test(cause.message ?? ""))
    return internal(`error stream protocol error: invalid exit code value ${JSON.stringify(cause.message)}`);
  return {
    ...exitStatus(code),
    message: `command terminated with non-zero exit code: command terminated with exit code ${code}`,
  };
}

/** The kubelet is asked first: its refusal is the answer. */
export async function tunnel({ services, request, kubelet, path }: StreamRequest): Promise<ApiResponse> {
  const exchange = request.exchange!;
  const protocols = requestedProtocols(exchange.request.headers)
    .filter(isTunnelled)
    .map((protocol) => protocol.slice(TUNNEL.length));
  const headers: Record<string, Headers[string]> = Object.fromEntries(
    Object.entries(forwarded(exchange)).filter(
      ([name]) => !/^(sec-websocket-.*|content-length|transfer-encoding)$/.test(name),
    ),
  );
  await using http = clientOf(services, kubelet);
  try {
    const { response, stream } = await http.upgrade({
      method: "POST",
      path,
      headers: { ...headers, connection: "Upgrade", upgrade: "SPDY/3.1", "x-stream-protocol-version": protocols },
      signal: request.signal,
    });
    if (stream === undefined) {
      await passAnswer(exchange, response);
      return { kind: "taken" };
    }
    if (!/spdy\/3\.1/i.test(String(response.headers["upgrade"]))) {
      stream.destroy();
      const body = "unable to upgrade: missing upgrade headers in response\n";
      const plain = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
      return { kind: "raw", status: 500, headers: plain, body };
    }
    const chosen = response.headers["x-stream-protocol-version"];
    const socket = acceptWebSocket(exchange, chosen === undefined ? [] : [`${TUNNEL}${String(chosen)}`], {
      lenient: true,
    });
    if (socket === undefined) stream.destroy();
    else await joinStreams(webSocketBytes(socket, exchange.request.peer), stream);
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw notUpgraded(error);
  }
  return { kind: "taken" };
}
