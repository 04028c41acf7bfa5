/**
 * exec, attach and port-forward. If the runtime has a streaming server, the client's connection is joined with it, byte for byte where both speak
 * SPDY; otherwise the streams are served from here.
 * Upstream: pkg/kubelet/server/server.go, staging/src/k8s.io/kubelet/pkg/cri/streaming
 */
import { dialPortForward, acceptPortForward } from "../../wire/streaming/port-forward.ts";
import { dialRemoteCommand } from "../../wire/streaming/dial-remote-command.ts";
import { exitStatus, failureStatus, SUCCESS } from "../../wire/streaming/protocols.ts";
import { relayPortForward, relayRemoteCommand, relayUpgrade } from "../../wire/streaming/relay.ts";
import { acceptRemoteCommand, remoteCommandOptions } from "../../wire/streaming/remote-command.ts";
import { isWebSocketRequest } from "../../wire/websocket/websocket.ts";
import type { Exchange } from "../../world/net.ts";
import type { KubeletView } from "../view.ts";
import { errorText } from "../runtime/context.ts";

export type RemoteCommand =
  | { readonly kind: "exec"; readonly containerId: string; readonly command: readonly string[] }
  | { readonly kind: "attach"; readonly containerId: string };

export async function serveRemoteCommand(
  kubelet: KubeletView,
  exchange: Exchange,
  query: URLSearchParams,
  request: RemoteCommand,
): Promise<void> {
  const options = remoteCommandOptions(query);
  if (!options.stdin && !options.stdout && !options.stderr)
    return exchange.respond(400, TEXT, "you must specify at least 1 of stdin, stdout, stderr");
  const { streaming, runtime } = kubelet.cri;
  if (streaming !== undefined) {
    const streams = await acceptRemoteCommand(exchange, options, kubelet.world.clock);
    if (streams === undefined) return;
    try {
      if (request.kind === "attach") {
        await streaming.attach(request.containerId, streams);
        await streams.finish(SUCCESS);
      } else {
        const { exitCode } = await streaming.exec(request.containerId, request.command, options.tty, streams);
        await streams.finish(exitStatus(exitCode));
      }
    } catch (error) {
      await streams.finish(failureStatus(`error executing command in container: ${errorText(error)}`));
    }
    return;
  }
  const common = {
    container_id: request.containerId,
    tty: options.tty,
    stdin: options.stdin,
    stdout: options.stdout,
    stderr: options.stderr,
  };
  const { url } =
    request.kind === "exec" ? await runtime.Exec({ ...common, cmd: request.command }) : await runtime.Attach(common);
  const { origin, pathname, search } = new URL(url);
  await using http = kubelet.world.net.httpClient({ base: origin, version: "1.1" });
  const path = `${pathname}${search}`;
  if (!isWebSocketRequest(exchange)) return await relayUpgrade(exchange, http, { path });
  // Older runtimes don't know the newest WebSocket protocol; SPDY is what all of them speak.
  const streams = await acceptRemoteCommand(exchange, options, kubelet.world.clock);
  if (streams === undefined) return;
  try {
    await relayRemoteCommand(
      streams,
      await dialRemoteCommand(http, kubelet.world.random, { ...options, path, over: "spdy" }),
    );
  } catch (error) {
    await streams.finish(failureStatus(errorText(error)));
  }
}

export async function servePortForward(
  kubelet: KubeletView,
  exchange: Exchange,
  query: URLSearchParams,
  sandboxId: string,
): Promise<void> {
  const ports = [...query.getAll("port"), ...query.getAll("ports")].flatMap((list) => list.split(",")).map(Number);
  const { streaming, runtime } = kubelet.cri;
  if (streaming !== undefined) {
    const connections = acceptPortForward(exchange, ports);
    if (connections === undefined) return;
    for await (const connection of connections) {
      streaming.portForward(sandboxId, connection.port, connection.data).then(
        () => connection.finish(),
        (error: unknown) =>
          connection.fail(`error forwarding port ${connection.port} to pod ${sandboxId}, uid : ${errorText(error)}`),
      );
    }
    return;
  }
  const { url } = await runtime.PortForward({ pod_sandbox_id: sandboxId, port: ports });
  const { origin, pathname, search } = new URL(url);
  await using http = kubelet.world.net.httpClient({ base: origin, version: "1.1" });
  const path = `${pathname}${search}`;
  if (!isWebSocketRequest(exchange)) return await relayUpgrade(exchange, http, { path });
  const connections = acceptPortForward(exchange, ports);
  if (connections === undefined) return;
  await relayPortForward(connections, await dialPortForward(http, kubelet.world.random, { path, over: "spdy" }));
}

const TEXT = { "content-type": "text/plain; charset=utf-8" };
