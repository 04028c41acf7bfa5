/**
 * What comes over a connection that was upgraded, SPDY's frames and WebSocket's: whole, cut short, with wrong lengths, unknown kinds, and headers that
 * inflate to far more than they are. It is answered or the connection ends, nothing else, and nobody has to write more than was asked of him.
 */
import assert from "node:assert/strict";
import { constants, deflateRawSync } from "node:zlib";
import { SpdyEncoder, type SpdyFrame } from "../../wire/spdy/frames.ts";
import { spdyConnection, type SpdyStream } from "../../wire/spdy/connection.ts";
import { encodeFrame, type Opcode } from "../../wire/websocket/frames.ts";
import { openWebSocket } from "../../wire/websocket/websocket.ts";
import { deferred } from "../../base/deferred.ts";
import type { ByteStream } from "../../world/net.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { chunked, type Fuzzer, mutated, pick } from "./fuzzer.ts";
import { randomHeaders } from "./hpack.ts";

/** A connection whose other side says all of this and then hangs up. */
function saying(random: Random, bytes: Buffer): ByteStream & { readonly written: () => number } {
  let written = 0;
  let isGone = false;
  const closed = deferred<void>();
  const gone = () => {
    isGone = true;
    closed.resolve();
  };
  return {
    peer: { address: { host: "127.0.0.1", port: 1 } },
    async write(data) {
      if (isGone) throw new Error("the connection is gone");
      written += data.length;
    },
    end: () => {},
    destroy: gone,
    closed: closed.promise,
    written: () => written,
    async *[Symbol.asyncIterator]() {
      for (const chunk of chunked(random, bytes)) {
        if (isGone) return;
        yield chunk;
      }
      gone();
    },
  };
}

export const spdyFrames: Fuzzer = {
  name: "spdy-frames",
  about: "conversations in SPDY, damaged, to a server",
  async run(random) {
    const encoder = new SpdyEncoder();
    const parts: Uint8Array[] = [];
    for (let count = 1 + randomInt(random, 12), next = 1; count > 0; count--) {
      if (random.next() < 0.1) parts.push(unheardOf(random));
      else if (random.next() < 0.05) parts.push(bomb(next));
      else parts.push(...encoder.encode(anyFrame(random, next)));
      if (random.next() < 0.5) next += 2;
    }
    const whole = Buffer.concat(parts);
    const transport = saying(random, random.next() < 0.3 ? whole : mutated(random, whole));
    const connection = spdyConnection(transport, "server");
    let received = 0;
    const read = async (stream: SpdyStream) => {
      for await (const data of stream) received += data.length;
      stream.end();
    };
    for await (const stream of connection.streams) read(stream).catch(() => stream.destroy());
    await connection.closed;
    assert.ok(received <= whole.length + 2000, "no more is read than was sent");
    assert.ok(transport.written() <= 4 * whole.length + 2000, `${transport.written()} for ${whole.length}`);
  },
};

function anyFrame(random: Random, next: number): Exclude<SpdyFrame, { type: "unknown" }> {
  const stream = random.next() < 0.8 ? next : pick(random, [0, 1, 2, 3, 0x7fffffff]);
  const fin = random.next() < 0.2;
  switch (pick(random, ["open", "open", "data", "data", "data", "ping", "settings", "reset", "headers", "other"])) {
    case "open":
      return {
        type: "syn-stream",
        stream: next,
        associated: 0,
        priority: randomInt(random, 8),
        fin,
        unidirectional: random.next() < 0.1,
        headers: { streamtype: pick(random, ["error", "stdin", "data", "nosuch"]), ...randomHeaders(random) },
      };
    case "data":
      return { type: "data", stream, fin, data: random.bytes(pick(random, [0, 1, 100, 1000])) };
    case "ping":
      return { type: "ping", id: randomInt(random, 10) };
    case "settings":
      return { type: "settings", values: new Map([[pick(random, [4, 7]), randomInt(random, 1e6)]]) };
    case "reset":
      return { type: "rst-stream", stream, status: randomInt(random, 12) };
    case "headers":
      return { type: random.next() < 0.5 ? "headers" : "syn-reply", stream, fin, headers: randomHeaders(random) };
    default:
      return random.next() < 0.5
        ? { type: "goaway", lastStream: stream, status: 0 }
        : { type: "window-update", stream, delta: randomInt(random, 2 ** 31) };
  }
}

/** A kind that there isn't, or a length that is another one. */
function unheardOf(random: Random): Buffer {
  const body = Buffer.from(random.bytes(randomInt(random, 40)));
  const head = Buffer.alloc(8);
  head.writeUInt16BE(random.next() < 0.9 ? 0x8003 : 0x8002, 0);
  head.writeUInt16BE(pick(random, [0, 1, 2, 4, 5, 6, 8, 10, 0xffff]), 2);
  head.writeUInt32BE(random.next() < 0.7 ? body.length : pick(random, [0, 1, body.length + 3, 0xffffff]), 4);
  return Buffer.concat([head, body]);
}

/** 16 MB of nothing in 16 KB of header block. */
function bomb(stream: number): Buffer {
  const block = Buffer.concat([Buffer.from([0x78, 0x9c]), BOMB]);
  const head = Buffer.alloc(18);
  head.writeUInt32BE(0x80030001, 0);
  head.writeUInt32BE(block.length + 10, 4);
  head.writeUInt32BE(stream, 8);
  return Buffer.concat([head, block]);
}
const BOMB = deflateRawSync(Buffer.alloc(16 << 20), { finishFlush: constants.Z_SYNC_FLUSH });

const OPCODES: readonly Opcode[] = ["binary", "binary", "text", "continuation", "ping", "pong", "close"];

export const webSocketFrames: Fuzzer = {
  name: "websocket-frames",
  about: "conversations over a WebSocket, damaged, to a server",
  briefly: 100,
  async run(random) {
    const parts: Uint8Array[] = [];
    for (let count = 1 + randomInt(random, 12); count > 0; count--) {
      const payload = random.bytes(pick(random, random.next() < 0.97 ? [0, 1, 2, 100, 125, 126, 1000] : [66_000]));
      const final = random.next() < 0.8;
      parts.push(...encodeFrame({ final, opcode: pick(random, OPCODES), payload }, random.bytes(4)));
    }
    const whole = Buffer.concat(parts);
    const stream = saying(random, random.next() < 0.3 ? whole : mutated(random, whole));
    const socket = openWebSocket(stream, { protocol: "v5.channel.k8s.io" });
    let received = 0;
    try {
      for await (const { data } of socket) received += data.length;
    } catch (error) {
      assert.ok(error instanceof Error && error.message.length > 3);
    }
    await socket.closed;
    assert.ok(received <= whole.length + 2000, "no more is read than was sent");
    assert.ok(stream.written() <= whole.length + 2000, `${stream.written()} for ${whole.length}`);
  },
};
