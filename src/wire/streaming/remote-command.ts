/**
 * The serving side of exec and attach: stdin, stdout, stderr, resizes and the result over the channels of a WebSocket or the streams of SPDY.
 * Upstream: k8s.io/kubelet/pkg/cri/streaming/remotecommand
 */
import type { Status } from "../../machinery/meta/types.ts";
import type { Exchange } from "../../world/net.ts";
import { deadline } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import { MessageQueue } from "../rpc/message-queue.ts";
import { spdyConnection, type SpdyStream } from "../spdy/connection.ts";
import { acceptWebSocket, isWebSocketRequest, type WebSocket } from "../websocket/websocket.ts";
import { CHANNELS, CLOSE_CHANNEL, V1, V1_BASE64, V2, V3, V4, V4_BASE64, V5 } from "./protocols.ts";

export interface RemoteCommandOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** A terminal has no stderr of its own. */
  readonly tty: boolean;
}

/** One method for each of the four channels' ends, whatever carries them. */
export interface RemoteStreams {
  /** Ends when the client has no more input; undefined when none was asked for. */
  readonly stdin: AsyncIterable<Uint8Array> | undefined;
  readonly resizes: AsyncIterable<{ readonly columns: number; readonly rows: number }> | undefined;
  /** Resolve when more may be written. What was not asked for is dropped. */
  stdout(data: Uint8Array): Promise<void>;
  stderr(data: Uint8Array): Promise<void>;
  /** The result, and the end. `exitStatus(code)` or `failureStatus(message)`. */
  finish(status: Status): Promise<void>;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** As upstream's streaming server: what a client must open within. */
const STREAMS_TIMEOUT_MS = 30_000;

/** `command`, `stdin`, … of a request's query, as kubectl sends them to the API server (and `input`, `output`, `error` as older ones do). */
export function remoteCommandOptions(query: URLSearchParams): RemoteCommandOptions {
  const on = (...names: readonly string[]) =>
    names.some((name) => {
      const value = query.get(name);
      return value === "1" || value === "true";
    });
  const tty = on("tty");
  return { stdin: on("stdin", "input"), stdout: on("stdout", "output"), stderr: !tty && on("stderr", "error"), tty };
}

/** Answers the upgrade. `undefined` after a refusal. */
export async function acceptRemoteCommand(
  exchange: Exchange,
  options: RemoteCommandOptions,
  clock: Clock,
): Promise<RemoteStreams | undefined> {
  if (isWebSocketRequest(exchange)) {
    const socket = acceptWebSocket(exchange, [V5, V4, V1, V4_BASE64, V1_BASE64]);
    return socket && webSocketStreams(socket, options);
  }
  return spdyStreams(exchange, options, clock);
}

export function webSocketStreams(socket: WebSocket, options: RemoteCommandOptions): RemoteStreams {
  const gone = new AbortController();
  const stdin = new MessageQueue<Uint8Array>();
  const resizes = new MessageQueue<{ columns: number; rows: number }>();
  const base64 = socket.protocol === V4_BASE64 || socket.protocol === V1_BASE64;
  const send = (channel: number, data: Uint8Array): Promise<void> =>
    base64
      ? socket.send(`${channel}${Buffer.from(data).toString("base64")}`)
      : socket.send(Buffer.concat([Buffer.from([channel]), data]));
  const lowest = options.stdout ? CHANNELS.stdout : options.stderr ? CHANNELS.stderr : CHANNELS.error;
  send(lowest, new Uint8Array(0)).catch(() => {}); // Tells the client that the other end is there.
  void (async () => {
    try {
      for await (const { data } of socket) {
        if (data.length === 0) continue;
        const channel = base64 ? data[0]! - 0x30 : data[0]!;
        const payload = base64
          ? new Uint8Array(Buffer.from(Buffer.from(data.subarray(1)).toString(), "base64"))
          : data.subarray(1);
        if (channel === CHANNELS.stdin) stdin.push(payload);
        else if (channel === CHANNELS.resize) pushResize(resizes, payload);
        else if (channel === CLOSE_CHANNEL && socket.protocol === V5 && payload[0] === CHANNELS.stdin) stdin.end();
        if (!options.stdin) continue;
        await stdin.drained; // The client is read no faster than its input is.
      }
    } catch {
      // A client that broke off is gone, as one that closed.
    }
    stdin.end();
    resizes.end();
    gone.abort(new Error("the client closed the connection"));
  })();
  return {
    stdin: options.stdin ? stdin : undefined,
    resizes: options.tty ? resizes : undefined,
    stdout: async (data) => (options.stdout ? send(CHANNELS.stdout, data) : undefined),
    stderr: async (data) => (options.stderr ? send(CHANNELS.stderr, data) : undefined),
    async finish(status) {
      const text = statusText(
        status,
        socket.protocol === V5 || socket.protocol === V4 || socket.protocol === V4_BASE64,
      );
      if (text !== "") await send(CHANNELS.error, Buffer.from(text)).catch(() => {});
      socket.close();
    },
    signal: gone.signal,
  };
}

function pushResize(queue: MessageQueue<{ columns: number; rows: number }>, payload: Uint8Array): void {
  try {
    const { Width, Height } = JSON.parse(Buffer.from(payload).toString()) as { Width?: number; Height?: number };
    queue.push({ columns: Width ?? 0, rows: Height ?? 0 });
  } catch {
    // Half a message: the next resize says it all.
  }
}

/** From version 4 on a Status; before, the bare message of a failure. */
function statusText(status: Status, structured: boolean): string {
  if (structured) return JSON.stringify(status).replace(/[<>&]/g, escaped); // As Go writes JSON.
  return status.status === "Success" ? "" : (status.message ?? "");
}

const escaped = (character: string) => `\\u00${character.charCodeAt(0).toString(16)}`;

const SPDY_PROTOCOLS = [V5, V4, V3, V2, V1];

async function spdyStreams(
  exchange: Exchange,
  options: RemoteCommandOptions,
  clock: Clock,
): Promise<RemoteStreams | undefined> {
  const { headers } = exchange.request;
  if (
    !String(headers["upgrade"] ?? "")
      .toLowerCase()
      .startsWith("spdy/3.1")
  ) {
    exchange.respond(400, { "content-type": "text/plain; charset=utf-8" }, "Upgrade request required");
    return undefined;
  }
  const offered = [headers["x-stream-protocol-version"] ?? []].flat().flatMap((one) => String(one).split(/,\s*/));
  const protocol = offered.length === 0 ? V1 : SPDY_PROTOCOLS.find((name) => offered.includes(name));
  if (protocol === undefined) {
    exchange.respond(
      403,
      { "x-accepted-stream-protocol-versions": SPDY_PROTOCOLS },
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(" ")}], server accepts [${SPDY_PROTOCOLS.join(" ")}]`,
    );
    return undefined;
  }
  const connection = spdyConnection(
    exchange.upgrade({ Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocol }),
    "server",
  );
  const hasResize = options.tty && protocol !== V1 && protocol !== V2;
  const expected =
    1 + Number(options.stdin) + Number(options.stdout) + Number(options.stderr && !options.tty) + Number(hasResize);
  const streams = new Map<string, SpdyStream>();
  {
    using limit = deadline(clock, STREAMS_TIMEOUT_MS);
    const late = () => connection.close();
    limit.signal.addEventListener("abort", late, { once: true });
    const incoming = connection.streams[Symbol.asyncIterator]();
    while (streams.size < expected) {
      const next = await incoming.next();
      if (next.done) return undefined; // Gone, or too late: there is nobody to tell.
      streams.set(next.value.headers["streamtype"] ?? "", next.value);
    }
    limit.signal.removeEventListener("abort", late);
  }
  const gone = new AbortController();
  void connection.closed.then(() => gone.abort(new Error("the client closed the connection")));
  const error = streams.get("error");
  const [stdout, stderr, resize] = [streams.get("stdout"), streams.get("stderr"), streams.get("resize")];
  return {
    stdin: streams.get("stdin") && untilCut(streams.get("stdin")!),
    resizes: resize && resizesOf(resize),
    stdout: async (data) => stdout?.write(data),
    stderr: async (data) => stderr?.write(data),
    async finish(status) {
      const text = statusText(status, protocol === V5 || protocol === V4);
      if (text !== "") await error?.write(Buffer.from(text)).catch(() => {});
      for (const stream of streams.values()) stream.end();
      connection.close();
    },
    signal: gone.signal,
  };
}

/** Input that ends, however the client left: `signal` tells the difference. */
async function* untilCut(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch {
    return;
  }
}

async function* resizesOf(stream: SpdyStream): AsyncGenerator<{ columns: number; rows: number }> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of untilCut(stream)) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf("}"); end >= 0; end = text.indexOf("}")) {
      const queue = new MessageQueue<{ columns: number; rows: number }>();
      pushResize(queue, Buffer.from(text.slice(0, end + 1)));
      queue.end();
      yield* queue;
      text = text.slice(end + 1);
    }
  }
}
