/**
 * An HTTPS client for load: requests on raw TLS sockets, over HTTP/2 or over HTTP/1.1 with keep-alive, nothing decoded but the status. It costs a
 * fraction of any server, so that what is measured is the server.
 */
import { connect, type TLSSocket } from "node:tls";
import { FrameWriter } from "../../wire/http2/frame-writer.ts";
import { HeaderDecoder } from "../../wire/http2/hpack/decoder.ts";
import { HeaderEncoder } from "../../wire/http2/hpack/encoder.ts";
import { PREFACE } from "../../wire/http2/protocol.ts";

export type Protocol = "HTTP/2" | "HTTP/1.1";

export interface Target {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: Uint8Array;
  readonly type?: string;
  readonly accept?: string;
  /** Default none. */
  readonly encoding?: string;
}

export interface Answered {
  /** A piece of the answer, `[start, end)` of `buffer`, which is good until this returns. */
  onData?(buffer: Buffer, start: number, end: number): void;
  /** The answer is whole; 0: it was cut. */
  onEnd(status: number): void;
}

export interface Connection {
  readonly ready: Promise<void>;
  call(request: Request, answered: Answered): void;
  /** Nothing is read any more: what a client does that hangs. */
  pause(): void;
  readonly closed: Promise<void>;
  /** What is under way is not heard of any more. */
  close(): void;
}

export function connectTo(target: Target, protocol: Protocol): Connection {
  return protocol === "HTTP/2" ? new Http2(target) : new Http1(target);
}

export async function connected(target: Target, protocol: Protocol, count: number): Promise<readonly Connection[]> {
  const all = Array.from({ length: count }, () => connectTo(target, protocol));
  await Promise.all(all.map(({ ready }) => ready));
  return all;
}

const AGENT = "kubectl/v1.36.0 (linux/amd64) kubernetes/0000000";
const WINDOW = 1 << 30;
const MAX_FRAME_BYTES = 16_384;
/** What is read at once: as much as OpenSSL gives. */
const READ_BYTES = 64 * 1024;

abstract class Base implements Connection {
  protected readonly socket: TLSSocket;
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  #left = false;

  constructor({ port, ca, cert, key }: Target, protocol: string) {
    // Read into the same memory again and again: who hears of half a million events a second has other things to do than to collect garbage.
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const callback = (length: number): boolean => {
      this.read(buffer, length);
      return true;
    };
    const options = { host: "127.0.0.1", port, ca, cert, key, ALPNProtocols: [protocol], onread: { buffer, callback } };
    this.socket = connect(options);
    this.socket.setNoDelay(true);
    this.ready = new Promise((resolve, reject) => {
      this.socket.once("secureConnect", resolve);
      this.socket.once("error", reject);
    });
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      if (!this.#left) this.lost();
    });
  }

  abstract call(request: Request, answered: Answered): void;
  /** The first bytes of the buffer have come; it is another's when this returns. */
  protected abstract read(buffer: Buffer, length: number): void;
  protected abstract lost(): void;

  /** Whether the connection has ended before the request; a server with too much to do cuts those off whose handshakes last. */
  protected isTooLate(answered: Answered): boolean {
    if (this.socket.destroyed) queueMicrotask(() => answered.onEnd(0));
    return this.socket.destroyed;
  }

  pause(): void {
    this.socket.pause();
  }
  close(): void {
    this.#left = true;
    this.socket.destroy();
  }
}

class Http2 extends Base {
  readonly #writer = new FrameWriter();
  readonly #encoder = new HeaderEncoder();
  readonly #decoder = new HeaderDecoder({ maxListBytes: 1 << 20, maxHeaders: 1000 });
  readonly #open = new Map<number, { readonly answered: Answered; status: number }>();
  #nextId = 1;
  #received = 0;
  /** The frame that comes in part: its head, then all of it unless it is data. */
  #rest: { bytes: Buffer; length: number } | undefined;
  /** Of a frame of data: whose it is, what is still to come of it, and whether it ends the answer. */
  #id = 0;
  #of: { readonly answered: Answered; status: number } | undefined;
  #left = 0;
  #ends = false;
  #flushIsDue = false;

  constructor(target: Target) {
    super(target, "h2");
    this.#writer.raw(Buffer.from(PREFACE));
    this.#writer.settings([
      [2, 0],
      [4, WINDOW],
    ]);
    this.#writer.windowUpdate(0, WINDOW);
    this.#flush();
  }

  call({ method, path, body, type, accept, encoding }: Request, answered: Answered): void {
    if (this.isTooLate(answered)) return;
    const id = this.#nextId;
    this.#nextId += 2;
    this.#open.set(id, { answered, status: 0 });
    const headers: Record<string, string> = {
      ":method": method,
      ":scheme": "https",
      ":path": path,
      ":authority": "127.0.0.1",
      accept: accept ?? "application/json",
      "user-agent": AGENT,
    };
    if (encoding !== undefined) headers["accept-encoding"] = encoding;
    if (body !== undefined) {
      headers["content-type"] = type ?? "application/json";
      headers["content-length"] = String(body.length);
    }
    this.#writer.headers(id, this.#encoder.encode(headers), body === undefined, MAX_FRAME_BYTES);
    for (let at = 0; body !== undefined && at < body.length; at += MAX_FRAME_BYTES)
      this.#writer.data(id, body.subarray(at, at + MAX_FRAME_BYTES), at + MAX_FRAME_BYTES >= body.length);
    if (this.#flushIsDue) return;
    this.#flushIsDue = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#flushIsDue = false;
    if (this.#writer.length === 0) return;
    const chunks = this.#writer.take();
    if (chunks.length === 1) return void this.socket.write(chunks[0]!);
    this.socket.cork();
    for (const chunk of chunks) this.socket.write(chunk);
    this.socket.uncork();
  }

  protected lost(): void {
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const { answered } of open) answered.onEnd(0);
  }

  protected read(buffer: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      if (this.#left > 0) {
        at = this.#data(buffer, at, length);
        continue;
      }
      if (this.#rest !== undefined) {
        at += this.#fill(this.#rest, buffer, at, length);
        continue;
      }
      const size = length - at < 9 ? 0 : sizeOf(buffer, at);
      if (length - at >= 9 && buffer[at + 3] === 0) {
        this.#begin(buffer, at, size);
        at += 9;
      } else if (length - at >= 9 + size) {
        this.#frame(buffer, at, size);
        at += 9 + size;
      } else {
        this.#rest = { bytes: Buffer.alloc(9), length: 0 };
      }
    }
    if (this.#received > WINDOW / 4) {
      this.#writer.windowUpdate(0, this.#received);
      this.#received = 0;
    }
    this.#flush();
  }

  /** Takes what a frame's head lacks, or the whole of one that isn't data; says how much that was. */
  #fill(rest: { bytes: Buffer; length: number }, buffer: Buffer, at: number, length: number): number {
    const taken = Math.min(length - at, rest.bytes.length - rest.length);
    buffer.copy(rest.bytes, rest.length, at, at + taken);
    rest.length += taken;
    if (rest.length < rest.bytes.length) return taken;
    const size = sizeOf(rest.bytes, 0);
    if (rest.bytes[3] === 0) {
      this.#rest = undefined;
      this.#begin(rest.bytes, 0, size);
    } else if (rest.length === 9 + size) {
      this.#rest = undefined;
      this.#frame(rest.bytes, 0, size);
    } else {
      rest.bytes = Buffer.concat([rest.bytes, Buffer.alloc(size)]);
    }
    return taken;
  }

  /** A frame of data, which is handed on as it comes. */
  #begin(data: Buffer, at: number, size: number): void {
    this.#received += size;
    this.#left = size;
    this.#id = data.readUInt32BE(at + 5);
    this.#of = this.#open.get(this.#id);
    this.#ends = (data[at + 4]! & 1) !== 0;
    if (size === 0) this.#endData();
  }

  #data(buffer: Buffer, at: number, length: number): number {
    const end = Math.min(length, at + this.#left);
    this.#left -= end - at;
    this.#of?.answered.onData?.(buffer, at, end);
    if (this.#left === 0) this.#endData();
    return end;
  }

  #endData(): void {
    const of = this.#of;
    this.#of = undefined;
    if (!this.#ends || of === undefined) return;
    this.#open.delete(this.#id);
    of.answered.onEnd(of.status);
  }

  /** One that isn't data. */
  #frame(data: Buffer, at: number, size: number): void {
    const type = data[at + 3]!;
    const flags = data[at + 4]!;
    const start = at + 9;
    if (type === 1) {
      const id = data.readUInt32BE(at + 5);
      const open = this.#open.get(id);
      const list = this.#decoder.decode(data, start, start + size)!;
      if (open === undefined) return;
      open.status = Number(list[1]);
      if ((flags & 1) === 0) return;
      this.#open.delete(id);
      open.answered.onEnd(open.status);
    } else if (type === 4 && (flags & 1) === 0) this.#writer.settingsAck();
    else if (type === 6 && (flags & 1) === 0) this.#writer.ping(Buffer.from(data.subarray(start, start + 8)), true);
    else if (type === 3) {
      const id = data.readUInt32BE(at + 5);
      const open = this.#open.get(id);
      this.#open.delete(id);
      open?.answered.onEnd(0);
    } else if (type === 7) this.socket.destroy();
  }
}

const sizeOf = (head: Buffer, at: number): number => (head[at]! << 16) | (head[at + 1]! << 8) | head[at + 2]!;

/** One request at a time. */
class Http1 extends Base {
  #answered: Answered | undefined;
  #rest: Buffer | undefined;
  #status = 0;
  /** Of the body: bytes that are still to come; -1: it has chunks. */
  #left = 0;
  #inBody = false;

  constructor(target: Target) {
    super(target, "http/1.1");
  }

  call({ method, path, body, type, accept, encoding }: Request, answered: Answered): void {
    if (this.isTooLate(answered)) return;
    this.#answered = answered;
    const content =
      body === undefined ? "" : `Content-Type: ${type ?? "application/json"}\r\nContent-Length: ${body.length}\r\n`;
    const packed = encoding === undefined ? "" : `Accept-Encoding: ${encoding}\r\n`;
    const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: ${AGENT}\r\nAccept: ${accept ?? "application/json"}\r\n${content}${packed}\r\n`;
    const bytes = Buffer.allocUnsafe(head.length + (body?.length ?? 0));
    bytes.write(head, 0, "latin1");
    if (body !== undefined) bytes.set(body, head.length);
    this.socket.write(bytes);
  }

  protected lost(): void {
    const answered = this.#answered;
    this.#answered = undefined;
    answered?.onEnd(0);
  }

  protected read(buffer: Buffer, length: number): void {
    const chunk = buffer.subarray(0, length);
    const data = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    let at = 0;
    if (!this.#inBody) {
      const end = data.indexOf("\r\n\r\n");
      if (end < 0) return void (this.#rest = Buffer.from(data));
      const head = data.toString("latin1", 0, end);
      this.#status = Number(head.slice(9, 12));
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      this.#left = length === undefined ? -1 : Number(length);
      this.#inBody = true;
      at = end + 4;
    }
    if (this.#left >= 0) {
      const end = Math.min(data.length, at + this.#left);
      if (end > at) this.#answered?.onData?.(data, at, end);
      this.#left -= end - at;
      if (this.#left === 0) this.#end();
      return;
    }
    while (at < data.length) {
      const line = data.indexOf("\r\n", at);
      if (line < 0) break;
      const size = Number.parseInt(data.toString("latin1", at, line), 16);
      if (data.length < line + 4 + size) break;
      if (size === 0) return this.#end();
      this.#answered?.onData?.(data, line + 2, line + 2 + size);
      at = line + 4 + size;
    }
    if (at < data.length) this.#rest = Buffer.from(data.subarray(at));
  }

  #end(): void {
    this.#inBody = false;
    const answered = this.#answered;
    this.#answered = undefined;
    answered?.onEnd(this.#status);
  }
}

/** One answer, with its bytes. */
export function ask(
  connection: Connection,
  request: Request,
): Promise<{ readonly status: number; readonly body: Buffer }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    connection.call(request, {
      onData: (buffer, start, end) => void chunks.push(Buffer.from(buffer.subarray(start, end))),
      onEnd: (status) => resolve({ status, body: Buffer.concat(chunks) }),
    });
  });
}

/** As `ask`, and an answer that is no success is an error that shows it. */
export async function askWell(connection: Connection, request: Request): Promise<Buffer> {
  const { status, body } = await ask(connection, request);
  if (status >= 200 && status < 300) return body;
  throw new Error(`${request.method} ${request.path}: ${status} ${body.toString().slice(0, 1000)}`);
}

export interface Turn {
  readonly seconds: number;
  readonly latencies: Float64Array;
  readonly bytes: number;
  readonly errors: number;
  readonly firstError: string;
  /** Cores that this process kept busy. */
  readonly loadCores: number;
}

export interface Bound {
  readonly seconds?: number;
  readonly requests?: number;
}

/** One request after the other from each of so many clients, who share the connections, for so long or until there were so many. */
export async function drive(
  connections: readonly Connection[],
  clients: number,
  { seconds = Number.POSITIVE_INFINITY, requests = Number.POSITIVE_INFINITY }: Bound,
  next: (number: number) => Request,
): Promise<Turn> {
  let latencies = new Float64Array(1 << 16);
  let count = 0;
  let asked = 0;
  let errors = 0;
  let bytes = 0;
  let running = clients;
  let firstError = "";
  const cpu = process.cpuUsage();
  const started = performance.now();
  const end = started + seconds * 1000;
  await new Promise<void>((resolve) => {
    for (let i = 0; i < clients; i++) {
      const connection = connections[i % connections.length]!;
      let askedAt = 0;
      let text = "";
      const answered: Answered = {
        onData(buffer, from, to) {
          bytes += to - from;
          if (firstError === "" && text.length < 500 && to - from < 2000) text = buffer.toString("latin1", from, to);
        },
        onEnd(status) {
          const now = performance.now();
          if (status < 200 || status >= 300) {
            errors++;
            if (firstError === "") firstError = `${status} ${text}`;
          } else {
            if (count === latencies.length) {
              const more = new Float64Array(count * 2);
              more.set(latencies);
              latencies = more;
            }
            latencies[count++] = now - askedAt;
          }
          if (now < end && asked < requests && errors < 100) askNext(now);
          else if (--running === 0) resolve();
        },
      };
      const askNext = (now: number) => {
        askedAt = now;
        text = "";
        connection.call(next(asked++), answered);
      };
      askNext(performance.now());
    }
  });
  const { user, system } = process.cpuUsage(cpu);
  const took = (performance.now() - started) / 1000;
  return {
    seconds: took,
    latencies: latencies.subarray(0, count),
    bytes,
    errors,
    firstError,
    loadCores: (user + system) / 1e6 / took,
  };
}
