/**
 * A gRPC client for load: calls on raw sockets, answers matched to who asked by their stream's number, nothing decoded but what a caller asks to see.
 * It costs a fraction of any server, so that what is measured is the server.
 */
import { connect, type Socket } from "node:net";
import { FrameWriter } from "../../src/wire/http2/frame-writer.ts";
import { HeaderEncoder, type HeaderSource } from "../../src/wire/http2/hpack/encoder.ts";
import { PREFACE } from "../../src/wire/http2/protocol.ts";
import { quantile } from "./report.ts";

const WINDOW = 1 << 30;
const MAX_FRAME_BYTES = 16_384;

/** One call at a time, or one stream. */
export interface Answered {
  /** A piece of what was answered, `[start, end)` of `buffer`, which is good until this returns. */
  onData?(buffer: Buffer, start: number, end: number): void;
  /** The answer is whole. False where there was no message in it: an error. */
  onEnd(ok: boolean): void;
}

interface Open {
  readonly answered: Answered;
  hasData: boolean;
}

export function grpcHeaders(path: string): HeaderSource {
  return Object.freeze({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "127.0.0.1",
    "content-type": "application/grpc",
    "user-agent": "grpc-go/1.60.0",
    te: "trailers",
  });
}

export class GrpcConnection {
  readonly #socket: Socket;
  readonly #writer = new FrameWriter();
  readonly #encoder = new HeaderEncoder();
  readonly #open = new Map<number, Open>();
  #nextId = 1;
  #received = 0;
  #rest: Buffer | undefined;
  #flushIsDue = false;
  #left: Error | undefined;
  readonly ready: Promise<void>;

  constructor(port: number) {
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.#writer.raw(Buffer.from(PREFACE));
    this.#writer.settings([
      [2, 0],
      [4, WINDOW],
    ]);
    this.#writer.windowUpdate(0, WINDOW);
    this.ready = new Promise((resolve, reject) => {
      this.#socket.once("connect", resolve);
      this.#socket.once("error", reject);
    });
    this.#socket.on("error", (error) => (this.#left = error));
    this.#socket.on("close", () => {
      const open = [...this.#open.values()];
      this.#open.clear();
      for (const { answered } of open) answered.onEnd(false);
    });
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#flush();
  }

  /** Asks, with a message that has its prefix. A stream stays open for more. */
  call(headers: HeaderSource, framedMessage: Uint8Array, answered: Answered, staysOpen = false): void {
    if (this.#left !== undefined) throw this.#left;
    const id = this.#nextId;
    this.#nextId += 2;
    this.#open.set(id, { answered, hasData: false });
    this.#writer.headers(id, this.#encoder.encode(headers), false, MAX_FRAME_BYTES);
    this.#writer.data(id, framedMessage, !staysOpen);
    this.#flushSoon();
  }

  close(): void {
    this.#open.clear();
    this.#socket.destroy();
  }

  #flushSoon(): void {
    if (this.#flushIsDue) return;
    this.#flushIsDue = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#flushIsDue = false;
    if (this.#writer.length === 0) return;
    const chunks = this.#writer.take();
    if (chunks.length === 1) {
      this.#socket.write(chunks[0]!);
      return;
    }
    this.#socket.cork();
    for (const chunk of chunks) this.#socket.write(chunk);
    this.#socket.uncork();
  }

  #read(chunk: Buffer): void {
    const data = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    let at = 0;
    while (data.length - at >= 9) {
      const size = (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!;
      if (data.length - at - 9 < size) break;
      this.#frame(data, at, size);
      at += 9 + size;
    }
    if (at < data.length) this.#rest = data.subarray(at);
    if (this.#received > WINDOW / 2) {
      this.#writer.windowUpdate(0, this.#received);
      this.#received = 0;
      this.#flushSoon();
    }
  }

  #frame(data: Buffer, at: number, size: number): void {
    const type = data[at + 3]!;
    const flags = data[at + 4]!;
    const start = at + 9;
    if (type <= 1) {
      const id = data.readUInt32BE(at + 5);
      const open = this.#open.get(id);
      if (type === 0) this.#received += size;
      if (open === undefined) return;
      if (type === 0 && size > 0) {
        open.hasData = true;
        open.answered.onData?.(data, start, start + size);
      }
      if (flags & 1) {
        this.#open.delete(id);
        open.answered.onEnd(open.hasData);
      }
    } else if (type === 4 && (flags & 1) === 0) {
      this.#writer.settingsAck();
      this.#flushSoon();
    } else if (type === 6 && (flags & 1) === 0) {
      this.#writer.ping(Buffer.from(data.subarray(start, start + 8)), true);
      this.#flushSoon();
    } else if (type === 3) {
      const id = data.readUInt32BE(at + 5);
      const open = this.#open.get(id);
      this.#open.delete(id);
      open?.answered.onEnd(false);
    } else if (type === 7)
      throw new Error(`the server says goodbye: ${data.toString("latin1", start + 8, start + size)}`);
  }
}

export interface Call {
  readonly headers: HeaderSource;
  readonly message: Uint8Array;
}

/** What one client of a load does: the next call, and what it learns from answers. */
export interface Client {
  next(): Call;
  /** The first piece of each answer. */
  learn?(buffer: Buffer, start: number, end: number): void;
}

export interface Turn {
  readonly seconds: number;
  readonly latencies: Float64Array;
  readonly errors: number;
  /** Cores that this process kept busy. */
  readonly loadCores: number;
}

/** One call after the other from each client, for so long. Clients share connections, ten on each. */
export async function drive(
  connections: readonly GrpcConnection[],
  clients: readonly Client[],
  seconds: number,
): Promise<Turn> {
  let latencies = new Float64Array(1 << 16);
  let count = 0;
  let errors = 0;
  let running = clients.length;
  const cpu = process.cpuUsage();
  const started = performance.now();
  const end = started + seconds * 1000;
  await new Promise<void>((resolve) => {
    clients.forEach((client, i) => {
      const connection = connections[i % connections.length]!;
      let asked = 0;
      let isFirst = true;
      const answered: Answered = {
        onData(buffer, from, to) {
          if (isFirst) client.learn?.(buffer, from, to);
          isFirst = false;
        },
        onEnd(ok) {
          const now = performance.now();
          if (!ok) errors++;
          else {
            if (count === latencies.length) {
              const more = new Float64Array(count * 2);
              more.set(latencies);
              latencies = more;
            }
            latencies[count++] = now - asked;
          }
          if (now < end && (ok || errors < 100)) ask(now);
          else if (--running === 0) resolve();
        },
      };
      const ask = (now: number) => {
        asked = now;
        isFirst = true;
        const { headers, message } = client.next();
        connection.call(headers, message, answered);
      };
      ask(performance.now());
    });
  });
  const { user, system } = process.cpuUsage(cpu);
  const took = (performance.now() - started) / 1000;
  return { seconds: took, latencies: latencies.subarray(0, count), errors, loadCores: (user + system) / 1e6 / took };
}

export const p99 = (latencies: readonly number[]): number => quantile(latencies, 0.99);
