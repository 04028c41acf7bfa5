/**
 * The two kinds of streams between members. `message` carries any message behind its length. `msgappv2` carries appends: while a leader
 * replicates without a gap, position and term follow from what went before, and only entries and the commit index are sent.
 *
 *     message    8 bytes length | message
 *     msgappv2   0                                                             the link is alive
 *                1 | 8 bytes count | (8 bytes length | entry) ... | 8 bytes commit index
 *                2 | 8 bytes length | message
 *
 * Upstream: server/etcdserver/api/rafthttp/msg_codec.go, msgappv2_codec.go
 */
import { createMessage } from "../../raft/message.ts";
import type { Entry, Message, NodeId } from "../../raft/types.ts";
import { MessageError } from "./field-reader.ts";
import { decodeEntry, entrySize, writeEntry, type MessageCodec } from "./message-codec.ts";

export type StreamKind = "message" | "msgappv2";

/** A longer message is a broken stream. */
const MESSAGE_BYTES_MAX = 512 * 1024 * 1024;
const LINK_HEARTBEAT = 0;
const APPEND_ENTRIES = 1;
const APPEND_MESSAGE = 2;

export interface StreamEncoder {
  encode(message: Message): Buffer;
  /** Says that the link is alive: what raft never sends. */
  heartbeat(): Buffer;
}

export interface StreamDecoder {
  /** Takes bytes as they come and gives out the messages that are whole. Throws `MessageError`; the stream is lost then. */
  push(chunk: Uint8Array, onMessage: (message: Message, sizeBytes: number) => void): void;
}

/** Neither of raft's own messages is from nobody to nobody. */
export function isLinkHeartbeat(message: Message): boolean {
  return message.type === "MsgHeartbeat" && message.from === 0n && message.to === 0n;
}

export function streamEncoder(kind: StreamKind, codec: MessageCodec): StreamEncoder {
  return kind === "message" ? new MessageEncoder(codec) : new AppendEncoder(codec);
}

export function streamDecoder(kind: StreamKind, codec: MessageCodec, local: NodeId, remote: NodeId): StreamDecoder {
  return kind === "message" ? new MessageDecoder(codec) : new AppendDecoder(codec, local, remote);
}

/** A message behind its length. */
export function encodeDelimited(codec: MessageCodec, message: Message): Buffer {
  const size = codec.size(message);
  const bytes = Buffer.allocUnsafe(8 + size);
  writeLength(bytes, 0, size);
  codec.write(bytes, 8, message);
  return bytes;
}

class MessageEncoder implements StreamEncoder {
  readonly #codec: MessageCodec;

  constructor(codec: MessageCodec) {
    this.#codec = codec;
  }

  encode(message: Message): Buffer {
    return encodeDelimited(this.#codec, message);
  }

  heartbeat(): Buffer {
    return Buffer.from([0, 0, 0, 0, 0, 0, 0, 2, 0x08, 0x08]); // Of type MsgHeartbeat and nothing else.
  }
}

class AppendEncoder implements StreamEncoder {
  readonly #codec: MessageCodec;
  #term = 0;
  #index = 0;

  constructor(codec: MessageCodec) {
    this.#codec = codec;
  }

  encode(message: Message): Buffer {
    const { entries, index, term, logTerm } = message;
    if (this.#index === index && this.#term === logTerm && logTerm === term) return this.#follow(message);
    this.#term = term;
    this.#index = entries.at(-1)?.index ?? index;
    const size = this.#codec.size(message);
    const bytes = Buffer.allocUnsafe(9 + size);
    bytes[0] = APPEND_MESSAGE;
    writeLength(bytes, 1, size);
    this.#codec.write(bytes, 9, message);
    return bytes;
  }

  heartbeat(): Buffer {
    return Buffer.from([LINK_HEARTBEAT]);
  }

  #follow({ entries, commit }: Message): Buffer {
    let size = 17 + 8 * entries.length;
    for (let i = 0; i < entries.length; i++) size += entrySize(entries[i]!);
    const bytes = Buffer.allocUnsafe(size);
    bytes[0] = APPEND_ENTRIES;
    writeLength(bytes, 1, entries.length);
    let at = 9;
    for (let i = 0; i < entries.length; i++) {
      const end = writeEntry(bytes, at + 8, entries[i]!);
      writeLength(bytes, at, end - at - 8);
      at = end;
    }
    writeLength(bytes, at, commit);
    this.#index += entries.length;
    return bytes;
  }
}

/** Bytes that have come in and are not yet used, in one piece when `take` asks. */
abstract class Framed implements StreamDecoder {
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** With fewer bytes than this there is nothing to do. */
  #need = 1;

  /** Reads one frame that begins at `at` and returns the place behind, or how many bytes it needs from `at`, negative. */
  protected abstract read(bytes: Buffer, at: number, onMessage: (message: Message, sizeBytes: number) => void): number;

  push(chunk: Uint8Array, onMessage: (message: Message, sizeBytes: number) => void): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#need) return;
    const bytes =
      this.#chunks.length === 1
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
        : Buffer.concat(this.#chunks, this.#held);
    let at = 0;
    this.#need = 1;
    while (at < bytes.length) {
      const next = this.read(bytes, at, onMessage);
      if (next < 0) {
        this.#need = -next;
        break;
      }
      at = next;
    }
    this.#held = bytes.length - at;
    this.#chunks = this.#held === 0 ? [] : [bytes.subarray(at)];
  }
}

class MessageDecoder extends Framed {
  readonly #codec: MessageCodec;

  constructor(codec: MessageCodec) {
    super();
    this.#codec = codec;
  }

  protected read(bytes: Buffer, at: number, onMessage: (message: Message, sizeBytes: number) => void): number {
    if (bytes.length < at + 8) return -8;
    const size = readLength(bytes, at);
    const end = at + 8 + size;
    if (bytes.length < end) return -(8 + size);
    onMessage(this.#codec.decode(bytes.subarray(at + 8, end)), size);
    return end;
  }
}

class AppendDecoder extends Framed {
  readonly #codec: MessageCodec;
  readonly #local: NodeId;
  readonly #remote: NodeId;
  #term = 0;
  #index = 0;

  constructor(codec: MessageCodec, local: NodeId, remote: NodeId) {
    super();
    this.#codec = codec;
    this.#local = local;
    this.#remote = remote;
  }

  protected read(bytes: Buffer, at: number, onMessage: (message: Message, sizeBytes: number) => void): number {
    const kind = bytes[at];
    if (kind === LINK_HEARTBEAT) {
      onMessage(createMessage({ type: "MsgHeartbeat" }), 1);
      return at + 1;
    }
    if (kind === APPEND_ENTRIES) return this.#follow(bytes, at, onMessage);
    if (kind !== APPEND_MESSAGE) throw new MessageError(`failed to parse type ${kind} in msgappv2 stream`);
    if (bytes.length < at + 9) return -9;
    const size = readLength(bytes, at + 1);
    const end = at + 9 + size;
    if (bytes.length < end) return -(9 + size);
    const message = this.#codec.decode(bytes.subarray(at + 9, end));
    this.#term = message.term;
    this.#index = message.entries.at(-1)?.index ?? message.index;
    onMessage(message, size);
    return end;
  }

  #follow(bytes: Buffer, start: number, onMessage: (message: Message, sizeBytes: number) => void): number {
    if (bytes.length < start + 17) return -17;
    const count = readLength(bytes, start + 1);
    // First only measured: an entry is decoded once, when all of them are there.
    let end = start + 9;
    for (let i = 0; i < count; i++) {
      if (bytes.length < end + 8) return -(end + 8 - start);
      end += 8 + readLength(bytes, end);
      if (bytes.length < end) return -(end + 8 - start);
    }
    if (bytes.length < end + 8) return -(end + 8 - start);
    const entries: Entry[] = [];
    let at = start + 9;
    for (let i = 0; i < count; i++) {
      const size = readLength(bytes, at);
      entries.push(decodeEntry(bytes.subarray(at + 8, at + 8 + size)));
      at += 8 + size;
    }
    const message: Message = {
      ...createMessage({ type: "MsgHeartbeat" }),
      type: "MsgApp",
      from: this.#remote,
      to: this.#local,
      term: this.#term,
      logTerm: this.#term,
      index: this.#index,
      entries,
      commit: readNumber(bytes, at),
    };
    this.#index += count;
    onMessage(message, at + 8 - start);
    return at + 8;
  }
}

function writeLength(to: Buffer, at: number, value: number): void {
  to.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  to.writeUInt32BE(value >>> 0, at + 4);
}

function readLength(bytes: Buffer, at: number): number {
  const value = readNumber(bytes, at);
  if (value > MESSAGE_BYTES_MAX) throw new MessageError("error limit exceeded"); // Upstream's words.
  return value;
}

function readNumber(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
  if (value > Number.MAX_SAFE_INTEGER) throw new MessageError("a number in a message is too large");
  return value;
}
