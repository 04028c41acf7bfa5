/**
 * Protobuf as built-in kinds are sent and stored: the `k8s\0` envelope around a message. Go's rules apply: a scalar that is not a pointer is always
 * written, even if zero; fields are in the order of their numbers, maps in the order of their keys.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf, generated.pb.go of each API group
 */
import { microTimeOf, formatDuration, formatTime, parseDuration, secondsAndNanos } from "../meta/time.ts";
import type { Schema } from "../schema/schema.ts";
import { type Decoded, DecodeError, readTree, withinDepth } from "./decode.ts";
import { Reader, Writer } from "./protobuf-wire.ts";

const MAGIC = Buffer.from("k8s\0");

/** What an envelope says of its content. */
export interface Envelope {
  readonly apiVersion: string;
  readonly kind: string;
  readonly raw: Uint8Array;
  readonly contentType: string;
}

export function isProtobuf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x6b && bytes[1] === 0x38 && bytes[2] === 0x73 && bytes[3] === 0;
}

export function openEnvelope(bytes: Uint8Array): Envelope {
  if (!isProtobuf(bytes))
    throw new DecodeError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  let apiVersion = "";
  let kind = "";
  let raw: Uint8Array = new Uint8Array();
  let contentType = "";
  const reader = new Reader(bytes, MAGIC.length);
  reader.message(bytes.length, (number) => {
    if (number === 1)
      reader.nested((inner) => {
        if (inner === 1) apiVersion = reader.string();
        else if (inner === 2) kind = reader.string();
        else return false;
        return true;
      });
    else if (number === 2) raw = reader.bytes();
    else if (number === 4) contentType = reader.string();
    else return false;
    return true;
  });
  return { apiVersion, kind, raw, contentType };
}

/** How a type's fields lie in its message, by number; embedded structs are messages in it. */
interface Layout {
  /** Ascending. */
  readonly fields: readonly LayoutField[];
  readonly byNumber: ReadonlyMap<number, LayoutField>;
}
type LayoutField =
  | { readonly number: number; readonly name: string; readonly schema: Schema }
  | { readonly number: number; readonly embedded: Layout };

/** Remembers the layouts of the types that it has met; make one and keep it. */
export class ProtobufCodec {
  readonly #layouts = new WeakMap<ReadonlyMap<string, Schema>, Layout>();

  /** An object with `apiVersion` and `kind` in its envelope. */
  encode(object: any, schema: Schema): Buffer {
    const writer = new Writer();
    writer.string("");
    writer.tag(4, 2);
    writer.string("");
    writer.tag(3, 2);
    const end = writer.mark();
    this.#writeStruct(writer, object, schema);
    writer.lengthSince(end);
    writer.tag(2, 2);
    const typeEnd = writer.mark();
    writer.string(object.kind ?? "");
    writer.tag(2, 2);
    writer.string(object.apiVersion ?? "");
    writer.tag(1, 2);
    writer.lengthSince(typeEnd);
    writer.tag(1, 2);
    writer.raw(MAGIC);
    return writer.finish();
  }

  /** The message alone. */
  encodeMessage(object: any, schema: Schema): Buffer {
    const writer = new Writer();
    this.#writeStruct(writer, object, schema);
    return writer.finish();
  }

  decode<T = any>(bytes: Uint8Array, schema: Schema): Decoded<T> {
    const { apiVersion, kind, raw } = openEnvelope(bytes);
    return withinDepth(() => {
      const tree = this.#readTree(raw, schema);
      if (apiVersion !== "") tree["apiVersion"] = apiVersion;
      if (kind !== "") tree["kind"] = kind;
      return { object: readTree(tree, schema).object, warnings: [] };
    });
  }

  decodeMessage<T = any>(bytes: Uint8Array, schema: Schema): T {
    return withinDepth(() => readTree(this.#readTree(bytes, schema), schema).object);
  }

  /** One frame of a watch: length, then a WatchEvent around the object in its envelope. */
  encodeWatchEvent(type: string, envelope: Uint8Array): Buffer {
    const writer = new Writer();
    const end = writer.mark();
    writer.bytes(envelope);
    writer.tag(1, 2);
    writer.lengthSince(end);
    writer.tag(2, 2);
    writer.string(type);
    writer.tag(1, 2);
    const message = writer.finish();
    const frame = Buffer.allocUnsafe(4 + message.length);
    frame.writeUInt32BE(message.length);
    message.copy(frame, 4);
    return frame;
  }

  #layout(properties: ReadonlyMap<string, Schema>): Layout {
    const known = this.#layouts.get(properties);
    if (known !== undefined) return known;
    const layout = layoutOf([...properties], 0);
    this.#layouts.set(properties, layout);
    return layout;
  }

  #writeStruct(writer: Writer, object: any, schema: Schema): void {
    if (schema.properties !== undefined) this.#writeFields(writer, object, this.#layout(schema.properties));
  }

  #writeFields(writer: Writer, object: any, { fields }: Layout): void {
    for (let i = fields.length - 1; i >= 0; i--) {
      const field = fields[i]!;
      if ("embedded" in field) {
        const end = writer.mark();
        this.#writeFields(writer, object, field.embedded);
        writer.lengthSince(end);
        writer.tag(field.number, 2);
      } else this.#writeField(writer, object?.[field.name], field.schema, field.number);
    }
  }

  #writeField(writer: Writer, value: any, schema: Schema, number: number): void {
    const absent = value === undefined || value === null;
    if (schema.proto!.type === "wrapped" && schema.type === "array") {
      if (!absent) this.#writeWrapped(writer, value, number);
      return;
    }
    if (schema.type === "array") {
      if (absent) return;
      for (let i = value.length - 1; i >= 0; i--)
        this.#writeOne(writer, value[i], schema.items!, number, schema.proto!.type);
      return;
    }
    if (schema.values !== undefined) {
      if (absent) return;
      for (const key of Object.keys(value).sort().reverse()) {
        const end = writer.mark();
        if (schema.values.proto?.type === "wrapped") this.#writeWrapped(writer, value[key] ?? [], 2);
        else this.#writeOne(writer, value[key], schema.values, 2);
        writer.string(key);
        writer.tag(1, 2);
        writer.lengthSince(end);
        writer.tag(number, 2);
      }
      return;
    }
    if (absent && (schema.pointer === true || schema.format === "byte")) return;
    this.#writeOne(writer, value ?? undefined, schema, number);
  }

  #writeWrapped(writer: Writer, items: readonly string[], number: number): void {
    const end = writer.mark();
    for (let i = items.length - 1; i >= 0; i--) {
      writer.string(items[i]!);
      writer.tag(1, 2);
    }
    writer.lengthSince(end);
    writer.tag(number, 2);
  }

  /** One value under its number: the zero value where it is undefined. */
  #writeOne(writer: Writer, value: any, schema: Schema, number: number, _wire?: string): void {
    switch (schema.type) {
      case "string":
        switch (schema.format) {
          case undefined:
            writer.string(value ?? "");
            return writer.tag(number, 2);
          case "byte":
            writer.bytes(Buffer.from(value ?? "", "base64"));
            return writer.tag(number, 2);
          default:
            return this.#writeMessage(writer, value, schema, number);
        }
      case "integer":
        writer.varint(value ?? 0);
        return writer.tag(number, 0);
      case "boolean":
        writer.varint(value === true ? 1 : 0);
        return writer.tag(number, 0);
      case "number":
        writer.double(value ?? 0);
        return writer.tag(number, 1);
      default:
        return this.#writeMessage(writer, value, schema, number);
    }
  }

  #writeMessage(writer: Writer, value: any, schema: Schema, number: number): void {
    const end = writer.mark();
    switch (schema.format) {
      case "quantity":
        writer.string(value ?? "0");
        writer.tag(1, 2);
        break;
      case "date-time":
      case "micro-time":
        if (value !== undefined && value !== null) {
          const { seconds, nanos } = secondsAndNanos(value);
          writer.varint(nanos);
          writer.tag(2, 0);
          writer.varint(seconds);
          writer.tag(1, 0);
        }
        break;
      case "duration":
        writer.varint(value === undefined ? 0 : parseDuration(value));
        writer.tag(1, 0);
        break;
      case "int-or-string":
        writer.string(typeof value === "string" ? value : "");
        writer.tag(3, 2);
        writer.varint(typeof value === "number" ? value : 0);
        writer.tag(2, 0);
        writer.varint(typeof value === "string" ? 1 : 0);
        writer.tag(1, 0);
        break;
      case "raw":
      case "fields":
      case "json":
        if (value !== undefined && value !== null) {
          writer.bytes(Buffer.from(JSON.stringify(value)));
          writer.tag(1, 2);
        }
        break;
      case "schema-or-array":
        if (Array.isArray(value))
          for (let i = value.length - 1; i >= 0; i--) this.#writeOne(writer, value[i], schema.items!, 2);
        else this.#writeOne(writer, value, schema.items!, 1);
        break;
      case "schema-or-bool":
        if (typeof value !== "boolean") this.#writeOne(writer, value, schema.items!, 2);
        writer.varint(value === false ? 0 : 1);
        writer.tag(1, 0);
        break;
      case "schema-or-strings":
        if (Array.isArray(value))
          for (let i = value.length - 1; i >= 0; i--) {
            writer.string(value[i]);
            writer.tag(2, 2);
          }
        else this.#writeOne(writer, value, schema.items!, 1);
        break;
      default:
        this.#writeStruct(writer, value, schema);
    }
    writer.lengthSince(end);
    writer.tag(number, 2);
  }

  #readTree(bytes: Uint8Array, schema: Schema): Record<string, unknown> {
    const tree: Record<string, unknown> = {};
    if (schema.properties !== undefined) {
      const reader = new Reader(bytes, 0);
      this.#readFields(reader, bytes.length, tree, this.#layout(schema.properties));
    }
    return tree;
  }

  #readFields(reader: Reader, end: number, tree: Record<string, unknown>, layout: Layout): void {
    reader.message(end, (number, wire) => {
      const field = layout.byNumber.get(number);
      if (field === undefined) return false;
      if ("embedded" in field) {
        this.#readFields(reader, reader.length(), tree, field.embedded);
        return true;
      }
      const { name, schema } = field;
      if (schema.type === "array") {
        if (schema.proto!.type === "wrapped") tree[name] = this.#readWrapped(reader);
        else {
          const list = (tree[name] ??= []) as unknown[];
          if (wire === 2 && schema.items!.type === "integer") {
            const end = reader.length();
            while (reader.at < end) list.push(reader.varint());
          } else list.push(this.#readOne(reader, schema.items!) ?? null);
        }
      } else if (schema.values !== undefined)
        this.#readEntry(reader, (tree[name] ??= {}) as Record<string, unknown>, schema.values);
      else {
        const value = this.#readOne(reader, schema);
        if (
          value === undefined ||
          (value === 0 && schema.format === "int-or-string" && schema.omitEmpty === true && schema.pointer !== true)
        )
          return true;
        tree[name] = value;
      }
      return true;
    });
  }

  #readEntry(reader: Reader, map: Record<string, unknown>, values: Schema): void {
    let key = "";
    let value: unknown;
    reader.nested((number) => {
      if (number === 1) key = reader.string();
      else if (number === 2)
        value = values.proto?.type === "wrapped" ? this.#readWrapped(reader) : this.#readOne(reader, values);
      else return false;
      return true;
    });
    Object.defineProperty(map, key, { value: value ?? null, enumerable: true, configurable: true, writable: true });
  }

  #readWrapped(reader: Reader): string[] {
    const items: string[] = [];
    reader.nested((number) => {
      if (number !== 1) return false;
      items.push(reader.string());
      return true;
    });
    return items;
  }

  #readOne(reader: Reader, schema: Schema): unknown {
    switch (schema.type) {
      case "string":
        if (schema.format === undefined) return reader.string();
        if (schema.format === "byte") return Buffer.from(reader.bytes()).toString("base64");
        return this.#readMessage(reader, schema);
      case "integer":
        return reader.varint();
      case "boolean":
        return reader.varint() !== 0;
      case "number":
        return reader.double();
      default:
        return this.#readMessage(reader, schema);
    }
  }

  #readMessage(reader: Reader, schema: Schema): unknown {
    switch (schema.format) {
      case undefined: {
        const tree: Record<string, unknown> = {};
        const end = reader.length();
        if (schema.properties === undefined) reader.at = end;
        else this.#readFields(reader, end, tree, this.#layout(schema.properties));
        return tree;
      }
      case "raw":
      case "fields":
      case "json": {
        const raw = reader.parts().get(1) as Uint8Array | undefined;
        return raw === undefined || raw.length === 0 ? undefined : this.#readRaw(raw);
      }
      case "schema-or-array":
      case "schema-or-bool":
      case "schema-or-strings":
        return this.#readUnion(reader, schema);
    }
    const parts = reader.parts();
    const number = (n: number) => (parts.get(n) ?? 0) as number;
    const string = (n: number) => (parts.has(n) ? Buffer.from(parts.get(n) as Uint8Array).toString() : "");
    switch (schema.format) {
      case "quantity":
        return string(1) === "" ? "0" : string(1);
      case "date-time":
        return parts.size === 0 ? undefined : formatTime(number(1) * 1000);
      case "micro-time":
        return parts.size === 0 ? undefined : microTimeOf(number(1), number(2));
      case "duration":
        return formatDuration(number(1));
      case "int-or-string":
        return number(1) === 1 ? string(3) : number(2);
      default:
        throw new DecodeError(`no message for the format ${schema.format}`);
    }
  }

  /** Raw bytes are JSON; an object that was put there as protobuf can't be shown without knowing its kind. */
  #readRaw(raw: Uint8Array): unknown {
    try {
      return JSON.parse(Buffer.from(raw).toString());
    } catch (cause) {
      throw new DecodeError("raw content is not JSON", { cause });
    }
  }

  #readUnion(reader: Reader, schema: Schema): unknown {
    let one: unknown;
    let allows: boolean | undefined;
    const many: unknown[] = [];
    const schemaNumber = schema.format === "schema-or-bool" ? 2 : 1;
    reader.nested((number) => {
      if (number === schemaNumber) one = this.#readOne(reader, schema.items!);
      else if (number === 1) allows = reader.varint() !== 0;
      else if (number === 2)
        many.push(schema.format === "schema-or-array" ? this.#readOne(reader, schema.items!) : reader.string());
      else return false;
      return true;
    });
    if (schema.format === "schema-or-bool") return one ?? allows;
    return one ?? many;
  }
}

function layoutOf(properties: readonly (readonly [string, Schema])[], depth: number): Layout {
  const fields: LayoutField[] = [];
  const embedded = new Map<number, (readonly [string, Schema])[]>();
  for (const [name, schema] of properties) {
    if (schema.proto === undefined) continue;
    const outer = schema.proto.within?.[depth];
    if (outer === undefined) fields.push({ number: schema.proto.number, name, schema });
    else embedded.set(outer, [...(embedded.get(outer) ?? []), [name, schema]]);
  }
  for (const [number, inner] of embedded) fields.push({ number, embedded: layoutOf(inner, depth + 1) });
  fields.sort((a, b) => a.number - b.number);
  return { fields, byNumber: new Map(fields.map((field) => [field.number, field])) };
}
