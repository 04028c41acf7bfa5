/** A client's connection: requests one after another, until either side closes it. */
import { deferred } from "../../base/deferred.ts";
import { attach } from "../../world/byte-channel.ts";
import type {
  ByteChannel,
  ByteSink,
  ByteStream,
  Headers,
  HttpConnection,
  HttpServeContext,
  Peer,
} from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import type { HeadWriter } from "./answer-head.ts";
import { type BodyReader, BadBody, Chunked, Counted } from "./body-reader.ts";
import { lost, ServerExchange } from "./exchange.ts";
import { type HeaderBlock, parseHeaders } from "./header-block.ts";
import { beginsEmpty, headEnd, HeadInput } from "./head-input.ts";
import * as limits from "./limits.ts";
import { Refusal, type RequestHead, requestHead, TOO_LARGE } from "./request-head.ts";
import { parseRequestLine } from "./request-line.ts";
import { UpgradedStream } from "./upgraded.ts";

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly heads: HeadWriter;
}

const NO_TRAILERS: Headers = Object.freeze({});
const LAST: Headers = Object.freeze({ connection: "close" });
const NO_BODY: Headers = Object.freeze({ "content-length": "0" });
const CRLF = Buffer.from("\r\n");
const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

export class ServerConnection implements ByteSink, HttpConnection {
  readonly peer: Peer;
  readonly encrypted: boolean;
  readonly #context: HttpServeContext;
  readonly #clock: Clock;
  readonly #heads: HeadWriter;
  readonly #stream: ByteStream;
  readonly #channel: ByteChannel;
  readonly #closed = deferred();

  /** Open: between requests, or within one. Leaving: all is said, and may be read. */
  #state: "open" | "upgraded" | "leaving" | "closed" = "open";
  #upgraded: UpgradedStream | undefined;

  /** A head that has come in part. */
  readonly #partial = new HeadInput();
  /** Headers of the last requests, with their bytes. */
  readonly #known: { readonly bytes: Buffer; readonly block: HeaderBlock }[] = [];
  #nextKnown = 0;
  /** Some clients of old send line ends behind a body: so many bytes of them are overlooked. */
  #forgiven = 0;
  /** What has come and not been looked at: requests behind the one at hand. */
  #behind: Buffer[] = [];
  #behindBytes = 0;
  #isPaused = false;
  #isTaking = false;

  #exchange: ServerExchange | undefined;
  #head: RequestHead | undefined;
  #reader: BodyReader | undefined;
  /** The client waits for a word before it sends its body. */
  #isAwaited = false;
  /** Nothing that comes can be understood any more. */
  #isBroken = false;
  #closesAfter = false;
  #isClosing = false;

  #out: Uint8Array[] = [];
  #outBytes = 0;
  #isBlocked = false;

  #deadline = Number.POSITIVE_INFINITY;
  #timer: Disposable | undefined;
  #timerAt = 0;

  constructor(stream: ByteStream, context: HttpServeContext, { clock, heads }: ConnectionDeps) {
    this.peer = stream.peer;
    this.encrypted = context.encrypted;
    this.#context = context;
    this.#clock = clock;
    this.#heads = heads;
    this.#stream = stream;
    this.#endBy(limits.HEAD_MS);
    this.#channel = attach(stream, this);
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  get isUpgraded(): boolean {
    return this.#state === "upgraded";
  }

  // In

  onData(chunk: Uint8Array): void {
    if (this.#state === "upgraded") return this.#upgraded!.onData(chunk);
    if (this.#state !== "open") return;
    this.#take(chunk instanceof Buffer ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
  }

  /** Reads of it what is for now, and keeps the rest. */
  #take(chunk: Buffer): void {
    if (this.#isTaking || this.#behindBytes > 0) return this.#keep(chunk);
    this.#isTaking = true;
    let rest: Buffer | undefined = chunk;
    while (rest !== undefined) {
      const at = this.#read(rest);
      if (this.#state !== "open" || this.#isBroken) {
        this.#isTaking = false;
        if (this.#state === "upgraded" && at < rest.length) this.#upgraded!.onData(rest.subarray(at));
        return;
      }
      // The answer to this one is not there yet.
      if (at < rest.length && this.#exchange !== undefined) {
        this.#keep(rest.subarray(at));
        break;
      }
      rest = at < rest.length ? rest.subarray(at) : undefined;
    }
    this.#isTaking = false;
  }

  #keep(chunk: Buffer): void {
    this.#behind.push(chunk);
    this.#behindBytes += chunk.length;
    if (this.#behindBytes >= limits.UNREAD_BYTES) this.#pause();
  }

  /** Where it stopped: at the end of a request, or of the chunk. */
  #read(chunk: Buffer): number {
    if (this.#exchange === undefined) return this.#readHead(chunk);
    return this.#reader === undefined ? 0 : this.#readBody(chunk, 0);
  }

  #readHead(chunk: Buffer): number {
    let buffer = chunk;
    let start = 0;
    if (this.#partial.length > 0) {
      const end = this.#partial.push(chunk);
      if (this.#partial.length > limits.HEAD_BYTES && (end < 0 || end > limits.HEAD_BYTES))
        return this.#refuse(TOO_LARGE, chunk);
      if (end < 0 && !this.#partial.isEmpty) return chunk.length;
      buffer = this.#partial.take();
    } else if (this.#forgiven > 0) {
      while (this.#forgiven > 0 && (chunk[start] === 13 || chunk[start] === 10)) {
        this.#forgiven--;
        start++;
      }
      if (start === chunk.length) return start;
      this.#forgiven = 0;
    }
    const lineEnd = buffer.indexOf(10, start);
    const known = lineEnd < 0 ? undefined : this.#knownBlock(buffer, lineEnd + 1);
    let end: number;
    let block: HeaderBlock;
    if (known !== undefined) {
      ({ block } = known);
      end = lineEnd + 1 + known.bytes.length;
    } else {
      if (beginsEmpty(buffer, start)) return this.#refuse(requestHead(undefined, parseHeaders("")) as Refusal, chunk);
      end = headEnd(buffer, Math.max(lineEnd, 0));
      if (lineEnd < 0 || end < 0) {
        if (buffer.length > limits.HEAD_BYTES) return this.#refuse(TOO_LARGE, chunk);
        if (this.#partial.length === 0) this.#endBy(limits.HEAD_MS);
        this.#partial.start(buffer.subarray(start));
        return chunk.length;
      }
      if (end > limits.HEAD_BYTES) return this.#refuse(TOO_LARGE, chunk);
      block = this.#newBlock(buffer, lineEnd + 1, end);
    }
    const line = buffer.toString("latin1", start, buffer[lineEnd - 1] === 13 ? lineEnd - 1 : lineEnd);
    const head = requestHead(parseRequestLine(line), block);
    // The bytes behind the head are at the end of the chunk too.
    const at = chunk.length - (buffer.length - end);
    if (head instanceof Refusal) return this.#refuse(head, chunk);
    return this.#begin(head, chunk, at);
  }

  #knownBlock(buffer: Buffer, start: number) {
    const left = buffer.length - start;
    for (const known of this.#known) {
      const { bytes } = known;
      if (bytes.length <= left && bytes.compare(buffer, start, start + bytes.length) === 0) return known;
    }
    return undefined;
  }

  #newBlock(buffer: Buffer, start: number, end: number): HeaderBlock {
    // Without the empty line, which ends with the one of the last header.
    const block = parseHeaders(buffer.toString("latin1", start, buffer[end - 2] === 13 ? end - 2 : end - 1));
    if (end - start <= limits.KNOWN_BLOCK_BYTES && !block.malformed) {
      this.#known[this.#nextKnown] = { bytes: Buffer.from(buffer.subarray(start, end)), block };
      this.#nextKnown = (this.#nextKnown + 1) % limits.KNOWN_BLOCKS;
    }
    return block;
  }

  #begin(head: RequestHead, chunk: Buffer, at: number): number {
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#forgiven = head.method === "POST" ? 4 : 0;
    this.#head = head;
    this.#closesAfter = false;
    const exchange = new ServerExchange(this, head);
    this.#exchange = exchange;
    const { length } = head;
    this.#reader =
      length === 0 ? undefined : length === "chunked" ? new Chunked(exchange) : new Counted(length, exchange);
    this.#isAwaited = head.expects === "continue" && length !== 0 && head.httpVersion === "1.1";
    if (length === 0) exchange.onBodyEnd(NO_TRAILERS);
    // What is there of the body already is the handler's to have at once.
    const end = this.#reader === undefined || at === chunk.length ? at : this.#readBody(chunk, at);
    if (head.expects === "else") {
      exchange.respond(417, LAST);
    } else if (head.url === "*" && head.method === "OPTIONS") exchange.respond(200, NO_BODY);
    else this.#handle(exchange);
    return end;
  }

  #handle(exchange: ServerExchange): void {
    const failed = (error: unknown) => {
      this.#context.onError(error, exchange);
      exchange.fail();
    };
    try {
      const work = this.#context.handle(exchange);
      if (work !== undefined) work.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #readBody(chunk: Buffer, start: number): number {
    const exchange = this.#exchange!;
    const reader = this.#reader!;
    this.#isAwaited = false;
    let at: number;
    try {
      at = reader.read(chunk, start, chunk.length);
    } catch (error) {
      if (!(error instanceof BadBody)) throw error;
      this.#isBroken = true;
      exchange.onFailure(error);
      if (exchange.isAnswered) this.#leave();
      return chunk.length;
    }
    if (reader.ended) {
      this.#reader = undefined;
      if (exchange.isAnswered && this.#exchange === exchange) this.#next();
    } else if (exchange.isFull) this.#pause();
    else if (exchange.droppedBytes > limits.UNWANTED_BODY_BYTES) this.destroy();
    return at;
  }

  #refuse({ status, body }: Refusal, chunk: Buffer): number {
    this.#isBroken = true;
    this.#push(
      Buffer.from(
        `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${body}`,
        "latin1",
      ),
    );
    this.#leave();
    return chunk.length;
  }

  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#channel.pause();
  }

  /** More of the body may come. */
  resume(): void {
    if (!this.#isPaused || this.#behindBytes >= limits.UNREAD_BYTES || this.#exchange?.isFull) return;
    this.#isPaused = false;
    this.#channel.resume();
  }

  /** Somebody reads the body. */
  wantBody(): void {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    this.#push(CONTINUE);
    this.onFlush();
  }

  // Out

  get queuedBytes(): number {
    return this.#outBytes;
  }

  /** `length` is the body's, where it is known. It leaves when the answer is whole, or with what is queued behind it. */
  sendHead(
    status: number,
    headers: Headers,
    length: number | undefined,
    isChunked: boolean,
    body: Uint8Array | undefined,
  ): void {
    if (this.#state !== "open") return;
    const { httpVersion, closes, keeps, method } = this.#head!;
    const isWhole = length !== undefined || method === "HEAD" || status === 204 || status === 304;
    this.#closesAfter ||=
      (closes && !(keeps && isWhole)) ||
      (!isWhole && !isChunked) ||
      this.#isClosing ||
      this.#isBroken ||
      headers["connection"] === "close" ||
      // Whether the client sends its body now is not known; and one that is long is not worth the wait.
      this.#isAwaited ||
      (this.#reader !== undefined && this.#reader.left >= limits.UNWANTED_BODY_BYTES);
    const isNew = httpVersion === "1.1";
    const connection = this.#closesAfter ? (isNew ? "close" : undefined) : keeps ? "keep-alive" : undefined;
    const head = this.#heads.write(httpVersion, status, headers, {
      connection,
      length,
      chunked: isChunked,
    });
    if (body === undefined || body.length > limits.COPIED_BYTES) {
      this.#push(Buffer.from(head, "latin1"));
      if (body !== undefined) this.#push(body);
      return;
    }
    const piece = Buffer.allocUnsafe(head.length + body.length);
    piece.write(head, 0, "latin1");
    piece.set(body, head.length);
    this.#push(piece);
  }

  queueChunk(bytes: Uint8Array): void {
    const size = `${bytes.length.toString(16)}\r\n`;
    if (bytes.length > limits.COPIED_BYTES) {
      this.queue(Buffer.from(size, "latin1"));
      this.queue(bytes);
      return this.queue(CRLF);
    }
    const chunk = Buffer.allocUnsafe(size.length + bytes.length + 2);
    chunk.write(size, 0, "latin1");
    chunk.set(bytes, size.length);
    chunk[chunk.length - 2] = 13;
    chunk[chunk.length - 1] = 10;
    this.queue(chunk);
  }

  queueEnd(trailers: Headers | undefined): void {
    if (trailers === undefined) this.queue(LAST_CHUNK);
    else this.queue(Buffer.from(`0\r\n${this.#heads.lines(trailers)}\r\n`, "latin1"));
  }

  queue(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#push(bytes);
    if (this.#outBytes >= limits.FLUSH_BYTES) this.onFlush();
    else this.#channel.flushSoon();
  }

  #push(bytes: Uint8Array): void {
    this.#out.push(bytes);
    this.#outBytes += bytes.length;
  }

  flushSoon(): void {
    this.#channel.flushSoon();
  }

  onFlush(): void {
    if (this.#isBlocked || this.#outBytes === 0 || this.#state === "closed") return;
    const out = this.#out;
    const bytes = this.#outBytes;
    this.#out = [];
    this.#outBytes = 0;
    const isSmall = out.length > 1 && bytes <= limits.COPIED_BYTES;
    this.#isBlocked = !this.#channel.write(isSmall ? [Buffer.concat(out, bytes)] : out);
    // A channel that took all of it will not say so again.
    if (!this.#isBlocked) this.#exchange?.onDrain();
  }

  onDrain(): void {
    this.#isBlocked = false;
    this.onFlush();
    if (this.#state === "upgraded") return;
    this.#exchange?.onDrain();
    if (this.#state === "leaving" && this.#outBytes === 0) this.#endStream();
  }

  // Ends

  /** The whole answer is on its way. */
  onAnswered(): void {
    if (this.#state !== "open") return;
    this.onFlush();
    if (this.#closesAfter || this.#isBroken) return this.#leave();
    if (this.#reader === undefined) return this.#next();
    this.#endBy(limits.HEAD_MS);
    this.resume();
  }

  /** On to the request behind. */
  #next(): void {
    this.#exchange = undefined;
    this.#head = undefined;
    if (this.#isClosing) return this.#leave();
    this.#endBy(limits.IDLE_MS);
    if (this.#behindBytes > 0 && !this.#isTaking) this.#takeBehind();
    else this.resume();
  }

  /** Not within the one before, whose handler may still be at work. */
  #takeBehind(): void {
    this.#clock.soon(() => {
      if (this.#state !== "open" || this.#exchange !== undefined || this.#behindBytes === 0) return;
      const chunk = this.#behind.length === 1 ? this.#behind[0]! : Buffer.concat(this.#behind, this.#behindBytes);
      this.#behind = [];
      this.#behindBytes = 0;
      this.#take(chunk);
      this.resume();
    });
  }

  /** Nothing more is said; what is said may still be read. */
  #leave(): void {
    this.onFlush();
    this.#exchange?.leave();
    this.#exchange = undefined;
    this.#state = "leaving";
    this.#behind = [];
    this.#channel.resume();
    if (this.#outBytes === 0) this.#endStream();
    else this.#endBy(limits.IDLE_MS);
  }

  #endStream(): void {
    this.#stream.end();
    this.#endBy(limits.LINGER_MS);
  }

  upgrade(headers: Headers): ByteStream {
    this.onFlush();
    const stream = new UpgradedStream(this.#stream, this.#channel);
    this.#upgraded = stream;
    this.#state = "upgraded";
    this.#exchange = undefined;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#isPaused = false;
    const head = `HTTP/1.1 101 Switching Protocols\r\n${this.#heads.lines(headers)}\r\n`;
    stream.write(Buffer.from(head, "latin1")).catch(() => {}); // A broken connection shows on the stream.
    for (const chunk of this.#behind) stream.onData(chunk);
    this.#behind = [];
    this.#behindBytes = 0;
    this.#channel.resume();
    return stream;
  }

  onEnd(): void {
    if (this.#state === "upgraded") return this.#upgraded!.onEnd();
    if (this.#state === "leaving" && this.#outBytes > 0) return;
    this.#exchange?.leave();
    this.destroy();
  }

  onClose(error: Error | undefined): void {
    if (this.#state === "closed") return;
    const wasUpgraded = this.#state === "upgraded";
    this.#state = "closed";
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (wasUpgraded) this.#upgraded!.onClose(error);
    this.#exchange?.leave();
    this.#exchange = undefined;
    this.#closed.resolve();
  }

  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#state === "open" && this.#exchange === undefined) this.#leave();
  }

  destroy(error?: Error): void {
    if (this.#state === "closed") return;
    this.#stream.destroy(error);
    this.onClose(error ?? lost("the connection is closed"));
  }

  // Time. There is one timer, which goes off too early rather than being set for every request.

  #endBy(ms: number): void {
    this.#deadline = this.#clock.monotonic() + ms;
    if (this.#timer !== undefined && this.#timerAt <= this.#deadline) return;
    this.#timer?.[Symbol.dispose]();
    this.#setTimer(ms);
  }

  #setTimer(ms: number): void {
    this.#timerAt = this.#clock.monotonic() + ms;
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = undefined;
      if (this.#deadline === Number.POSITIVE_INFINITY) return;
      const left = this.#deadline - this.#clock.monotonic();
      if (left > 0) this.#setTimer(left);
      else this.destroy();
    });
  }
}
