/** gRPC's framing: one byte that says whether the message is compressed, four bytes with its length, the message. */
import { gunzipSync, inflateSync } from "node:zlib";
import { RpcError } from "./service.ts";

export const PREFIX_BYTES = 5;

/** Fills in the prefix that `codec.encode(…, PREFIX_BYTES)` left free. */
export function framed(message: Uint8Array): Uint8Array {
  const length = message.length - PREFIX_BYTES;
  message[1] = length >>> 24;
  message[2] = length >>> 16;
  message[3] = length >>> 8;
  message[4] = length;
  return message;
}

/** The prefix of a message that follows by itself. */
export function framePrefix(length: number): Uint8Array {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** The message of a chunk that is one frame, neither more nor less, and not compressed; it has memory of its own. */
export function wholeMessage(chunk: Uint8Array, maxBytes: number): Uint8Array | undefined {
  const length = chunk.length - PREFIX_BYTES;
  if (length < 0 || length > maxBytes || chunk[0] !== 0) return undefined;
  if (((chunk[1]! << 24) | (chunk[2]! << 16) | (chunk[3]! << 8) | chunk[4]!) !== length) return undefined;
  return own(chunk, PREFIX_BYTES);
}

/** Fields are views of their message, and what keeps one must not keep a whole socket buffer. */
function own(chunk: Uint8Array, start: number, end = chunk.length): Uint8Array {
  const message = new Uint8Array(end - start);
  message.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
  return message;
}

export interface FrameOptions {
  readonly maxBytes: number;
  /** The value of `grpc-encoding`. */
  readonly encoding: string | undefined;
}

/** Cuts a body into messages, whatever chunks it comes in. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #encoding: string | undefined;
  #rest: Uint8Array | undefined;
  /** Chunks of a message that has not all come yet, and how many bytes it still lacks. */
  #parts: Uint8Array[] = [];
  #lacking = 0;

  constructor({ maxBytes, encoding }: FrameOptions) {
    this.#maxBytes = maxBytes;
    this.#encoding = encoding;
  }

  /** Hands in a chunk; then call `next` until it gives undefined. */
  push(chunk: Uint8Array): void {
    if (this.#lacking > 0) {
      this.#parts.push(chunk);
      this.#lacking -= chunk.length;
      if (this.#lacking > 0) return;
      this.#rest = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#lacking = 0;
    } else this.#rest = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
  }

  next(): Uint8Array | undefined {
    const rest = this.#rest;
    if (rest === undefined) return undefined;
    if (rest.length < PREFIX_BYTES) return undefined;
    const length = ((rest[1]! << 24) | (rest[2]! << 16) | (rest[3]! << 8) | rest[4]!) >>> 0;
    if (length > this.#maxBytes)
      throw new RpcError(
        "ResourceExhausted",
        `grpc: received message larger than max (${length} vs. ${this.#maxBytes})`,
      );
    const end = PREFIX_BYTES + length;
    if (rest.length < end) {
      this.#parts = [rest];
      this.#lacking = end - rest.length;
      this.#rest = undefined;
      return undefined;
    }
    const message = own(rest, PREFIX_BYTES, end);
    this.#rest = rest.length === end ? undefined : rest.subarray(end);
    return rest[0] === 0 ? message : this.#inflate(rest[0]!, message);
  }

  /** The body ended: all of it must have made messages. */
  end(): void {
    if (this.#rest !== undefined || this.#lacking > 0) throw new RpcError("Internal", "unexpected EOF");
  }

  #inflate(flag: number, message: Uint8Array): Uint8Array {
    if (flag !== 1) throw new RpcError("Internal", `grpc: received unexpected payload format ${flag}`);
    const options = { maxOutputLength: this.#maxBytes };
    try {
      if (this.#encoding === "gzip") return new Uint8Array(gunzipSync(message, options));
      if (this.#encoding === "deflate") return new Uint8Array(inflateSync(message, options));
    } catch (cause) {
      if ((cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE")
        throw new RpcError(
          "ResourceExhausted",
          `grpc: received message after decompression larger than max ${this.#maxBytes}`,
          { cause },
        );
      throw new RpcError("Internal", `grpc: failed to decompress the received message: ${(cause as Error).message}`, {
        cause,
      });
    }
    if (this.#encoding === undefined || this.#encoding === "identity")
      throw new RpcError("Internal", "grpc: compressed flag set with identity or empty encoding");
    throw new RpcError("Unimplemented", `grpc: Decompressor is not installed for grpc-encoding "${this.#encoding}"`);
  }
}

/** Bytes outside of printable ASCII, and the percent sign, as `%XX`. */
export function encodeGrpcMessage(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let encoded = "";
  for (const byte of Buffer.from(message))
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return encoded;
}

export function decodeGrpcMessage(encoded: string): string {
  if (!encoded.includes("%")) return encoded;
  const bytes: number[] = [];
  for (let i = 0; i < encoded.length; i++) {
    const hex = encoded[i] === "%" ? encoded.slice(i + 1, i + 3) : "";
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else bytes.push(encoded.charCodeAt(i));
  }
  return Buffer.from(bytes).toString();
}

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** `grpc-timeout` in ms; undefined when malformed. */
export function parseGrpcTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match ? Number(match[1]) * UNITS[match[2]!]! : undefined;
}

export function formatGrpcTimeout(ms: number): string {
  const micros = Math.max(0, Math.ceil(ms * 1000));
  if (micros < 1e8) return `${micros}u`;
  if (ms < 1e8) return `${Math.ceil(ms)}m`;
  return `${Math.min(Math.ceil(ms / 1000), 99_999_999)}S`;
}
