/** RFC 6455's frames. */
import { ByteBuffer } from "../byte-buffer.ts";

const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type Opcode = keyof typeof OPCODES;

export interface Frame {
  readonly final: boolean;
  readonly opcode: Opcode;
  readonly payload: Uint8Array;
}

/** A break of the protocol; `code` is the one to close with. */
export class WebSocketError extends Error {
  override readonly name = "WebSocketError";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** With a mask (clients' frames have one) the payload is copied, otherwise it is a chunk of its own. */
export function encodeFrame(frame: Frame, mask?: Uint8Array): Uint8Array[] {
  const { length } = frame.payload;
  const extended = length < 126 ? 0 : length < 0x10000 ? 2 : 8;
  const head = Buffer.alloc(2 + extended + (mask ? 4 : 0));
  head[0] = (frame.final ? 0x80 : 0) | OPCODES[frame.opcode];
  head[1] = (mask ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  else if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!mask) return length === 0 ? [head] : [head, frame.payload];
  head.set(mask, 2 + extended);
  return [head, masked(frame.payload, mask)];
}

function masked(payload: Uint8Array, mask: Uint8Array): Uint8Array {
  const out = new Uint8Array(payload.length);
  for (let i = 0; i < payload.length; i++) out[i] = payload[i]! ^ mask[i & 3]!;
  return out;
}

const NAMES = new Map<number, Opcode>(Object.entries(OPCODES).map(([name, code]) => [code, name as Opcode]));

/** Cuts bytes into frames. `expectMask`: a server's peer must mask, a client's must not. */
export class FrameParser {
  readonly #buffer = new ByteBuffer();
  readonly #expectMask: boolean;
  readonly #maxBytes: number;

  constructor(expectMask: boolean, maxBytes: number) {
    this.#expectMask = expectMask;
    this.#maxBytes = maxBytes;
  }

  push(chunk: Uint8Array): Frame[] {
    this.#buffer.push(chunk);
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | undefined {
    let buffer = this.#buffer.peek(2);
    if (!buffer) return undefined;
    const [first, second] = [buffer[0]!, buffer[1]!];
    if (first & 0x70) throw new WebSocketError(1002, "reserved bits are set");
    const opcode = NAMES.get(first & 0x0f);
    if (!opcode) throw new WebSocketError(1002, `unknown opcode ${first & 0x0f}`);
    const hasMask = (second & 0x80) !== 0;
    if (hasMask !== this.#expectMask)
      throw new WebSocketError(1002, hasMask ? "a masked frame from a server" : "an unmasked frame from a client");
    let length = second & 0x7f;
    let at = 2;
    if (length === 126) {
      buffer = this.#buffer.peek(4);
      if (!buffer) return undefined;
      length = buffer.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      buffer = this.#buffer.peek(10);
      if (!buffer) return undefined;
      const big = buffer.readBigUInt64BE(2);
      if (big > BigInt(this.#maxBytes)) throw new WebSocketError(1009, "the message is too big");
      length = Number(big);
      at = 10;
    }
    if (length > this.#maxBytes) throw new WebSocketError(1009, "the message is too big");
    const final = (first & 0x80) !== 0;
    if (OPCODES[opcode] >= 8 && (!final || length > 125))
      throw new WebSocketError(1002, "a control frame that is long or in parts");
    const start = at + (hasMask ? 4 : 0);
    buffer = this.#buffer.peek(start + length);
    if (!buffer) return undefined;
    const body = buffer.subarray(start, start + length);
    const payload = hasMask
      ? masked(body, buffer.subarray(at, start))
      : new Uint8Array(body.buffer, body.byteOffset, length);
    this.#buffer.skip(start + length);
    return { final, opcode, payload };
  }
}
