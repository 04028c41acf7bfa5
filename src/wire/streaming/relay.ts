/** Relays exec, attach and port-forward: from the API server to a kubelet, from a kubelet to its runtime. */
import type { ByteStream, Exchange, Headers, HttpClient, HttpResponse } from "../../world/net.ts";
import type { Status } from "../../machinery/meta/types.ts";
import type { Clock } from "../../world/world.ts";
import type { RemoteCommand } from "./dial-remote-command.ts";
import type { ForwardedConnection, PortForwarder, PortForwardStreams } from "./port-forward.ts";
import type { RemoteStreams } from "./remote-command.ts";

/** Headers that belong to one connection, and are not passed on. */
const HOP_BY_HOP = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "keep-alive",
  "te",
  "trailer",
  "proxy-connection",
]);

/**
 * Passes an upgrade through as it is: the same request to `path`, and then bytes. For a server that speaks what the client asks for; otherwise
 * accept and dial, and relay between them.
 */
export async function relayUpgrade(
  exchange: Exchange,
  http: HttpClient,
  request: {
    readonly path: string;
    readonly headers?: Headers;
    /** Throws where an answer that is no upgrade is not to be passed on. */
    check?(response: HttpResponse): void;
  },
): Promise<void> {
  const headers: Record<string, Headers[string]> = {};
  for (const [name, value] of Object.entries(exchange.request.headers))
    if (!HOP_BY_HOP.has(name) && !name.startsWith(":")) headers[name] = value;
  const { response, stream } = await http.upgrade({
    method: exchange.request.method,
    path: request.path,
    headers: { ...headers, ...request.headers },
    signal: exchange.request.signal,
  });
  if (stream) return joinStreams(exchange.upgrade(response.headers), stream);
  request.check?.(response);
  return relayAnswer(exchange, response);
}

export async function relayAnswer(exchange: Exchange, response: HttpResponse): Promise<void> {
  const { connection: _connection, "transfer-encoding": _encoding, "keep-alive": _alive, ...answer } = response.headers;
  const out = exchange.stream(response.status, answer);
  for await (const chunk of response.body) if (!out.write(chunk)) await out.drained;
  out.end();
}

/** Copies both ways until both have ended, or one broke. */
export async function joinStreams(a: ByteStream, b: ByteStream): Promise<void> {
  const copy = async (from: ByteStream, to: ByteStream) => {
    try {
      for await (const chunk of from) await to.write(chunk);
      to.end();
    } catch (error) {
      from.destroy();
      to.destroy(error instanceof Error ? error : undefined);
    }
  };
  await Promise.all([copy(a, b), copy(b, a)]);
}

export interface RelayedCommand {
  /** With it a client that goes away is waited for: what it said last still arrives. */
  readonly clock?: Clock;
  /** What becomes of the result. */
  translate?(status: Status): Status;
}

const LAST_WORDS_MS = 1000;

/** Between a client of one protocol and a server of another, to the command's end. */
export async function relayRemoteCommand(
  from: RemoteStreams,
  to: RemoteCommand,
  { clock, translate = (status) => status }: RelayedCommand = {},
): Promise<void> {
  const input = async () => {
    if (!from.stdin) return;
    for await (const chunk of from.stdin) await to.write(chunk);
    to.closeStdin();
  };
  const sizes = async () => {
    if (from.resizes) for await (const { columns, rows } of from.resizes) to.resize(columns, rows);
  };
  const output = async (source: AsyncIterable<Uint8Array>, write: (data: Uint8Array) => Promise<void>) => {
    for await (const chunk of source) await write(chunk);
  };
  // Input and resizes may outlive the command; nobody waits for them.
  const said = input().catch(() => {});
  sizes().catch(() => {});
  const onGone = () => {
    if (clock === undefined || !from.stdin) return to.close();
    const late = clock.after(LAST_WORDS_MS, () => to.close());
    void said.then(() => {
      late[Symbol.dispose]();
      to.close();
    });
  };
  if (from.signal.aborted) onGone();
  else from.signal.addEventListener("abort", onGone, { once: true });
  await Promise.allSettled([output(to.stdout, from.stdout), output(to.stderr, from.stderr)]);
  await from.finish(translate(await to.result));
  to.close();
  from.signal.removeEventListener("abort", onGone);
}

export async function relayPortForward(from: PortForwardStreams, to: PortForwarder): Promise<void> {
  void from.closed.then(() => to.close());
  void to.closed.then(() => from.close());
  const relay = async (connection: ForwardedConnection) => {
    const { data, error } = await to.connect(connection.port);
    const joined = joinStreams(connection.data, data);
    const words = await error;
    if (words !== undefined) return connection.fail(words);
    await joined;
    connection.finish();
  };
  for await (const connection of from)
    relay(connection).catch((error: unknown) =>
      connection.fail(error instanceof Error ? error.message : String(error)),
    );
}
