/** Reads request bodies: of a known length, or in chunks with trailers. */
import type { Headers } from "../../world/net.ts";
import { parseTrailers } from "./header-block.ts";
import * as limits from "./limits.ts";

export interface BodyReader {
  /** Takes of the body what is there, and gives where it stopped: before `end` only if the body has ended. Throws `BadBody`. */
  read(buffer: Buffer, start: number, end: number): number;
  readonly ended: boolean;
  /** Bytes that will surely come yet. */
  readonly left: number;
}

export interface BodyReceiver {
  onBody(chunk: Buffer): void;
  onBodyEnd(trailers: Headers): void;
}

/** What the client sends is no body. In Go's words. */
export class BadBody extends Error {
  override readonly name = "BadBody";
}

const NO_TRAILERS: Headers = Object.freeze({});

/** Content-Length. */
export class Counted implements BodyReader {
  readonly #to: BodyReceiver;
  left: number;

  constructor(length: number, to: BodyReceiver) {
    this.left = length;
    this.#to = to;
  }

  get ended(): boolean {
    return this.left === 0;
  }

  read(buffer: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + this.left);
    this.left -= stop - start;
    if (stop > start) this.#to.onBody(start === 0 && stop === buffer.length ? buffer : buffer.subarray(start, stop));
    if (this.left === 0) this.#to.onBodyEnd(NO_TRAILERS);
    return stop;
  }
}

/** Transfer-Encoding: chunked. Upstream: net/http/internal/chunked.go */
export class Chunked implements BodyReader {
  readonly #to: BodyReceiver;
  #state: "size" | "data" | "data end" | "trailers" | "ended" = "size";
  /** Of a line, or of trailers, that has come in part. */
  #text = "";
  #excess = 0;
  left = 0;

  constructor(to: BodyReceiver) {
    this.#to = to;
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  read(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#state !== "ended") {
      switch (this.#state) {
        case "size":
          at = this.#line(buffer, at, end);
          break;
        case "data": {
          const stop = Math.min(end, at + this.left);
          this.left -= stop - at;
          if (this.left === 0) this.#state = "data end";
          this.#to.onBody(buffer.subarray(at, stop));
          at = stop;
          break;
        }
        case "data end":
          this.#text += String.fromCharCode(buffer[at++]!);
          if (this.#text !== "\r\n".slice(0, this.#text.length)) throw new BadBody("malformed chunked encoding");
          if (this.#text.length === 2) {
            this.#text = "";
            this.#state = "size";
          }
          break;
        default:
          at = this.#trailers(buffer, at, end);
      }
    }
    return at;
  }

  #line(buffer: Buffer, start: number, end: number): number {
    const feed = buffer.indexOf(10, start);
    const stop = feed < 0 || feed >= end ? end : feed + 1;
    this.#text += buffer.toString("latin1", start, stop);
    if (this.#text.length > limits.CHUNK_LINE_BYTES) throw new BadBody("header line too long");
    if (stop === end && (feed < 0 || feed >= end)) return stop;
    const line = this.#text;
    this.#text = "";
    const returned = line.indexOf("\r");
    if (returned < 0) throw new BadBody("chunked line ends with bare LF");
    if (returned !== line.length - 2) throw new BadBody("invalid CR in chunked line");
    this.#excess += line.length;
    const semicolon = line.indexOf(";");
    const size = hexadecimal(line.slice(0, semicolon < 0 ? returned : semicolon), semicolon < 0);
    this.#excess = Math.max(0, this.#excess - 16 - 2 * size);
    if (this.#excess > limits.CHUNK_EXCESS_BYTES) throw new BadBody("chunked encoding contains too much non-data");
    this.left = size;
    this.#state = size === 0 ? "trailers" : "data";
    return stop;
  }

  #trailers(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const feed = buffer.indexOf(10, at);
      const stop = feed < 0 || feed >= end ? end : feed + 1;
      this.#text += buffer.toString("latin1", at, stop);
      at = stop;
      const text = this.#text;
      if (text === "\r\n") return this.#end(at, NO_TRAILERS);
      if (text.endsWith("\r\n\r\n")) {
        const trailers = parseTrailers(text.slice(0, -2));
        if (typeof trailers === "string") throw new BadBody(trailers);
        return this.#end(at, trailers);
      }
      if (text.length > limits.TRAILER_BYTES) throw new BadBody("http: suspiciously long trailer after chunked body");
    }
    return at;
  }

  #end(at: number, trailers: Headers): number {
    this.#text = "";
    this.#state = "ended";
    this.#to.onBodyEnd(trailers);
    return at;
  }
}

/** Spaces behind are forgiven where no extension follows. */
function hexadecimal(text: string, lastOnLine: boolean): number {
  const digits = lastOnLine ? text.replace(/[ \t]+$/, "") : text;
  if (digits === "") throw new BadBody("empty hex number for chunk length");
  const wrong = /[^0-9a-fA-F]/.exec(digits);
  if (wrong !== null && wrong.index <= 16) throw new BadBody("invalid byte in chunk length");
  if (digits.length > 16) throw new BadBody("http chunk length too large");
  const size = Number.parseInt(digits, 16);
  if (size > Number.MAX_SAFE_INTEGER) throw new BadBody("http chunk length too large");
  return size;
}
