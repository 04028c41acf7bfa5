/**
 * WebSockets (RFC 6455) over any byte stream, for either end. Compression is never offered. Subprotocols are compared literally: kubectl's
 * `SPDY/3.1+portforward.k8s.io` is not a token in HTTP's grammar, and libraries reject it.
 */
import { createHash } from "node:crypto";
import type { ByteStream, Exchange, Headers, HttpClient, HttpResponse } from "../../world/net.ts";
import type { Random } from "../../world/world.ts";
import { encodeFrame, FrameParser, WebSocketError, type Opcode } from "./frames.ts";

export interface WebSocketMessage {
  readonly text: boolean;
  readonly data: Uint8Array;
}

/** Iterating gives messages, and ends with the other side's close. */
export interface WebSocket extends AsyncIterable<WebSocketMessage> {
  /** What was agreed on; "" for none. */
  readonly protocol: string;
  /** Resolves when more may be sent; rejects once the connection is broken. */
  send(data: Uint8Array | string): Promise<void>;
  close(code?: number, reason?: string): void;
  ping(data?: Uint8Array): void;
  readonly closed: Promise<void>;
}

export interface WebSocketOptions {
  readonly maxMessageBytes?: number;
  /** A client that asks for other protocols is served without one. */
  readonly lenient?: boolean;
}

const MAX_MESSAGE_BYTES = 32 << 20;
const KEY_SALT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export function isWebSocketRequest({ request }: Pick<Exchange, "request">): boolean {
  return hasToken(request.headers["connection"], "upgrade") && hasToken(request.headers["upgrade"], "websocket");
}

/** The subprotocols a client asks for, in its order. */
export function requestedProtocols(headers: Headers): readonly string[] {
  const value = headers["sec-websocket-protocol"];
  return [value ?? []]
    .flat()
    .flatMap((one) =>
      String(one)
        .split(",")
        .map((name) => name.trim()),
    )
    .filter((name) => name !== "");
}

/**
 * Answers the handshake with the first protocol of the client's list that is supported. `undefined` after a refusal: the request was no
 * handshake, or the client asked for protocols and none is supported.
 */
export function acceptWebSocket(
  exchange: Exchange,
  supported: readonly string[],
  options: WebSocketOptions = {},
): WebSocket | undefined {
  const { headers } = exchange.request;
  const key = headers["sec-websocket-key"];
  if (headers["sec-websocket-version"] !== "13") {
    exchange.respond(400, { "sec-websocket-version": "13" }, "missing or bad WebSocket Version");
    return undefined;
  }
  if (typeof key !== "string") {
    exchange.respond(400, {}, "mismatch challenge/response");
    return undefined;
  }
  const requested = requestedProtocols(headers);
  const protocol = requested.find((name) => supported.includes(name));
  if (requested.length > 0 && protocol === undefined && options.lenient !== true) {
    exchange.respond(403, {});
    return undefined;
  }
  const stream = exchange.upgrade({
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Accept": acceptKey(key),
    ...(protocol !== undefined && { "Sec-WebSocket-Protocol": protocol }),
  });
  return openWebSocket(stream, { ...options, protocol: protocol ?? "" });
}

/** `response` without a socket is the server's refusal. */
export async function dialWebSocket(
  http: HttpClient,
  request: { readonly path: string; readonly headers?: Headers; readonly signal?: AbortSignal },
  protocols: readonly string[],
  random: Random,
  options: WebSocketOptions = {},
): Promise<{ readonly response: HttpResponse; readonly socket: WebSocket | undefined }> {
  const key = Buffer.from(random.bytes(16)).toString("base64");
  const { response, stream } = await http.upgrade({
    ...request,
    method: "GET",
    headers: {
      ...request.headers,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": key,
      ...(protocols.length > 0 && { "sec-websocket-protocol": protocols.join(", ") }),
    },
  });
  if (!stream) return { response, socket: undefined };
  if (response.headers["sec-websocket-accept"] !== acceptKey(key)) {
    stream.destroy();
    throw new WebSocketError(1002, "the server's handshake does not answer ours");
  }
  const protocol = String(response.headers["sec-websocket-protocol"] ?? "");
  return { response, socket: openWebSocket(stream, { ...options, protocol, random }) };
}

/** After the handshake. With `random` this end is the client, whose frames are masked. */
export function openWebSocket(
  stream: ByteStream,
  options: WebSocketOptions & { readonly protocol: string; readonly random?: Random },
): WebSocket {
  const { random, protocol, maxMessageBytes = MAX_MESSAGE_BYTES } = options;
  let closeSent = false;

  const sendFrame = (opcode: Opcode, payload: Uint8Array): Promise<void> => {
    const chunks = encodeFrame({ final: true, opcode, payload }, random?.bytes(4));
    for (const chunk of chunks.slice(0, -1)) stream.write(chunk).catch(() => {}); // The last one's answer speaks for all.
    return stream.write(chunks.at(-1)!);
  };
  const close = (code = 1000, reason = ""): void => {
    if (closeSent) return;
    closeSent = true;
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    sendFrame("close", payload).catch(() => {});
    stream.end();
  };

  async function* read(): AsyncGenerator<WebSocketMessage> {
    const parser = new FrameParser(random === undefined, maxMessageBytes);
    let parts: { readonly text: boolean; readonly chunks: Uint8Array[]; size: number } | undefined;
    try {
      for await (const chunk of stream) {
        for (const { opcode, final, payload } of parser.push(chunk)) {
          if (opcode === "close") {
            close(payload.length >= 2 ? (payload[0]! << 8) | payload[1]! : 1000);
            return;
          }
          if (opcode === "ping") {
            if (!closeSent) sendFrame("pong", payload).catch(() => {});
            continue;
          }
          if (opcode === "pong") continue;
          if ((opcode === "continuation") !== (parts !== undefined))
            throw new WebSocketError(1002, "parts of a message that do not follow each other");
          if (!parts && final) {
            yield { text: opcode === "text", data: payload };
            continue;
          }
          parts ??= { text: opcode === "text", chunks: [], size: 0 };
          parts.chunks.push(payload);
          parts.size += payload.length;
          if (parts.size > maxMessageBytes) throw new WebSocketError(1009, "the message is too big");
          if (!final) continue;
          const { text, chunks } = parts;
          parts = undefined;
          const whole = Buffer.concat(chunks);
          yield { text, data: new Uint8Array(whole.buffer, whole.byteOffset, whole.length) };
        }
      }
      if (!closeSent) throw new WebSocketError(1006, "the connection ended without a close");
    } catch (error) {
      if (closeSent) return; // What is broken after our close doesn't matter.
      if (error instanceof WebSocketError && error.code !== 1006) close(error.code, error.message);
      else stream.destroy();
      throw error;
    } finally {
      // What comes after the end is dropped, so that the other side's own end is reached.
      if (closeSent) void discard(stream);
    }
  }
  const messages = read();
  return {
    protocol,
    closed: stream.closed,
    send(data) {
      if (closeSent) return Promise.reject(new WebSocketError(1000, "the websocket is closed"));
      return typeof data === "string" ? sendFrame("text", Buffer.from(data)) : sendFrame("binary", data);
    },
    ping(data = new Uint8Array(0)) {
      if (!closeSent) sendFrame("ping", data).catch(() => {});
    },
    close,
    [Symbol.asyncIterator]: () => messages,
  };
}

/** A WebSocket's binary messages as one stream of bytes, as kubectl tunnels SPDY. */
export function webSocketBytes(socket: WebSocket, peer: ByteStream["peer"]): ByteStream {
  return {
    peer,
    write: (data) => socket.send(data),
    end: () => socket.close(),
    destroy: (error) => socket.close(error ? 1011 : 1000),
    closed: socket.closed,
    async *[Symbol.asyncIterator]() {
      for await (const { data } of socket) yield data;
    },
  };
}

async function discard(stream: ByteStream): Promise<void> {
  try {
    for await (const _ of stream);
  } catch {
    // It is gone, which is what was waited for.
  }
}

function acceptKey(key: string): string {
  return createHash("sha1")
    .update(key + KEY_SALT)
    .digest("base64");
}

function hasToken(value: Headers[string], token: string): boolean {
  return [value ?? []].flat().some((one) =>
    String(one)
      .toLowerCase()
      .split(",")
      .some((part) => part.trim() === token),
  );
}
