/**
 * The calling side of exec and attach: a client, or a relay on the way to a kubelet or a container runtime.
 * Upstream: k8s.io/client-go/tools/remotecommand
 */
import type { Status } from "../../machinery/meta/types.ts";
import type { Headers, HttpClient, HttpResponse } from "../../world/net.ts";
import type { Random } from "../../world/world.ts";
import { MessageQueue } from "../rpc/message-queue.ts";
import { spdyConnection, type SpdyStream } from "../spdy/connection.ts";
import { dialWebSocket } from "../websocket/websocket.ts";
import { CHANNELS, CLOSE_CHANNEL, failureStatus, SUCCESS, V1, V2, V3, V4, V5 } from "./protocols.ts";
import type { RemoteCommandOptions } from "./remote-command.ts";

export interface RemoteCommand {
  /** Resolves when more may be written. */
  write(data: Uint8Array): Promise<void>;
  /** No more input. Can't be told over a WebSocket before version 5. */
  closeStdin(): void;
  resize(columns: number, rows: number): void;
  readonly stdout: AsyncIterable<Uint8Array>;
  /** Ends at once with a terminal. */
  readonly stderr: AsyncIterable<Uint8Array>;
  /** Resolves when the other side has said how it ended, or broke off. */
  readonly result: Promise<Status>;
  close(): void;
}

export interface DialRemoteCommand extends RemoteCommandOptions {
  /** With the query that the server expects. */
  readonly path: string;
  readonly headers?: Headers;
  readonly signal?: AbortSignal;
  /** SPDY is what every server knows, and all of it can half-close; `websocket` is what new clients ask API servers for. */
  readonly over?: "spdy" | "websocket";
}

/** The server answered, and not with an upgrade. */
export class UpgradeRefused extends Error {
  override readonly name = "UpgradeRefused";
  readonly response: HttpResponse;
  constructor(response: HttpResponse) {
    super(`unable to upgrade connection: HTTP status ${response.status}`);
    this.response = response;
  }
}

export function dialRemoteCommand(
  http: HttpClient,
  random: Random,
  options: DialRemoteCommand,
): Promise<RemoteCommand> {
  return options.over === "websocket" ? overWebSocket(http, random, options) : overSpdy(http, options);
}

async function overSpdy(http: HttpClient, options: DialRemoteCommand): Promise<RemoteCommand> {
  const { path, signal } = options;
  const { response, stream } = await http.upgrade({
    method: "POST",
    path,
    headers: {
      ...options.headers,
      connection: "Upgrade",
      upgrade: "SPDY/3.1",
      "x-stream-protocol-version": [V5, V4, V3, V2, V1],
    },
    ...(signal && { signal }),
  });
  if (!stream) throw new UpgradeRefused(response);
  const protocol = String(response.headers["x-stream-protocol-version"] ?? V1);
  const connection = spdyConnection(stream, "client");
  // One after the other: containerd takes streams that come in any other order for a break of the protocol.
  const open = (streamType: string) => connection.open({ streamtype: streamType });
  const error = await open("error");
  const stdin = options.stdin ? await open("stdin") : undefined;
  const stdout = options.stdout ? await open("stdout") : undefined;
  const stderr = options.stderr && !options.tty ? await open("stderr") : undefined;
  const resize = options.tty && protocol !== V1 && protocol !== V2 ? await open("resize") : undefined;
  error.end(); // Nothing goes out on it.
  return {
    write: async (data) => stdin?.write(data),
    closeStdin: () => stdin?.end(),
    resize: (columns, rows) => void resize?.write(resizeMessage(columns, rows)).catch(() => {}),
    stdout: stdout ?? nothing(),
    stderr: stderr ?? nothing(),
    result: readStatus(error, protocol === V5 || protocol === V4),
    close: () => connection.close(),
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const resizeMessage = (Width: number, Height: number): Uint8Array =>
  Buffer.from(`${JSON.stringify({ Width, Height })}\n`);

async function readStatus(stream: SpdyStream, structured: boolean): Promise<Status> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch (cause) {
    if (chunks.length === 0) return failureStatus(`error stream: ${(cause as Error).message}`);
  }
  return parseStatus(Buffer.concat(chunks).toString(), structured);
}

function parseStatus(text: string, structured: boolean): Status {
  if (text === "") return SUCCESS;
  if (!structured) return failureStatus(`error executing remote command: ${text}`);
  try {
    return JSON.parse(text) as Status;
  } catch {
    const why = `invalid character '${text[0]}' looking for beginning of value`;
    return failureStatus(`error stream protocol error: ${why} in ${JSON.stringify(text)}`);
  }
}

async function overWebSocket(http: HttpClient, random: Random, options: DialRemoteCommand): Promise<RemoteCommand> {
  const { response, socket } = await dialWebSocket(http, options, [V5, V4, V1], random);
  if (!socket) throw new UpgradeRefused(response);
  const outputs = new Map<number, MessageQueue<Uint8Array>>([
    [CHANNELS.stdout, new MessageQueue()],
    [CHANNELS.stderr, new MessageQueue()],
  ]);
  const send = (channel: number, data: Uint8Array) => socket.send(Buffer.concat([Buffer.from([channel]), data]));
  const read = async (): Promise<Status> => {
    let text: string | undefined;
    try {
      for await (const { data } of socket) {
        const channel = data[0];
        const payload = data.subarray(1);
        if (channel === CHANNELS.error) text = (text ?? "") + Buffer.from(payload).toString();
        else if (channel === CLOSE_CHANNEL && payload[0] !== undefined) outputs.get(payload[0])?.end();
        else if (channel !== undefined && payload.length > 0) {
          const output = outputs.get(channel);
          output?.push(payload);
          await output?.drained;
        }
      }
      return parseStatus(text ?? "", socket.protocol !== V1);
    } catch (cause) {
      return text === undefined ? failureStatus((cause as Error).message) : parseStatus(text, socket.protocol !== V1);
    } finally {
      for (const output of outputs.values()) output.end();
    }
  };
  return {
    write: (data) => send(CHANNELS.stdin, data),
    closeStdin() {
      if (socket.protocol === V5) send(CLOSE_CHANNEL, new Uint8Array([CHANNELS.stdin])).catch(() => {});
    },
    resize: (columns, rows) => void send(CHANNELS.resize, resizeMessage(columns, rows)).catch(() => {}),
    stdout: outputs.get(CHANNELS.stdout)!,
    stderr: outputs.get(CHANNELS.stderr)!,
    result: read(),
    close: () => socket.close(),
  };
}
