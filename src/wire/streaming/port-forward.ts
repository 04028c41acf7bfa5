/** Both sides of port forwarding. Upstream: k8s.io/kubelet/pkg/cri/streaming/portforward, k8s.io/client-go/tools/portforward */
import type { ByteStream, Exchange, Headers, HttpClient } from "../../world/net.ts";
import type { Random } from "../../world/world.ts";
import { MessageQueue } from "../rpc/message-queue.ts";
import { spdyConnection, type SpdyConnection, type SpdyStream } from "../spdy/connection.ts";
import {
  acceptWebSocket,
  dialWebSocket,
  isWebSocketRequest,
  webSocketBytes,
  type WebSocket,
} from "../websocket/websocket.ts";
import { UpgradeRefused } from "./dial-remote-command.ts";
import { PORT_FORWARD, TUNNELLED_PORT_FORWARD, V4, V4_BASE64 } from "./protocols.ts";

/** One connection that a client wants to a port. */
export interface ForwardedConnection {
  readonly port: number;
  readonly data: ByteStream;
  /** Ends the connection with words that the client shows. */
  fail(message: string): void;
  /** Ends it well, once all data is written. */
  finish(): void;
}

/** The server's end. Iterating gives connections, and ends when the client has gone. */
export interface PortForwardStreams extends AsyncIterable<ForwardedConnection> {
  close(): void;
  readonly closed: Promise<void>;
}

/** Answers the upgrade. `undefined` after a refusal. `ports` are those of the query: only the WebSocket's channel form needs them. */
export function acceptPortForward(exchange: Exchange, ports: readonly number[]): PortForwardStreams | undefined {
  const { headers, peer } = exchange.request;
  if (isWebSocketRequest(exchange)) {
    const socket = acceptWebSocket(exchange, [TUNNELLED_PORT_FORWARD, V4, V4_BASE64]);
    if (!socket) return undefined;
    if (socket.protocol === TUNNELLED_PORT_FORWARD)
      return spdyPortForward(spdyConnection(webSocketBytes(socket, peer), "server"));
    return channelPortForward(socket, ports, peer);
  }
  if (
    !String(headers["upgrade"] ?? "")
      .toLowerCase()
      .startsWith("spdy/3.1")
  ) {
    exchange.respond(400, { "content-type": "text/plain; charset=utf-8" }, "Upgrade request required");
    return undefined;
  }
  const offered = [headers["x-stream-protocol-version"] ?? []].flat().flatMap((one) => String(one).split(/,\s*/));
  if (offered.length > 0 && !offered.includes(PORT_FORWARD)) {
    exchange.respond(
      403,
      { "x-accepted-stream-protocol-versions": PORT_FORWARD },
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(" ")}], server accepts [${PORT_FORWARD}]`,
    );
    return undefined;
  }
  const stream = exchange.upgrade({
    Connection: "Upgrade",
    Upgrade: "SPDY/3.1",
    "X-Stream-Protocol-Version": PORT_FORWARD,
  });
  return spdyPortForward(spdyConnection(stream, "server"));
}

/** A connection is two streams with the same request id: errors first, then data. */
function spdyPortForward(connection: SpdyConnection): PortForwardStreams {
  const pending = new Map<string, { error?: SpdyStream; data?: SpdyStream }>();
  async function* connections(): AsyncGenerator<ForwardedConnection> {
    for await (const stream of connection.streams) {
      const { streamtype, port, requestid } = stream.headers;
      const number = Number(port);
      if ((streamtype !== "data" && streamtype !== "error") || !(number > 0 && number < 65536)) {
        stream.destroy();
        continue;
      }
      // Without an id (clients of long ago) a pair's streams follow each other: the data stream's number is the error stream's and 2.
      const id = requestid ?? String(streamtype === "error" ? stream.id : stream.id - 2);
      const pair = { ...pending.get(id), [streamtype]: stream };
      pending.set(id, pair);
      const { error, data } = pair;
      if (!error || !data) continue;
      pending.delete(id);
      yield {
        port: number,
        data,
        fail(message) {
          error.write(Buffer.from(message)).catch(() => {});
          error.end();
          data.destroy();
        },
        finish() {
          error.end();
          data.end();
        },
      };
    }
  }
  const iterator = connections();
  return { close: () => connection.close(), closed: connection.closed, [Symbol.asyncIterator]: () => iterator };
}

/** Channels 2i and 2i+1 are port i's data and errors; each begins with the port, in two bytes. */
function channelPortForward(socket: WebSocket, ports: readonly number[], peer: ByteStream["peer"]): PortForwardStreams {
  const base64 = socket.protocol === V4_BASE64;
  const send = (channel: number, data: Uint8Array): Promise<void> =>
    base64
      ? socket.send(`${String.fromCharCode(0x30 + channel)}${Buffer.from(data).toString("base64")}`)
      : socket.send(Buffer.concat([Buffer.from([channel]), data]));
  const inputs = ports.map(() => new MessageQueue<Uint8Array>());
  // There is no half-close on a channel: the connection ends with the last of its ports.
  const open = new Set(ports.keys());
  const over = (port: number) => {
    if (open.delete(port) && open.size === 0) socket.close();
  };
  const connections = ports.map((port, i): ForwardedConnection => {
    const head = Buffer.alloc(2);
    head.writeUInt16LE(port);
    send(2 * i, head).catch(() => {});
    send(2 * i + 1, head).catch(() => {});
    return {
      port,
      data: {
        peer,
        write: (data) => send(2 * i, data),
        end() {},
        destroy: () => inputs[i]!.end(),
        closed: socket.closed,
        [Symbol.asyncIterator]: () => inputs[i]!,
      },
      fail: (message) => {
        send(2 * i + 1, Buffer.from(message)).catch(() => {});
        over(i);
      },
      finish: () => over(i),
    };
  });
  void (async () => {
    try {
      for await (const { data } of socket) {
        if (data.length === 0) continue;
        const channel = base64 ? data[0]! - 0x30 : data[0]!;
        const payload = base64
          ? new Uint8Array(Buffer.from(Buffer.from(data.subarray(1)).toString(), "base64"))
          : data.subarray(1);
        const input = channel % 2 === 0 ? inputs[channel / 2] : undefined;
        input?.push(payload);
        await input?.drained;
      }
    } catch {
      // A client that broke off has gone.
    }
    for (const input of inputs) input.end();
  })();
  return {
    close: () => socket.close(),
    closed: socket.closed,
    async *[Symbol.asyncIterator]() {
      yield* connections;
      await socket.closed;
    },
  };
}

export interface DialPortForward {
  readonly path: string;
  readonly headers?: Headers;
  readonly signal?: AbortSignal;
  /** SPDY as it is (what a container runtime speaks), or inside a WebSocket (what an API server prefers). */
  readonly over?: "spdy" | "websocket";
}

/** The client's end. */
export interface PortForwarder {
  /** `error` resolves with the server's words where the connection failed, with undefined where it ended well. */
  connect(port: number): Promise<{ readonly data: ByteStream; readonly error: Promise<string | undefined> }>;
  close(): void;
  readonly closed: Promise<void>;
}

export async function dialPortForward(
  http: HttpClient,
  random: Random,
  options: DialPortForward,
): Promise<PortForwarder> {
  const connection = await (options.over === "websocket" ? tunnelled(http, random, options) : plain(http, options));
  let requestId = 0;
  return {
    async connect(port) {
      const headers = { port: String(port), requestid: String(requestId++) };
      const error = await connection.open({ ...headers, streamtype: "error" });
      error.end(); // Nothing goes out on it.
      const data = await connection.open({ ...headers, streamtype: "data" });
      return { data, error: words(error) };
    },
    close: () => connection.close(),
    closed: connection.closed,
  };
}

async function words(stream: SpdyStream): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch (cause) {
    if (chunks.length === 0) return (cause as Error).message;
  }
  return chunks.length === 0 ? undefined : Buffer.concat(chunks).toString();
}

async function plain(http: HttpClient, { path, headers, signal }: DialPortForward): Promise<SpdyConnection> {
  const { response, stream } = await http.upgrade({
    method: "POST",
    path,
    headers: { ...headers, connection: "Upgrade", upgrade: "SPDY/3.1", "x-stream-protocol-version": PORT_FORWARD },
    ...(signal && { signal }),
  });
  if (!stream) throw new UpgradeRefused(response);
  return spdyConnection(stream, "client");
}

async function tunnelled(http: HttpClient, random: Random, options: DialPortForward): Promise<SpdyConnection> {
  const { response, socket } = await dialWebSocket(http, options, [TUNNELLED_PORT_FORWARD], random);
  if (!socket) throw new UpgradeRefused(response);
  return spdyConnection(webSocketBytes(socket, { address: { host: "", port: 0 } }), "client");
}
