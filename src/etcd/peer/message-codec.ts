/**
 * Raft's messages in upstream's protobuf encoding, by hand: every append and heartbeat passes here. What is zero is left out. Ids are 64 bits, and
 * there are few of them: each is turned into bytes once.
 *
 * Upstream: raftpb/raft.proto
 */
import type { ConfState, Entry, EntryType, Message, MessageKind, NodeId, Snapshot } from "../../raft/types.ts";
import { FieldReader, MessageError } from "./field-reader.ts";

/** In the order of their numbers. */
const KINDS: readonly MessageKind[] = [
  "MsgHup",
  "MsgBeat",
  "MsgProp",
  "MsgApp",
  "MsgAppResp",
  "MsgVote",
  "MsgVoteResp",
  "MsgSnap",
  "MsgHeartbeat",
  "MsgHeartbeatResp",
  "MsgUnreachable",
  "MsgSnapStatus",
  "MsgCheckQuorum",
  "MsgTransferLeader",
  "MsgTimeoutNow",
  "MsgReadIndex",
  "MsgReadIndexResp",
  "MsgPreVote",
  "MsgPreVoteResp",
  "MsgStorageAppend",
  "MsgStorageAppendResp",
  "MsgStorageApply",
  "MsgStorageApplyResp",
  "MsgForgetLeader",
];
const NUMBERS = Object.fromEntries(KINDS.map((kind, number) => [kind, number])) as Readonly<
  Record<MessageKind, number>
>;
const EMPTY = new Uint8Array(0);
/** More ids than a cluster has in years: a table that is fuller than this is emptied. */
const IDS_MAX = 256;

export class MessageCodec {
  readonly #bytesOf = new Map<NodeId, Uint8Array>();
  readonly #ids: { readonly high: number; readonly low: number; readonly id: NodeId }[] = [];

  size(message: Message): number {
    const { term, logTerm, index, entries, commit, vote, snapshot, rejectHint, context, responses } = message;
    let size = 2;
    size += this.#idSize(message.to) + this.#idSize(message.from);
    if (vote !== 0n) size += this.#idSize(vote);
    if (term !== 0) size += 1 + varintSize(term);
    if (logTerm !== 0) size += 1 + varintSize(logTerm);
    if (index !== 0) size += 1 + varintSize(index);
    for (let i = 0; i < entries.length; i++) size += 1 + delimited(entrySize(entries[i]!));
    if (commit !== 0) size += 1 + varintSize(commit);
    if (snapshot !== undefined) size += 1 + delimited(this.#snapshotSize(snapshot));
    if (message.reject) size += 2;
    if (rejectHint !== 0) size += 1 + varintSize(rejectHint);
    if (context !== undefined && context.length > 0) size += 1 + delimited(context.length);
    for (const response of responses) size += 1 + delimited(this.size(response));
    return size;
  }

  /** Writes at `at` and returns the place behind. There must be room for `size(message)`. */
  write(to: Buffer, at: number, message: Message): number {
    const { term, logTerm, index, entries, commit, vote, snapshot, rejectHint, context, responses } = message;
    to[at++] = 0x08;
    to[at++] = NUMBERS[message.type];
    at = this.#writeId(to, at, 0x10, message.to);
    at = this.#writeId(to, at, 0x18, message.from);
    if (term !== 0) at = writeField(to, at, 0x20, term);
    if (logTerm !== 0) at = writeField(to, at, 0x28, logTerm);
    if (index !== 0) at = writeField(to, at, 0x30, index);
    for (let i = 0; i < entries.length; i++) {
      at = writeField(to, at, 0x3a, entrySize(entries[i]!));
      at = writeEntry(to, at, entries[i]!);
    }
    if (commit !== 0) at = writeField(to, at, 0x40, commit);
    if (snapshot !== undefined) {
      at = writeField(to, at, 0x4a, this.#snapshotSize(snapshot));
      at = this.#writeSnapshot(to, at, snapshot);
    }
    if (message.reject) {
      to[at++] = 0x50;
      to[at++] = 1;
    }
    if (rejectHint !== 0) at = writeField(to, at, 0x58, rejectHint);
    if (context !== undefined && context.length > 0) at = writeBytes(to, at, 0x62, context);
    if (vote !== 0n) at = this.#writeId(to, at, 0x68, vote);
    for (const response of responses) {
      at = writeField(to, at, 0x72, this.size(response));
      at = this.write(to, at, response);
    }
    return at;
  }

  encode(message: Message): Buffer {
    const bytes = Buffer.allocUnsafe(this.size(message));
    this.write(bytes, 0, message);
    return bytes;
  }

  /** Entries' data are views of `bytes`. Throws `MessageError`. */
  decode(bytes: Uint8Array): Message {
    const reader = new FieldReader(bytes);
    let type = 0;
    let to: NodeId = 0n;
    let from: NodeId = 0n;
    let vote: NodeId = 0n;
    let term = 0;
    let logTerm = 0;
    let index = 0;
    let commit = 0;
    let rejectHint = 0;
    let reject = false;
    let snapshot: Snapshot | undefined;
    let context: Uint8Array | undefined;
    const entries: Entry[] = [];
    const responses: Message[] = [];
    while (reader.more()) {
      switch (reader.tag()) {
        case 0x08:
          type = reader.number();
          break;
        case 0x10:
          to = this.#readId(reader);
          break;
        case 0x18:
          from = this.#readId(reader);
          break;
        case 0x20:
          term = reader.number();
          break;
        case 0x28:
          logTerm = reader.number();
          break;
        case 0x30:
          index = reader.number();
          break;
        case 0x3a:
          entries.push(decodeEntry(reader.bytes()));
          break;
        case 0x40:
          commit = reader.number();
          break;
        case 0x4a:
          snapshot = this.#readSnapshot(reader.bytes());
          break;
        case 0x50:
          reject = reader.number() !== 0;
          break;
        case 0x58:
          rejectHint = reader.number();
          break;
        case 0x62:
          context = reader.bytes();
          break;
        case 0x68:
          vote = this.#readId(reader);
          break;
        case 0x72:
          responses.push(this.decode(reader.bytes()));
          break;
        default:
          reader.skip();
      }
    }
    const kind = KINDS[type];
    if (kind === undefined) throw new MessageError(`unknown type of message: ${type}`);
    // Older members always write a snapshot, mostly an empty one.
    if (kind !== "MsgSnap" && snapshot?.metadata.index === 0) snapshot = undefined;
    return {
      type: kind,
      to,
      from,
      term,
      logTerm,
      index,
      entries,
      commit,
      vote,
      snapshot,
      reject,
      rejectHint,
      context,
      responses,
    };
  }

  #idSize(id: NodeId): number {
    return id === 0n ? 0 : 1 + this.#idBytes(id).length;
  }

  #writeId(to: Buffer, at: number, tag: number, id: NodeId): number {
    if (id === 0n) return at;
    to[at++] = tag;
    const bytes = this.#idBytes(id);
    for (let i = 0; i < bytes.length; i++) to[at++] = bytes[i]!;
    return at;
  }

  #idBytes(id: NodeId): Uint8Array {
    let bytes = this.#bytesOf.get(id);
    if (bytes === undefined) {
      const digits: number[] = [];
      let rest = BigInt.asUintN(64, id);
      for (; rest > 0x7fn; rest >>= 7n) digits.push(Number(rest & 0x7fn) | 0x80);
      digits.push(Number(rest));
      bytes = Uint8Array.from(digits);
      if (this.#bytesOf.size >= IDS_MAX) this.#bytesOf.clear();
      this.#bytesOf.set(id, bytes);
    }
    return bytes;
  }

  #readId(reader: FieldReader): NodeId {
    reader.halves();
    const { high, low } = reader;
    for (let i = 0; i < this.#ids.length; i++) {
      const known = this.#ids[i]!;
      if (known.low === low && known.high === high) return known.id;
    }
    const id = (BigInt(high) << 32n) | BigInt(low);
    if (this.#ids.length >= IDS_MAX) this.#ids.length = 0;
    this.#ids.push({ high, low, id });
    return id;
  }

  #snapshotSize({ data, metadata }: Snapshot): number {
    const size = 1 + delimited(this.#metadataSize(metadata));
    return data.length === 0 ? size : size + 1 + delimited(data.length);
  }

  #metadataSize({ confState, index, term }: Snapshot["metadata"]): number {
    let size = 1 + delimited(this.#confStateSize(confState));
    if (index !== 0) size += 1 + varintSize(index);
    if (term !== 0) size += 1 + varintSize(term);
    return size;
  }

  #confStateSize(state: ConfState): number {
    let size = state.autoLeave ? 2 : 0;
    for (const ids of [state.voters, state.learners, state.votersOutgoing, state.learnersNext])
      for (const id of ids) size += id === 0n ? 2 : this.#idSize(id);
    return size;
  }

  #writeSnapshot(to: Buffer, at: number, { data, metadata }: Snapshot): number {
    const { confState: state, index, term } = metadata;
    if (data.length > 0) at = writeBytes(to, at, 0x0a, data);
    at = writeField(to, at, 0x12, this.#metadataSize(metadata));
    at = writeField(to, at, 0x0a, this.#confStateSize(state));
    at = this.#writeIds(to, at, 0x08, state.voters);
    at = this.#writeIds(to, at, 0x10, state.learners);
    at = this.#writeIds(to, at, 0x18, state.votersOutgoing);
    at = this.#writeIds(to, at, 0x20, state.learnersNext);
    if (state.autoLeave) {
      to[at++] = 0x28;
      to[at++] = 1;
    }
    if (index !== 0) at = writeField(to, at, 0x10, index);
    if (term !== 0) at = writeField(to, at, 0x18, term);
    return at;
  }

  /** In a list a zero is written, too. */
  #writeIds(to: Buffer, at: number, tag: number, ids: readonly NodeId[]): number {
    for (const id of ids) {
      if (id !== 0n) at = this.#writeId(to, at, tag, id);
      else {
        to[at++] = tag;
        to[at++] = 0;
      }
    }
    return at;
  }

  #readSnapshot(bytes: Uint8Array): Snapshot {
    const reader = new FieldReader(bytes);
    let data: Uint8Array = EMPTY;
    let metadata: Snapshot["metadata"] = { confState: this.#readConfState(EMPTY), index: 0, term: 0 };
    while (reader.more()) {
      const tag = reader.tag();
      if (tag === 0x0a) data = reader.bytes();
      else if (tag === 0x12) metadata = this.#readMetadata(reader.bytes());
      else reader.skip();
    }
    return { data, metadata };
  }

  #readMetadata(bytes: Uint8Array): Snapshot["metadata"] {
    const reader = new FieldReader(bytes);
    let state = EMPTY;
    let index = 0;
    let term = 0;
    while (reader.more()) {
      const tag = reader.tag();
      if (tag === 0x0a) state = reader.bytes() as Uint8Array<ArrayBuffer>;
      else if (tag === 0x10) index = reader.number();
      else if (tag === 0x18) term = reader.number();
      else reader.skip();
    }
    return { confState: this.#readConfState(state), index, term };
  }

  #readConfState(bytes: Uint8Array): ConfState {
    const lists: readonly NodeId[][] = [[], [], [], []];
    let autoLeave = false;
    const reader = new FieldReader(bytes);
    while (reader.more()) {
      const tag = reader.tag();
      const list = lists[(tag >> 3) - 1];
      if (tag === 0x28) autoLeave = reader.number() !== 0;
      else if (list !== undefined && (tag & 7) === 0) list.push(this.#readId(reader));
      else if (list !== undefined && (tag & 7) === 2) {
        const packed = new FieldReader(reader.bytes());
        while (packed.more()) list.push(this.#readId(packed));
      } else reader.skip();
    }
    const [voters, learners, votersOutgoing, learnersNext] = lists as [NodeId[], NodeId[], NodeId[], NodeId[]];
    return { voters, learners, votersOutgoing, learnersNext, autoLeave };
  }
}

export function entrySize({ term, index, type, data }: Entry): number {
  let size = 0;
  if (type !== 0) size += 2;
  if (term !== 0) size += 1 + varintSize(term);
  if (index !== 0) size += 1 + varintSize(index);
  if (data.length > 0) size += 1 + delimited(data.length);
  return size;
}

export function writeEntry(to: Buffer, at: number, { term, index, type, data }: Entry): number {
  if (type !== 0) {
    to[at++] = 0x08;
    to[at++] = type;
  }
  if (term !== 0) at = writeField(to, at, 0x10, term);
  if (index !== 0) at = writeField(to, at, 0x18, index);
  if (data.length > 0) at = writeBytes(to, at, 0x22, data);
  return at;
}

export function decodeEntry(bytes: Uint8Array): Entry {
  const reader = new FieldReader(bytes);
  let type = 0;
  let term = 0;
  let index = 0;
  let data: Uint8Array = EMPTY;
  while (reader.more()) {
    switch (reader.tag()) {
      case 0x08:
        type = reader.number();
        break;
      case 0x10:
        term = reader.number();
        break;
      case 0x18:
        index = reader.number();
        break;
      case 0x22:
        data = reader.bytes();
        break;
      default:
        reader.skip();
    }
  }
  if (type > 2) throw new MessageError(`unknown type of entry: ${type}`);
  return { term, index, type: type as EntryType, data };
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 4;
  for (let rest = Math.floor(value / 0x1000_0000); rest > 0; rest = Math.floor(rest / 128)) size++;
  return size;
}

function delimited(length: number): number {
  return varintSize(length) + length;
}

function writeVarint(to: Buffer, at: number, value: number): number {
  while (value > 0x7fff_ffff) {
    to[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  while (value > 0x7f) {
    to[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  to[at++] = value;
  return at;
}

function writeField(to: Buffer, at: number, tag: number, value: number): number {
  to[at++] = tag;
  return writeVarint(to, at, value);
}

function writeBytes(to: Buffer, at: number, tag: number, bytes: Uint8Array): number {
  at = writeField(to, at, tag, bytes.length);
  to.set(bytes, at);
  return at + bytes.length;
}
