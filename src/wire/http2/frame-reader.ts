/** Cuts a connection's bytes into frames. Payloads are slices of the input, copied only if a frame arrives in pieces. */
import { DEFAULT_FRAME_BYTES, FRAME_HEADER_BYTES, Http2Error } from "./protocol.ts";

export interface FrameSink {
  /** The payload is `buffer` from `start` to `end`. */
  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void;
}

export class FrameReader {
  readonly #sink: FrameSink;
  /** The header of a frame that has not all come, and its payload. */
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  #payload: Buffer | undefined;
  #payloadBytes = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Hands on every frame that is whole now. What the sink throws ends it. */
  push(chunk: Buffer): void {
    const { length } = chunk;
    let at = this.#headerBytes > 0 ? this.#finish(chunk) : 0;
    while (length - at >= FRAME_HEADER_BYTES) {
      const size = sizeOf(chunk, at);
      const start = at + FRAME_HEADER_BYTES;
      if (length - start < size) break;
      at = start + size;
      this.#sink.onFrame(chunk[start - 6]!, chunk[start - 5]!, streamOf(chunk, start - 4), chunk, start, at);
    }
    if (at < length) this.#keep(chunk, at);
  }

  /** The rest of the frame that was begun; says where the next one starts. */
  #finish(chunk: Buffer): number {
    const header = this.#header;
    let at = Math.min(chunk.length, FRAME_HEADER_BYTES - this.#headerBytes);
    chunk.copy(header, this.#headerBytes, 0, at);
    this.#headerBytes += at;
    if (this.#headerBytes < FRAME_HEADER_BYTES) return at;
    const payload = (this.#payload ??= Buffer.allocUnsafe(sizeOf(header, 0)));
    const taken = Math.min(chunk.length - at, payload.length - this.#payloadBytes);
    chunk.copy(payload, this.#payloadBytes, at, at + taken);
    this.#payloadBytes += taken;
    at += taken;
    if (this.#payloadBytes < payload.length) return at;
    this.#headerBytes = 0;
    this.#payloadBytes = 0;
    this.#payload = undefined;
    this.#sink.onFrame(header[3]!, header[4]!, streamOf(header, 5), payload, 0, payload.length);
    return at;
  }

  #keep(chunk: Buffer, at: number): void {
    const rest = chunk.length - at;
    this.#headerBytes = Math.min(rest, FRAME_HEADER_BYTES);
    chunk.copy(this.#header, 0, at, at + this.#headerBytes);
    if (rest < FRAME_HEADER_BYTES) return;
    this.#payload = Buffer.allocUnsafe(sizeOf(chunk, at));
    this.#payloadBytes = chunk.copy(this.#payload, 0, at + FRAME_HEADER_BYTES);
  }
}

function sizeOf(buffer: Buffer, at: number): number {
  const size = (buffer[at]! << 16) | (buffer[at + 1]! << 8) | buffer[at + 2]!;
  if (size > DEFAULT_FRAME_BYTES) throw new Http2Error("FRAME_SIZE_ERROR", `a frame of ${size} bytes`);
  return size;
}

function streamOf(buffer: Buffer, at: number): number {
  return ((buffer[at]! & 0x7f) << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
}
