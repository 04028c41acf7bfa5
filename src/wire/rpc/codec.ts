/**
 * Protocol buffers from field tables, in both directions. A message type is compiled on first use into a list of small functions, one for each
 * field. Encoding runs backwards, last field first, so that the length of a nested message is known when it has to be written, and nothing is
 * measured or moved.
 *
 * In our objects an enum is its name (a number where the table has no name), a `big` field a bigint, and every other 64-bit number a safe integer.
 * Decoded messages are complete: absent fields have their zero values; only messages, members of a oneof and `optional` fields may be undefined.
 */
import { assert } from "../../base/assert.ts";
import { BackwardWriter } from "./backward-writer.ts";
import { type Kind, kindOf } from "./kinds.ts";
import { DecodeError, Halves, Reader } from "./reader.ts";
import type { Init, MessageField, MessageType } from "./service.ts";

export interface Codec {
  readonly registry: Registry;
  /** The bytes of a message, in memory of their own, after `prefixBytes` that the caller fills in. */
  encode<T>(type: MessageType<T>, message: Init<T>, prefixBytes?: number): Uint8Array;
  /** As `encode`, in memory shared with other messages: for bytes that are sent and forgotten. */
  encodeTransient<T>(type: MessageType<T>, message: Init<T>, prefixBytes?: number): Uint8Array;
  /** What `encodeTransient` gave last is not needed any more; anything else is left alone. */
  release(encoded: Uint8Array): void;
  /** The message's `bytes` fields are views of `data`. Throws `DecodeError`. */
  decode<T>(type: MessageType<T>, data: Uint8Array): T;
  /** The whole message that the other side would see. Bytes are shared. */
  fill<T>(type: MessageType<T>, message: Init<T>): T;
}

/** What a protocol's generated file says. */
export interface Registry {
  readonly messages: Readonly<Record<string, MessageType<any>>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Packages of proto2, whose repeated numbers are not packed. */
  readonly proto2?: readonly string[];
  /** By message: writers by hand, last field first as all else, for what is sent so often that a list of functions costs too much. */
  readonly byHand?: Readonly<Record<string, WriteByHand>>;
}

export type WriteByHand = (message: any, writer: BackwardWriter) => void;

/** Stands for a message where its bytes are known already: they are copied in place of encoding it. */
export abstract class Encoded {
  abstract get bytes(): Uint8Array;
  /** Gives the length. */
  abstract writeTo(writer: BackwardWriter): number;
}

class KnownBytes extends Encoded {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    super();
    this.bytes = bytes;
  }
  writeTo(writer: BackwardWriter): number {
    writer.bytes(this.bytes);
    return this.bytes.length;
  }
}

/** A message in pieces, of which each has some of its fields: whoever sends it need not have all of it in one place. */
export class EncodedPieces extends Encoded {
  readonly pieces: readonly Uint8Array[];
  readonly length: number;
  constructor(pieces: readonly Uint8Array[]) {
    super();
    this.pieces = pieces;
    this.length = pieces.reduce((sum, { length }) => sum + length, 0);
  }
  get bytes(): Uint8Array {
    return Buffer.concat(this.pieces, this.length);
  }
  writeTo(writer: BackwardWriter): number {
    for (let i = this.pieces.length - 1; i >= 0; i--) writer.bytes(this.pieces[i]!);
    return this.length;
  }
}

/** `encoded<KeyValue>(bytes)` may be given wherever `Init<KeyValue>` is asked for. */
export function encoded<T>(bytes: Uint8Array): Init<T> {
  return new KnownBytes(bytes) as unknown as Init<T>;
}

export function createCodec(registry: Registry): Codec {
  const compiled = new Map<MessageType<unknown>, CompiledMessage>();
  const writer = new BackwardWriter();
  const halves = new Halves();
  const lookup = (name: string): MessageType<unknown> => {
    const type = registry.messages[name] ?? WELL_KNOWN[name];
    assert(type, `no message type ${name}`);
    return type as MessageType<unknown>;
  };
  const compile = (type: MessageType<unknown>): CompiledMessage => {
    let message = compiled.get(type);
    if (!message) {
      message = new CompiledMessage(type.name);
      compiled.set(type, message); // Before its fields: messages may nest themselves.
      message.compile(type, registry, (name) => compile(lookup(name)));
    }
    return message;
  };
  const write = (type: MessageType<any>, message: object, prefixBytes: number): void => {
    if (message instanceof Encoded) message.writeTo(writer);
    else compile(type).write(message as Message, writer);
    writer.skip(prefixBytes);
  };
  return {
    registry,
    encode(type, message, prefixBytes = 0) {
      writer.start();
      write(type, message as object, prefixBytes);
      return writer.copy();
    },
    encodeTransient(type, message, prefixBytes = 0) {
      writer.start();
      write(type, message as object, prefixBytes);
      return writer.take();
    },
    release: (encoded) => writer.release(encoded),
    decode: <T>(type: MessageType<T>, data: Uint8Array) => {
      const reader = new Reader(data, halves);
      return compile(type as MessageType<unknown>).read(reader, data.length) as T;
    },
    fill: <T>(type: MessageType<T>, message: Init<T>) =>
      compile(type as MessageType<unknown>).fill(message as Message) as T,
  };
}

type Message = Record<string, unknown>;

const NO_ITEMS: readonly unknown[] = Object.freeze([]);
const NO_ENTRIES: Readonly<Record<string, unknown>> = Object.freeze({});

/** From so many fields on, a message is taken to have only some of them. */
const MANY_FIELDS = 16;
/** A list's length is guessed from so many of its last items. */
const SAMPLE = 8;

class CompiledMessage {
  readonly name: string;
  #template: Message = {};
  /** Where a field's writer is, of messages with many fields. */
  #positions: Map<string, number> | undefined;
  #byHand: WriteByHand | undefined;
  /** In descending field number: the encoder runs backwards. */
  readonly #writers: ((message: Message, writer: BackwardWriter) => void)[] = [];
  readonly #readers: (FieldReader | undefined)[] = [];
  readonly #fillers: ((from: Message, to: Message) => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  compile(type: MessageType<unknown>, registry: Registry, nested: (name: string) => CompiledMessage): void {
    const packed = !registry.proto2?.includes(type.name.slice(0, type.name.indexOf(".")));
    for (const field of [...type.fields].sort((a, b) => b.number - a.number)) {
      const kind = kindOf(field, registry);
      // A nested type is compiled when it is first met, not now: raft's Message holds Messages.
      let target: CompiledMessage | undefined;
      const message = kind ? undefined : () => (target ??= nested(field.map?.value ?? field.type));
      const compiled = field.map
        ? mapField(field, kind, message, registry)
        : field.repeated
          ? kind
            ? repeatedScalar(field, kind, packed)
            : repeatedMessage(field, message!)
          : kind
            ? scalarField(field, kind)
            : messageField(field, message!);
      this.#writers.push(compiled.write);
      this.#readers[field.number] = compiled.read;
      this.#fillers.push(compiled.fill);
    }
    // In the table's order, and every message starts from the same shape. The engine makes a slow object, and slow copies of it, of one that is given
    // more than a dozen properties one by one; parsed at once it stays fast.
    this.#template = JSON.parse(JSON.stringify(Object.fromEntries(type.fields.map(({ name }) => [name, null]))));
    for (const field of type.fields) this.#template[field.name] = zeroOf(field, kindOf(field, registry));
    this.#byHand = registry.byHand?.[type.name];
    if (type.fields.length < MANY_FIELDS) return;
    const order = type.fields.toSorted((a, b) => b.number - a.number);
    this.#positions = new Map(order.map(({ name }, position) => [name, position]));
  }

  write(message: Message, writer: BackwardWriter): void {
    if (this.#byHand !== undefined) return this.#byHand(message, writer);
    const writers = this.#writers;
    if (this.#positions !== undefined) {
      const names = Object.keys(message);
      if (names.length < MANY_FIELDS / 2) return this.#writeSome(names, this.#positions, message, writer);
    }
    for (let i = 0; i < writers.length; i++) writers[i]!(message, writer);
  }

  /** The next field to be written is looked for among the few each time: that is quicker than to sort them. */
  #writeSome(
    names: readonly string[],
    positions: ReadonlyMap<string, number>,
    message: Message,
    writer: BackwardWriter,
  ): void {
    for (let written = -1; ;) {
      let next = Infinity;
      for (let i = 0; i < names.length; i++) {
        const position = positions.get(names[i]!);
        if (position !== undefined && position > written && position < next) next = position;
      }
      if (next === Infinity) return;
      this.#writers[next]!(message, writer);
      written = next;
    }
  }

  read(reader: Reader, end: number): Message {
    const message = { ...this.#template };
    const readers = this.#readers;
    reader.enter();
    while (reader.position < end) {
      const tag = reader.uint32();
      const read = readers[tag >>> 3];
      if (read) read(message, reader, tag & 7);
      else reader.skip(tag & 7, tag >>> 3);
    }
    if (reader.position !== end) throw new DecodeError(`${this.name}: a field runs past the end of its message`);
    reader.leave();
    return message;
  }

  fill(from: Message): Message {
    if (from instanceof Encoded) {
      const { bytes } = from;
      return this.read(new Reader(bytes, new Halves()), bytes.length);
    }
    const to = { ...this.#template };
    for (const fill of this.#fillers) fill(from, to);
    return to;
  }
}

type FieldReader = (message: Message, reader: Reader, wire: number) => void;
interface CompiledField {
  readonly write: (message: Message, writer: BackwardWriter) => void;
  readonly read: FieldReader;
  readonly fill: (from: Message, to: Message) => void;
}

const mayBeAbsent = (field: MessageField): boolean => field.oneof !== undefined || field.optional === true;

function zeroOf(field: MessageField, kind: Kind | undefined): unknown {
  if (field.map) return NO_ENTRIES;
  if (field.repeated) return NO_ITEMS;
  return kind && !mayBeAbsent(field) ? kind.zero : undefined;
}

function scalarField({ name, number, ...field }: MessageField, kind: Kind): CompiledField {
  const always = mayBeAbsent({ name, number, ...field });
  const tag = (number << 3) | kind.wire;
  return {
    write(message, writer) {
      const value = message[name];
      if (value === undefined || (!always && kind.isZero(value))) return;
      kind.write(value, writer);
      writer.varint32(tag);
    },
    read(message, reader, wire) {
      if (wire !== kind.wire) return mismatch(reader, wire, number);
      message[name] = kind.read(reader);
    },
    fill(from, to) {
      const value = from[name];
      if (value !== undefined) to[name] = value;
    },
  };
}

function messageField({ name, number }: MessageField, type: () => CompiledMessage): CompiledField {
  const tag = (number << 3) | 2;
  return {
    write(message, writer) {
      const value = message[name];
      if (value === undefined || value === null) return;
      writeNested(value as Message, writer, type());
      writer.varint32(tag);
    },
    read(message, reader, wire) {
      if (wire !== 2) return mismatch(reader, wire, number);
      const length = reader.uint32();
      const value = type().read(reader, reader.endOf(length));
      const before = message[name] as Message | undefined;
      message[name] = before === undefined ? value : mergeOf(before, value);
    },
    fill(from, to) {
      const value = from[name];
      if (value !== undefined && value !== null) to[name] = type().fill(value as Message);
    },
  };
}

/** A message field that comes twice: the later fields win. Nobody sends it, but the format allows it. */
function mergeOf(before: Message, value: Message): Message {
  const merged = { ...before };
  for (const [name, item] of Object.entries(value)) {
    const empty = item === undefined || item === 0 || item === "" || item === false || item === 0n || item === NO_ITEMS;
    if (Array.isArray(item) && Array.isArray(merged[name])) merged[name] = [...(merged[name] as unknown[]), ...item];
    else if (!empty) merged[name] = item;
  }
  return merged;
}

function writeNested(value: Message, writer: BackwardWriter, type: CompiledMessage): void {
  if (value instanceof Encoded) {
    writer.varint32(value.writeTo(writer));
    return;
  }
  const before = writer.length;
  type.write(value, writer);
  writer.varint32(writer.length - before);
}

function repeatedMessage({ name, number }: MessageField, type: () => CompiledMessage): CompiledField {
  const tag = (number << 3) | 2;
  return {
    write(message, writer) {
      const items = message[name] as readonly Message[] | undefined;
      if (items === undefined) return;
      const compiled = items.length === 0 ? undefined : type();
      const before = writer.length;
      for (let i = items.length - 1; i >= 0; i--) {
        writeNested(items[i]!, writer, compiled!);
        writer.varint32(tag);
        // Room for all of a long list is made at once, so that nothing is moved on the way.
        if (items.length - i === SAMPLE && i > SAMPLE) writer.expect(((writer.length - before) / SAMPLE) * i * 1.05);
      }
    },
    read(message, reader, wire) {
      if (wire !== 2) return mismatch(reader, wire, number);
      const length = reader.uint32();
      const item = type().read(reader, reader.endOf(length));
      const items = message[name] as Message[];
      if ((items as unknown) === NO_ITEMS) message[name] = [item];
      else items.push(item);
    },
    fill(from, to) {
      const items = from[name] as readonly Message[] | undefined;
      if (items !== undefined && items.length > 0) to[name] = items.map((item) => type().fill(item));
    },
  };
}

function repeatedScalar({ name, number }: MessageField, kind: Kind, packed: boolean): CompiledField {
  const packs = packed && kind.wire !== 2;
  const tag = (number << 3) | (packs ? 2 : kind.wire);
  return {
    write(message, writer) {
      const items = message[name] as readonly unknown[] | undefined;
      if (items === undefined || items.length === 0) return;
      const before = writer.length;
      for (let i = items.length - 1; i >= 0; i--) {
        kind.write(items[i], writer);
        if (!packs) writer.varint32(tag);
      }
      if (packs) {
        writer.varint32(writer.length - before);
        writer.varint32(tag);
      }
    },
    read(message, reader, wire) {
      let items = message[name] as unknown[];
      if ((items as unknown) === NO_ITEMS) message[name] = items = [];
      if (wire === kind.wire) items.push(kind.read(reader));
      else if (wire === 2) {
        const end = reader.endOf(reader.uint32());
        while (reader.position < end) items.push(kind.read(reader));
      } else mismatch(reader, wire, number);
    },
    fill(from, to) {
      const items = from[name];
      if (items !== undefined) to[name] = items;
    },
  };
}

function mapField(
  { name, number, map }: MessageField,
  kind: Kind | undefined,
  message: (() => CompiledMessage) | undefined,
  registry: Registry,
): CompiledField {
  const tag = (number << 3) | 2;
  const key = kindOf({ name: "key", number: 1, type: map!.key }, registry)!;
  const keyOf = (text: string): unknown =>
    key.zero === "" ? text : key.zero === false ? text === "true" : Number(text);
  return {
    write(owner, writer) {
      const entries = owner[name] as Readonly<Record<string, unknown>> | undefined;
      if (entries === undefined) return;
      // Sorted, so that equal maps have equal bytes, as Go's deterministic marshalling has them.
      const keys = Object.keys(entries).sort();
      for (let i = keys.length - 1; i >= 0; i--) {
        const value = entries[keys[i]!];
        const before = writer.length;
        if (kind) kind.write(value, writer);
        else writeNested(value as Message, writer, message!());
        writer.varint32((2 << 3) | (kind?.wire ?? 2));
        key.write(keyOf(keys[i]!), writer);
        writer.varint32((1 << 3) | key.wire);
        writer.varint32(writer.length - before);
        writer.varint32(tag);
      }
    },
    read(owner, reader, wire) {
      if (wire !== 2) return mismatch(reader, wire, number);
      const end = reader.endOf(reader.uint32());
      let entryKey: unknown = key.zero;
      let value: unknown = kind?.zero;
      while (reader.position < end) {
        const entry = reader.uint32();
        if (entry === ((1 << 3) | key.wire)) entryKey = key.read(reader);
        else if (entry === ((2 << 3) | (kind?.wire ?? 2)))
          value = kind ? kind.read(reader) : message!().read(reader, reader.endOf(reader.uint32()));
        else reader.skip(entry & 7, entry >>> 3);
      }
      if (!kind && value === undefined) value = message!().fill({});
      let entries = owner[name] as Record<string, unknown>;
      if (entries === NO_ENTRIES) owner[name] = entries = {};
      if (entryKey === "__proto__")
        Object.defineProperty(entries, "__proto__", { value, enumerable: true, configurable: true, writable: true });
      else entries[String(entryKey)] = value;
    },
    fill(from, to) {
      const entries = from[name] as Readonly<Record<string, Message>> | undefined;
      if (entries === undefined) return;
      to[name] = kind
        ? entries
        : Object.fromEntries(Object.entries(entries).map(([entry, value]) => [entry, message!().fill(value)]));
    },
  };
}

/** A known field in a form that it doesn't have is skipped, as an unknown one. */
function mismatch(reader: Reader, wire: number, number: number): void {
  reader.skip(wire, number);
}

const wrapper = (type: string): MessageType<unknown> => ({
  name: type,
  fields: [{ name: "value", number: 1, type }],
});
const WELL_KNOWN: Readonly<Record<string, MessageType<unknown>>> = {
  "google.protobuf.BoolValue": wrapper("bool"),
  "google.protobuf.Int32Value": wrapper("int32"),
  "google.protobuf.Int64Value": wrapper("int64"),
  "google.protobuf.UInt32Value": wrapper("uint32"),
  "google.protobuf.UInt64Value": wrapper("uint64"),
  "google.protobuf.DoubleValue": wrapper("double"),
  "google.protobuf.StringValue": wrapper("string"),
  "google.protobuf.BytesValue": wrapper("bytes"),
  "google.protobuf.Empty": { name: "google.protobuf.Empty", fields: [] },
  "google.protobuf.Timestamp": {
    name: "google.protobuf.Timestamp",
    fields: [
      { name: "seconds", number: 1, type: "int64" },
      { name: "nanos", number: 2, type: "int32" },
    ],
  },
};
