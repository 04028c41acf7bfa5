/** What both ends of a connection have in common: frames, settings, windows, pings, GOAWAY, and the limits on all of them. */
import { deferred } from "../../base/deferred.ts";
import { attach } from "../../world/byte-channel.ts";
import type { ByteChannel, ByteSink, ByteStream, HttpConnection, Http2Options } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import { Budget } from "./budget.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { FrameWriter, Slabs } from "./frame-writer.ts";
import { HeaderDecoder, type HeaderLimits } from "./hpack/decoder.ts";
import { HeaderEncoder, type HeaderSource } from "./hpack/encoder.ts";
import * as limits from "./limits.ts";
import * as http2 from "./protocol.ts";
import { type ErrorCode, Http2Error } from "./protocol.ts";
import type { Http2Stream } from "./stream.ts";

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly slabs: Slabs;
}

export interface ConnectionShape extends Http2Options {
  readonly windows: { readonly stream: number; readonly connection: number };
  readonly headers: HeaderLimits;
  readonly settings: readonly (readonly [id: number, value: number])[];
}

/** Our own pings: one asks for a sign of life, one tells that the other side has read our first goodbye. */
const ALIVE = Buffer.from("alive...");
const GOODBYE = Buffer.from("goodbye.");

export abstract class Connection implements ByteSink, FrameSink, HttpConnection {
  protected readonly clock: Clock;
  protected readonly streams = new Map<number, Http2Stream>();
  protected readonly decoder: HeaderDecoder;
  /** The last stream that the other side has opened. */
  protected lastRemoteId = 0;
  /** Set when no more streams are taken: the last that still was. */
  protected lastTaken: number | undefined;
  protected state: "open" | "broken" | "closed" = "open";
  /** The other side's limit. */
  protected peerMaxStreams = 2 ** 31 - 1;

  readonly streamWindow: number;
  initialSendWindow = http2.DEFAULT_WINDOW_BYTES;

  readonly #stream: ByteStream;
  readonly #channel: ByteChannel;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #encoder = new HeaderEncoder();
  readonly #shape: ConnectionShape;
  readonly #closed = deferred();
  #maxFrameBytes = http2.DEFAULT_FRAME_BYTES;

  #sendWindow = http2.DEFAULT_WINDOW_BYTES;
  #receiveWindow: number;
  #readBytes = 0;
  /** The channel takes no more for now. */
  #blocked = false;
  /** Streams with something to send and a window to send it in, in the order of their turns. */
  readonly #waiting = new Set<Http2Stream>();

  /** The header block that is still coming. */
  #block: { readonly streamId: number; readonly flags: number; readonly parts: Buffer[]; bytes: number } | undefined;
  #settled = false;

  /** Streams that ended lately, a ring; negative where we cut them: then frames of them may still be on their way. */
  readonly #ended = new Int32Array(limits.REMEMBERED_STREAMS);
  #endedAt = 0;

  readonly #resets: Budget;
  readonly #idleFrames: Budget;
  #freeFrames: number = limits.IDLE_FRAMES_FREE;
  #unreadAnswers = 0;

  #received = 0;
  #timer: Disposable | undefined;
  #lastPing = Number.NEGATIVE_INFINITY;
  #pingStrikes = 0;
  /** Something was sent since the last ping, which may be about that. */
  #pingForgiven = false;

  constructor(stream: ByteStream, shape: ConnectionShape, { clock, slabs }: ConnectionDeps) {
    this.clock = clock;
    this.#stream = stream;
    this.#shape = shape;
    this.decoder = new HeaderDecoder(shape.headers);
    this.streamWindow = shape.windows.stream;
    this.#receiveWindow = shape.windows.connection;
    this.#resets = new Budget(clock, limits.RESETS.burst, limits.RESETS.perSecond);
    this.#idleFrames = new Budget(clock, limits.IDLE_FRAMES.burst, limits.IDLE_FRAMES.perSecond);
    this.#reader = new FrameReader(this);
    this.#channel = attach(stream, this);
    this.#writer = new FrameWriter(slabs, this.#channel.copies === true ? MAX_FRAME_SENT : undefined);
  }

  /** Our opening words; the client's come after the preface. */
  protected open(preface?: string): void {
    if (preface !== undefined) this.#writer.raw(Buffer.from(preface, "latin1"));
    this.#writer.settings(this.#shape.settings);
    this.#writer.windowUpdate(0, this.#shape.windows.connection - http2.DEFAULT_WINDOW_BYTES);
    this.#flushSoon();
    this.#timer = this.clock.after(limits.OPENING_MS, () => {
      if (!this.#settled) this.destroy(new Error("the other side does not speak HTTP/2"));
    });
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  // Out

  sendHeaders(streamId: number, headers: HeaderSource, status: number | undefined, end: boolean): void {
    if (this.state !== "open") return;
    this.#useful();
    this.#pingForgiven = true;
    this.#writer.headers(streamId, this.#encoder.encode(headers, status), end, this.#maxFrameBytes);
    this.#flushSoon();
  }

  /** Sends as much as windows and the channel take, and says how much that was. */
  sendData(stream: Http2Stream, bytes: Uint8Array, end: boolean): number {
    if (this.state !== "open") return bytes.length; // It goes nowhere.
    const { length } = bytes;
    let at = 0;
    this.#useful();
    this.#pingForgiven = true;
    this.#flushSoon();
    while (at < length) {
      if (this.#blocked) return at;
      const size = Math.min(length - at, this.#maxFrameBytes, this.#sendWindow, stream.sendWindow);
      if (size <= 0) return at;
      if (!this.#writer.hasRoomFor(size)) {
        this.onFlush();
        continue;
      }
      const last = at + size === length;
      this.#writer.data(stream.id, size === length ? bytes : bytes.subarray(at, at + size), end && last);
      this.#sendWindow -= size;
      stream.sendWindow -= size;
      at += size;
    }
    if (length === 0 && end) this.#writer.data(stream.id, bytes, true);
    return length;
  }

  sendReset(streamId: number, code: ErrorCode): void {
    if (this.state !== "open") return;
    const stream = this.streams.get(streamId);
    if (stream === undefined) this.#remember(streamId, true);
    else stream.cutHere = true;
    this.#writer.reset(streamId, code);
    this.#flushSoon();
  }

  /** The turn of a stream comes when it has something to send and a window to send it in. */
  wait(stream: Http2Stream): void {
    if (stream.queuedBytes > 0 && stream.sendWindow > 0) this.#waiting.add(stream);
  }

  openWindow(stream: Http2Stream, bytes: number): void {
    if (this.state !== "open") return;
    stream.receiveWindow += bytes;
    this.#writer.windowUpdate(stream.id, bytes);
    this.#flushSoon();
  }

  /** Bytes that the connection's window gets back. */
  consumed(bytes: number): void {
    this.#readBytes += bytes;
    if (this.#readBytes < this.#shape.windows.connection / 4 || this.state !== "open") return;
    this.#receiveWindow += this.#readBytes;
    this.#writer.windowUpdate(0, this.#readBytes);
    this.#readBytes = 0;
    this.#flushSoon();
  }

  forget(stream: Http2Stream): void {
    this.streams.delete(stream.id);
    this.#waiting.delete(stream);
    this.#remember(stream.id, stream.cutHere);
    if (this.lastTaken !== undefined && this.streams.size === 0) this.#leave();
  }

  #remember(streamId: number, reset: boolean): void {
    this.#ended[this.#endedAt] = reset ? -streamId : streamId;
    this.#endedAt = (this.#endedAt + 1) % limits.REMEMBERED_STREAMS;
  }

  /** "reset" for a stream that we cut lately, "ended" for another that is over, undefined for one that we don't remember. */
  protected fateOf(streamId: number): "reset" | "ended" | undefined {
    if (this.#ended.includes(-streamId)) return "reset";
    return this.#ended.includes(streamId) ? "ended" : undefined;
  }

  #flushSoon(): void {
    this.#channel.flushSoon();
  }

  onFlush(): void {
    if (this.state === "closed" || this.#writer.length === 0) return;
    if (!this.#channel.write(this.#writer.take())) this.#blocked = true;
    if (this.#channel.hasLeft === true) this.#writer.reuse();
  }

  onDrain(): void {
    this.#blocked = false;
    this.#unreadAnswers = 0;
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    for (const stream of this.#waiting) {
      if (this.#blocked || this.#sendWindow <= 0) return;
      this.#waiting.delete(stream);
      if (!stream.sendQueued()) this.#waiting.add(stream); // The next turn is after everyone else's.
    }
  }

  // In

  onData(chunk: Uint8Array): void {
    if (this.state !== "open") return;
    this.#received++;
    const buffer = chunk instanceof Buffer ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    try {
      this.receive(buffer);
    } catch (error) {
      if (!(error instanceof Http2Error)) throw error;
      this.fail(error);
    }
  }

  /** The server looks for the preface first. */
  protected receive(buffer: Buffer): void {
    this.#reader.push(buffer);
  }

  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (this.state !== "open") return;
    if (!this.#settled && !(type === http2.SETTINGS && (flags & http2.ACK) === 0))
      throw new Http2Error("PROTOCOL_ERROR", "the first frame is not SETTINGS");
    if (this.#block !== undefined && (type !== http2.CONTINUATION || streamId !== this.#block.streamId))
      throw new Http2Error("PROTOCOL_ERROR", "a header block is interrupted");
    try {
      this.#frame(type, flags, streamId, buffer, start, end);
    } catch (error) {
      if (!(error instanceof Http2Error) || error.streamId === undefined) throw error;
      this.#cut(error.streamId, error.code);
    }
  }

  #frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case http2.DATA:
        return this.#data(flags, streamId, buffer, start, end);
      case http2.HEADERS:
        return this.#headers(flags, streamId, buffer, start, end);
      case http2.CONTINUATION:
        return this.#continuation(flags, buffer, start, end);
      case http2.WINDOW_UPDATE:
        return this.#windowUpdate(streamId, buffer, start, end);
      case http2.RST_STREAM:
        return this.#rstStream(streamId, buffer, start, end);
      case http2.SETTINGS:
        return this.#settings(flags, streamId, buffer, start, end);
      case http2.PING:
        return this.#ping(flags, streamId, buffer, start, end);
      case http2.PRIORITY:
        if (streamId === 0) throw new Http2Error("PROTOCOL_ERROR", "PRIORITY of no stream");
        this.#idle();
        if (end - start !== 5) throw new Http2Error("FRAME_SIZE_ERROR", "PRIORITY", streamId);
        return this.#checkPriority(streamId, buffer, start);
      case http2.GOAWAY:
        if (streamId !== 0) throw new Http2Error("PROTOCOL_ERROR", "GOAWAY of a stream");
        if (end - start < 8) throw new Http2Error("FRAME_SIZE_ERROR", "GOAWAY");
        return this.onGoaway(
          buffer.readUInt32BE(start) & http2.MAX_STREAM_ID,
          buffer.readUInt32BE(start + 4),
          buffer.toString("utf8", start + 8, end),
        );
      case http2.PUSH_PROMISE:
        throw new Http2Error("PROTOCOL_ERROR", "nobody may push here");
      default:
        return this.#idle(); // Of an extension that we don't know.
    }
  }

  #data(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId === 0) throw new Http2Error("PROTOCOL_ERROR", "DATA of no stream");
    const cost = end - start;
    let [from, to] = [start, end];
    if (flags & http2.PADDED) {
      if (cost < 1 || buffer[start]! >= cost) throw new Http2Error("PROTOCOL_ERROR", "more padding than frame");
      from++;
      to -= buffer[start]!;
    }
    const ends = (flags & http2.END_STREAM) !== 0;
    if (to > from || ends) this.#useful();
    else this.#idle();
    if (cost > this.#receiveWindow)
      throw new Http2Error("FLOW_CONTROL_ERROR", "more data than the connection's window");
    this.#receiveWindow -= cost;
    const stream = this.streams.get(streamId);
    if (stream === undefined || stream.remoteEnded) {
      this.consumed(cost);
      if (stream === undefined && this.isIdle(streamId))
        throw new Http2Error("PROTOCOL_ERROR", "DATA of an idle stream");
      if (stream === undefined && this.fateOf(streamId) === "reset") return;
      throw new Http2Error("STREAM_CLOSED", "DATA of a closed stream", streamId);
    }
    if (cost > stream.receiveWindow) {
      this.consumed(cost);
      throw new Http2Error("FLOW_CONTROL_ERROR", "more data than the stream's window", streamId);
    }
    stream.receiveWindow -= cost;
    const chunk = from === 0 && to === buffer.length ? buffer : buffer.subarray(from, to);
    if (!stream.onData(chunk, cost, ends))
      throw new Http2Error("PROTOCOL_ERROR", "DATA that was not announced, or not so much of it", streamId);
  }

  #headers(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId === 0) throw new Http2Error("PROTOCOL_ERROR", "HEADERS of no stream");
    let [from, to] = [start, end];
    if (flags & http2.PADDED) {
      if (to - from < 1) throw new Http2Error("FRAME_SIZE_ERROR", "HEADERS");
      to -= buffer[from++]!;
    }
    let selfDependent = false;
    if (flags & http2.HAS_PRIORITY) {
      if (to - from < 5) throw new Http2Error("PROTOCOL_ERROR", "HEADERS without the priority that they announce");
      selfDependent = (buffer.readUInt32BE(from) & http2.MAX_STREAM_ID) === streamId;
      from += 5;
    }
    if (to < from) throw new Http2Error("PROTOCOL_ERROR", "more padding than frame");
    if (flags & http2.END_HEADERS) this.#headerBlock(streamId, flags, buffer, from, to);
    else {
      // The slice is copied: a block that comes slowly must not hold on to a socket's buffers.
      const first = Buffer.from(buffer.subarray(from, to));
      this.#block = { streamId, flags, parts: [first], bytes: first.length };
    }
    if (selfDependent) throw new Http2Error("PROTOCOL_ERROR", "a stream that depends on itself", streamId);
  }

  #continuation(flags: number, buffer: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block === undefined) throw new Http2Error("PROTOCOL_ERROR", "CONTINUATION of nothing");
    block.parts.push(Buffer.from(buffer.subarray(start, end)));
    block.bytes += end - start;
    if (block.bytes > this.#shape.headers.maxListBytes || block.parts.length > limits.CONTINUATIONS_MAX)
      throw new Http2Error("ENHANCE_YOUR_CALM", "a header block without an end");
    if ((flags & http2.END_HEADERS) === 0) return;
    this.#block = undefined;
    const whole = Buffer.concat(block.parts, block.bytes);
    this.#headerBlock(block.streamId, block.flags, whole, 0, whole.length);
  }

  #headerBlock(streamId: number, flags: number, buffer: Buffer, start: number, end: number): void {
    this.#useful();
    this.onHeaders(streamId, (flags & http2.END_STREAM) !== 0, buffer, start, end);
  }

  /** The block must be decoded in any case, since both sides' tables go on from it. */
  protected abstract onHeaders(streamId: number, ends: boolean, buffer: Buffer, start: number, end: number): void;

  /** True for a stream that nobody has opened yet. */
  protected abstract isIdle(streamId: number): boolean;

  #checkPriority(streamId: number, buffer: Buffer, at: number): void {
    if ((buffer.readUInt32BE(at) & http2.MAX_STREAM_ID) === streamId)
      throw new Http2Error("PROTOCOL_ERROR", "a stream that depends on itself", streamId);
  }

  #rstStream(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw new Http2Error("FRAME_SIZE_ERROR", "RST_STREAM");
    if (streamId === 0 || this.isIdle(streamId)) throw new Http2Error("PROTOCOL_ERROR", "RST_STREAM of an idle stream");
    if (!this.#resets.spend()) throw new Http2Error("ENHANCE_YOUR_CALM", "too many resets");
    this.streams.get(streamId)?.onReset(buffer.readUInt32BE(start));
  }

  #windowUpdate(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw new Http2Error("FRAME_SIZE_ERROR", "WINDOW_UPDATE");
    this.#idle();
    const increment = buffer.readUInt32BE(start) & http2.MAX_WINDOW_BYTES;
    if (streamId === 0) {
      if (increment === 0) throw new Http2Error("PROTOCOL_ERROR", "a window that opens by nothing");
      this.#sendWindow += increment;
      if (this.#sendWindow > http2.MAX_WINDOW_BYTES) throw new Http2Error("FLOW_CONTROL_ERROR", "a window too large");
      return this.#sendWaiting();
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) throw new Http2Error("PROTOCOL_ERROR", "WINDOW_UPDATE of an idle stream");
      return; // It crossed the stream's end.
    }
    if (increment === 0) throw new Http2Error("PROTOCOL_ERROR", "a window that opens by nothing", streamId);
    stream.sendWindow += increment;
    if (stream.sendWindow > http2.MAX_WINDOW_BYTES)
      throw new Http2Error("FLOW_CONTROL_ERROR", "a window too large", streamId);
    this.wait(stream);
    this.#sendWaiting();
  }

  #settings(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw new Http2Error("PROTOCOL_ERROR", "SETTINGS of a stream");
    if (flags & http2.ACK) {
      if (end > start) throw new Http2Error("FRAME_SIZE_ERROR", "SETTINGS");
      return;
    }
    if ((end - start) % 6 !== 0) throw new Http2Error("FRAME_SIZE_ERROR", "SETTINGS");
    this.#idle();
    for (let at = start; at < end; at += 6) this.#setting(buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2));
    this.#answered();
    this.#writer.settingsAck();
    this.#flushSoon();
    this.#sendWaiting();
    if (this.#settled) return;
    this.#settled = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#watchSilence();
    this.onSettled();
  }

  protected onSettled(): void {}

  #setting(id: number, value: number): void {
    const { SETTING } = http2;
    switch (id) {
      case SETTING.headerTableSize:
        return this.#encoder.resize(value);
      case SETTING.enablePush:
        if (value > 1) throw new Http2Error("PROTOCOL_ERROR", "a setting that is neither 0 nor 1");
        return;
      case SETTING.maxConcurrentStreams:
        this.peerMaxStreams = value;
        return;
      case SETTING.initialWindowSize: {
        if (value > http2.MAX_WINDOW_BYTES) throw new Http2Error("FLOW_CONTROL_ERROR", "a window too large");
        const change = value - this.initialSendWindow;
        this.initialSendWindow = value;
        for (const stream of this.streams.values()) {
          stream.sendWindow += change;
          if (stream.sendWindow > http2.MAX_WINDOW_BYTES)
            throw new Http2Error("FLOW_CONTROL_ERROR", "a window too large");
          this.wait(stream); // What it has to send comes after the acknowledgement.
        }
        return;
      }
      case SETTING.maxFrameSize:
        if (value < http2.DEFAULT_FRAME_BYTES || value > http2.MAX_FRAME_BYTES)
          throw new Http2Error("PROTOCOL_ERROR", "a frame size that may not be");
        this.#maxFrameBytes = Math.min(value, MAX_FRAME_SENT);
        return;
      default: // Header lists: a server sends what it must. Others: unknown settings are ignored.
    }
  }

  #ping(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw new Http2Error("PROTOCOL_ERROR", "PING of a stream");
    if (end - start !== 8) throw new Http2Error("FRAME_SIZE_ERROR", "PING");
    const data = buffer.subarray(start, end);
    if (flags & http2.ACK) {
      if (GOODBYE.equals(data)) this.#sayGoodbye();
      return;
    }
    this.#idle();
    this.#answered();
    this.#writer.ping(data, true);
    this.#flushSoon();
    this.#checkPing();
  }

  /** As gRPC's servers do. */
  #checkPing(): void {
    const least = this.#shape.minPingIntervalMs;
    if (least === undefined) return;
    const now = this.clock.monotonic();
    const since = now - this.#lastPing;
    this.#lastPing = now;
    if (this.#pingForgiven) {
      this.#pingForgiven = false;
      this.#pingStrikes = 0;
    } else if (since < (this.streams.size > 0 ? least : limits.PING_INTERVAL_IDLE_MS)) this.#pingStrikes++;
    if (this.#pingStrikes > limits.PING_STRIKES_MAX) throw new Http2Error("ENHANCE_YOUR_CALM", "too_many_pings");
  }

  /** An answer to a ping or to settings is queued. */
  #answered(): void {
    if (this.#blocked && ++this.#unreadAnswers > limits.UNREAD_ANSWERS_MAX)
      throw new Http2Error("ENHANCE_YOUR_CALM", "answers that nobody reads");
  }

  #useful(): void {
    this.#freeFrames = limits.IDLE_FRAMES_FREE;
  }

  #idle(): void {
    if (this.#freeFrames > 0) this.#freeFrames--;
    else if (!this.#idleFrames.spend()) throw new Http2Error("ENHANCE_YOUR_CALM", "too many frames without a purpose");
  }

  /** Whether anyone would miss the other side if it were gone. */
  protected abstract caresForLife(): boolean;

  /** Only what is silent is asked, so that a busy connection pays nothing. */
  #watchSilence(): void {
    const after = this.#shape.pingAfterMs ?? limits.PING_AFTER_MS;
    if (after === 0) return;
    const seen = this.#received;
    this.#timer = this.clock.after(after, () => {
      if (this.state !== "open") return;
      if (seen !== this.#received || !this.caresForLife()) return this.#watchSilence();
      this.#writer.ping(ALIVE, false);
      this.#flushSoon();
      this.#timer = this.clock.after(this.#shape.pingTimeoutMs ?? limits.PING_TIMEOUT_MS, () => {
        if (seen === this.#received) this.destroy(lost("http2: client connection lost"));
        else this.#watchSilence();
      });
    });
  }

  // Ends

  #cut(streamId: number, code: ErrorCode): void {
    const stream = this.streams.get(streamId);
    this.sendReset(streamId, code);
    stream?.onFailure(lost(`the stream was reset: ${code}`));
  }

  protected onGoaway(_lastId: number, _code: number, _words: string): void {}

  /** The first goodbye names no stream, since some may be on their way; the second, when the other side has read it, names the last. */
  close(): void {
    if (this.state !== "open" || this.lastTaken !== undefined) return;
    this.lastTaken = http2.MAX_STREAM_ID;
    this.#writer.goaway(http2.MAX_STREAM_ID, "NO_ERROR", "");
    this.#writer.ping(GOODBYE, false);
    this.#flushSoon();
  }

  #sayGoodbye(): void {
    if (this.lastTaken !== http2.MAX_STREAM_ID) return;
    this.lastTaken = this.lastRemoteId;
    this.#writer.goaway(this.lastRemoteId, "NO_ERROR", "");
    this.#flushSoon();
    if (this.streams.size === 0) this.#leave();
  }

  /** No stream is left, and none will come. */
  #leave(): void {
    if (this.state !== "open" || this.lastTaken === http2.MAX_STREAM_ID) return;
    this.#shut();
  }

  /** The other side has broken the protocol: it is told, and the connection ends. */
  protected fail(error: Http2Error): void {
    if (this.state !== "open") return;
    this.#writer.goaway(this.lastRemoteId, error.code, error.message);
    this.#shut();
    this.#failStreams(lost(`the connection ended: ${error.code}: ${error.message}`));
  }

  #shut(): void {
    this.onFlush();
    this.state = "broken";
    this.#stream.end();
    this.#timer?.[Symbol.dispose]();
    // What still comes is read and thrown away: closing on unread bytes would take our last words with it.
    this.#timer = this.clock.after(limits.GOODBYE_MS, () => this.#stream.destroy());
  }

  destroy(error?: Error): void {
    if (this.state === "closed") return;
    this.onFlush();
    this.#stream.destroy(error);
    this.onClose(error);
  }

  onEnd(): void {
    this.#stream.end();
    this.onClose(undefined);
    this.#stream.destroy();
  }

  onClose(error: Error | undefined): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#failStreams(error ?? lost("the connection was closed"));
    this.onGone();
    this.#closed.resolve();
  }

  protected onGone(): void {}

  #failStreams(error: Error): void {
    for (const stream of this.streams.values()) stream.onFailure(error);
  }
}

/** Larger frames than this would hold up other streams. */
const MAX_FRAME_SENT = 64 * 1024;

export function lost(message: string): Error {
  return Object.assign(new Error(message), { code: "ECONNRESET" });
}
