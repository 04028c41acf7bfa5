/** SPDY/3.1's frames. */
import { ByteBuffer } from "../byte-buffer.ts";
import { HeaderReader, HeaderWriter, type SpdyHeaders } from "./headers.ts";

export type SpdyFrame =
  | { readonly type: "data"; readonly stream: number; readonly fin: boolean; readonly data: Uint8Array }
  | {
      readonly type: "syn-stream";
      readonly stream: number;
      readonly associated: number;
      readonly priority: number;
      readonly fin: boolean;
      readonly unidirectional: boolean;
      readonly headers: SpdyHeaders;
    }
  | { readonly type: "syn-reply"; readonly stream: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: "rst-stream"; readonly stream: number; readonly status: number }
  | { readonly type: "settings"; readonly values: ReadonlyMap<number, number> }
  | { readonly type: "ping"; readonly id: number }
  | { readonly type: "goaway"; readonly lastStream: number; readonly status: number }
  | { readonly type: "headers"; readonly stream: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: "window-update"; readonly stream: number; readonly delta: number }
  /** One that this version doesn't know; it is ignored. */
  | { readonly type: "unknown"; readonly code: number };

const CODES = {
  "syn-stream": 1,
  "syn-reply": 2,
  "rst-stream": 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  headers: 8,
  "window-update": 9,
} as const;

export const RST = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5, internalError: 6 } as const;

const FIN = 1;
const UNIDIRECTIONAL = 2;

export class SpdyError extends Error {
  override readonly name = "SpdyError";
}

/** One direction's frames to bytes; header blocks share a deflate stream, so frames must be sent in the order of encoding. */
export class SpdyEncoder {
  readonly #headers = new HeaderWriter();

  encode(frame: Exclude<SpdyFrame, { type: "unknown" }>): Uint8Array[] {
    switch (frame.type) {
      case "data": {
        const head = Buffer.alloc(8);
        head.writeUInt32BE(frame.stream, 0);
        head.writeUInt32BE(frame.data.length, 4);
        head[4] = frame.fin ? FIN : 0;
        return frame.data.length === 0 ? [head] : [head, frame.data];
      }
      case "syn-stream": {
        const fixed = numbers(frame.stream, frame.associated);
        const priority = Buffer.from([frame.priority << 5, 0]);
        const flags = (frame.fin ? FIN : 0) | (frame.unidirectional ? UNIDIRECTIONAL : 0);
        return [control(frame.type, flags, Buffer.concat([fixed, priority, this.#headers.write(frame.headers)]))];
      }
      case "syn-reply":
      case "headers":
        return [
          control(
            frame.type,
            frame.fin ? FIN : 0,
            Buffer.concat([numbers(frame.stream), this.#headers.write(frame.headers)]),
          ),
        ];
      case "rst-stream":
        return [control(frame.type, 0, numbers(frame.stream, frame.status))];
      case "settings":
        return [control(frame.type, 0, numbers(frame.values.size, ...[...frame.values].flat()))];
      case "ping":
        return [control(frame.type, 0, numbers(frame.id))];
      case "goaway":
        return [control(frame.type, 0, numbers(frame.lastStream, frame.status))];
      case "window-update":
        return [control(frame.type, 0, numbers(frame.stream, frame.delta))];
    }
  }
}

function numbers(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => buffer.writeUInt32BE(value, i * 4));
  return buffer;
}

function control(type: keyof typeof CODES, flags: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(0x8003, 0);
  head.writeUInt16BE(CODES[type], 2);
  head.writeUInt32BE(body.length, 4);
  head[4] = flags;
  return Buffer.concat([head, body]);
}

/** Bytes to frames, whatever chunks they come in. */
export class SpdyDecoder {
  readonly #headers = new HeaderReader();
  readonly #buffer = new ByteBuffer();

  push(chunk: Uint8Array): SpdyFrame[] {
    this.#buffer.push(chunk);
    const frames: SpdyFrame[] = [];
    for (let head = this.#buffer.peek(8); head; head = this.#buffer.peek(8)) {
      const word = head.readUInt32BE(4);
      const length = word & 0xffffff;
      const whole = this.#buffer.peek(8 + length);
      if (!whole) break;
      frames.push(this.#frame(whole.readUInt32BE(0), word >>> 24, whole.subarray(8, 8 + length)));
      this.#buffer.skip(8 + length);
    }
    return frames;
  }

  #frame(first: number, flags: number, body: Buffer): SpdyFrame {
    const fin = (flags & FIN) !== 0;
    if (first < 0x80000000)
      return { type: "data", stream: first, fin, data: new Uint8Array(body.buffer, body.byteOffset, body.length) };
    const version = (first >>> 16) & 0x7fff;
    if (version !== 3) throw new SpdyError(`SPDY version ${version}`);
    const number = (at: number) => {
      if (body.length < at + 4) throw new SpdyError("a control frame that is cut short");
      return body.readUInt32BE(at) & 0x7fffffff;
    };
    switch (first & 0xffff) {
      case CODES["syn-stream"]:
        return {
          type: "syn-stream",
          stream: number(0),
          associated: number(4),
          priority: body[8]! >>> 5,
          fin,
          unidirectional: (flags & UNIDIRECTIONAL) !== 0,
          headers: this.#headers.read(body.subarray(10)),
        };
      case CODES["syn-reply"]:
        return { type: "syn-reply", stream: number(0), fin, headers: this.#headers.read(body.subarray(4)) };
      case CODES["rst-stream"]:
        return { type: "rst-stream", stream: number(0), status: number(4) };
      case CODES.settings: {
        const values = new Map<number, number>();
        for (let i = 0; i < number(0); i++) values.set(number(4 + i * 8) & 0xffffff, number(8 + i * 8));
        return { type: "settings", values };
      }
      case CODES.ping:
        return { type: "ping", id: number(0) };
      case CODES.goaway:
        return { type: "goaway", lastStream: number(0), status: number(4) };
      case CODES.headers:
        return { type: "headers", stream: number(0), fin, headers: this.#headers.read(body.subarray(4)) };
      case CODES["window-update"]:
        return { type: "window-update", stream: number(0), delta: number(4) };
      default:
        return { type: "unknown", code: first & 0xffff };
    }
  }
}
