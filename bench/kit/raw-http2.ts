/**
 * The least that a load generator can do: the same request over and over on raw sockets, answers counted by their END_STREAM. It costs a fraction
 * of any server, so that what is measured is the server.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { FrameWriter } from "../../src/wire/http2/frame-writer.ts";
import { HeaderEncoder } from "../../src/wire/http2/hpack/encoder.ts";
import { PREFACE } from "../../src/wire/http2/protocol.ts";

export interface RawRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

const WINDOW = 1 << 30;

export class RawConnection {
  readonly #socket: Socket;
  readonly #writer = new FrameWriter();
  readonly #encoder = new HeaderEncoder();
  readonly #request: RawRequest;
  readonly #streams: number;
  #nextId = 1;
  #open = 0;
  #received = 0;
  #until = 0;
  #finished: (() => void) | undefined;
  #rest: Buffer | undefined;
  answers = 0;

  constructor(port: number, tls: boolean, streams: number, request: RawRequest) {
    const to = { host: "127.0.0.1", port };
    this.#socket = tls ? connectTls({ ...to, rejectUnauthorized: false, ALPNProtocols: ["h2"] }) : connect(to);
    this.#socket.setNoDelay(true);
    this.#streams = streams;
    this.#request = request;
    this.#writer.raw(Buffer.from(PREFACE));
    this.#writer.settings([
      [2, 0],
      [4, WINDOW],
    ]);
    this.#writer.windowUpdate(0, WINDOW);
    this.#flush();
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  /** Keeps the streams busy for so long. */
  run(ms: number): Promise<void> {
    this.#until = performance.now() + ms;
    while (this.#open < this.#streams) this.#ask();
    this.#flush();
    return new Promise((resolve) => (this.#finished = resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(): void {
    const { headers, body } = this.#request;
    const id = this.#nextId;
    this.#nextId += 2;
    this.#open++;
    this.#writer.headers(id, this.#encoder.encode(headers), body === undefined, 16_384);
    if (body !== undefined) this.#writer.data(id, body, true);
  }

  #flush(): void {
    if (this.#writer.length === 0) return;
    this.#socket.cork();
    for (const chunk of this.#writer.take()) this.#socket.write(chunk);
    this.#socket.uncork();
  }

  #read(chunk: Buffer): void {
    const data = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    const more = performance.now() < this.#until;
    let at = 0;
    while (data.length - at >= 9) {
      const size = (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!;
      if (data.length - at - 9 < size) break;
      const type = data[at + 3]!;
      const flags = data[at + 4]!;
      if (type <= 1 && flags & 1) {
        this.answers++;
        this.#open--;
        if (more) this.#ask();
      } else if (type === 4 && (flags & 1) === 0) this.#writer.settingsAck();
      else if (type === 3 || type === 7)
        throw new Error(`the server sent a frame of type ${type}: ${data.toString("latin1", at + 9, at + 9 + size)}`);
      if (type === 0) this.#received += size;
      at += 9 + size;
    }
    if (at < data.length) this.#rest = data.subarray(at);
    if (this.#received > WINDOW / 2) {
      this.#writer.windowUpdate(0, this.#received);
      this.#received = 0;
    }
    this.#flush();
    if (!more && this.#open === 0) this.#finished?.();
  }
}
