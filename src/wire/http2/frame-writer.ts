/** Encodes frames. Everything that is written in one turn of work is joined into one write. */
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ERROR_CODES,
  type ErrorCode,
  FRAME_HEADER_BYTES,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./protocol.ts";

/** The first is enough for the opening; those of busy connections grow to the second, and beyond it they are lent one. */
const FIRST_SLAB_BYTES = 256;
const OWN_SLAB_BYTES = 16 * 1024;
/** What is larger leaves as it is; smaller is copied to where the frames are. */
export const COPIED_MAX = 2048;

/** Memory for what one turn of work writes to busy connections: few are at it at the same time, however many there are. */
export class Slabs {
  static readonly BYTES = 128 * 1024;
  static readonly #KEPT = 16;
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(Slabs.BYTES);
  }

  give(slab: Buffer): void {
    if (this.#free.length < Slabs.#KEPT) this.#free.push(slab);
  }
}

export class FrameWriter {
  readonly #slabs: Slabs;
  readonly #copiedMax: number;
  #own: Buffer = Buffer.allocUnsafeSlow(FIRST_SLAB_BYTES);
  #slab: Buffer = this.#own;
  /** The slab up to here has been taken, and up to there is written. */
  #start = 0;
  #at = 0;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(slabs = new Slabs(), copiedMax = COPIED_MAX) {
    this.#slabs = slabs;
    this.#copiedMax = copiedMax;
  }

  /** Whether a frame of so much data can be added, and all is still one piece. */
  hasRoomFor(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + FRAME_HEADER_BYTES + bytes <= Slabs.BYTES;
  }

  /** Bytes that wait to be taken. */
  get length(): number {
    return this.#bytes;
  }

  /** What has been written since the last time. */
  take(): readonly Uint8Array[] {
    this.#seal();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    return chunks;
  }

  /** Whatever was taken has left: the same memory serves the next frames. */
  reuse(): void {
    if (this.#bytes > 0) return;
    if (this.#slab !== this.#own) {
      if (this.#slab.length === Slabs.BYTES) this.#slabs.give(this.#slab);
      this.#slab = this.#own;
    }
    this.#start = 0;
    this.#at = 0;
  }

  raw(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    if (bytes.length <= this.#copiedMax) this.#copy(bytes);
    else {
      this.#seal();
      this.#chunks.push(bytes);
    }
  }

  data(streamId: number, bytes: Uint8Array, endStream: boolean): void {
    this.#header(bytes.length, DATA, endStream ? END_STREAM : 0, streamId);
    this.raw(bytes);
  }

  headers(streamId: number, block: Uint8Array, endStream: boolean, maxFrameBytes: number): void {
    const flags = endStream ? END_STREAM : 0;
    if (block.length <= maxFrameBytes) {
      this.#header(block.length, HEADERS, flags | END_HEADERS, streamId);
      this.#copied(block);
      return;
    }
    for (let at = 0; at < block.length; at += maxFrameBytes) {
      const part = block.subarray(at, at + maxFrameBytes);
      const last = at + maxFrameBytes >= block.length ? END_HEADERS : 0;
      this.#header(part.length, at === 0 ? HEADERS : CONTINUATION, (at === 0 ? flags : 0) | last, streamId);
      this.#copied(part);
    }
  }

  settings(values: readonly (readonly [id: number, value: number])[]): void {
    this.#header(values.length * 6, SETTINGS, 0, 0);
    for (const [id, value] of values) {
      this.#reserve(6);
      this.#slab.writeUInt16BE(id, this.#at);
      this.#slab.writeUInt32BE(value, this.#at + 2);
      this.#at += 6;
      this.#bytes += 6;
    }
  }

  settingsAck(): void {
    this.#header(0, SETTINGS, ACK, 0);
  }

  /** `data` has eight bytes. */
  ping(data: Uint8Array, ack: boolean): void {
    this.#header(8, PING, ack ? ACK : 0, 0);
    this.#copied(data);
  }

  goaway(lastStreamId: number, code: ErrorCode, words: string): void {
    const debug = Buffer.from(words);
    this.#header(8 + debug.length, GOAWAY, 0, 0);
    this.#number(lastStreamId);
    this.#number(ERROR_CODES[code]);
    this.#copied(debug);
  }

  reset(streamId: number, code: ErrorCode): void {
    this.#header(4, RST_STREAM, 0, streamId);
    this.#number(ERROR_CODES[code]);
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.#header(4, WINDOW_UPDATE, 0, streamId);
    this.#number(bytes);
  }

  #header(length: number, type: number, flags: number, streamId: number): void {
    this.#reserve(FRAME_HEADER_BYTES);
    const slab = this.#slab;
    let at = this.#at;
    slab[at++] = length >>> 16;
    slab[at++] = length >>> 8;
    slab[at++] = length;
    slab[at++] = type;
    slab[at++] = flags;
    slab[at++] = streamId >>> 24;
    slab[at++] = streamId >>> 16;
    slab[at++] = streamId >>> 8;
    slab[at++] = streamId;
    this.#at = at;
    this.#bytes += FRAME_HEADER_BYTES;
  }

  #number(value: number): void {
    this.#reserve(4);
    this.#slab[this.#at++] = value >>> 24;
    this.#slab[this.#at++] = value >>> 16;
    this.#slab[this.#at++] = value >>> 8;
    this.#slab[this.#at++] = value;
    this.#bytes += 4;
  }

  #copied(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    this.#copy(bytes);
  }

  #copy(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#reserve(length);
    const slab = this.#slab;
    const at = this.#at;
    if (length > 32) slab.set(bytes, at);
    else for (let i = 0; i < length; i++) slab[at + i] = bytes[i]!;
    this.#at = at + length;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return;
    const waiting = this.#at - this.#start;
    const needed = waiting + bytes;
    if (this.#chunks.length === 0 && this.#slab === this.#own && needed <= Slabs.BYTES) {
      // It stays one piece: that is one write, and what has been taken of the old memory may still be on its way.
      const slab = this.#larger(needed);
      this.#slab.copy(slab, 0, this.#start, this.#at);
      this.#slab = slab;
      this.#at = waiting;
    } else {
      this.#seal();
      this.#slab = this.#larger(bytes);
      this.#at = 0;
    }
    this.#start = 0;
  }

  #larger(bytes: number): Buffer {
    if (bytes > Slabs.BYTES) return Buffer.allocUnsafeSlow(bytes);
    const size = Math.max(bytes, this.#slab.length * 4);
    return size > OWN_SLAB_BYTES ? this.#slabs.take() : (this.#own = Buffer.allocUnsafeSlow(size));
  }

  #seal(): void {
    if (this.#at > this.#start) this.#chunks.push(this.#slab.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }
}
