/** What the protobuf forms of both OpenAPI documents have in common: how a message is assembled from the members of an object. */
import { Writer } from "../codec/protobuf-wire.ts";
import { writeYamlInOrder } from "../codec/yaml-writer.ts";
import type { Json } from "./schemas.ts";

/** Writes a value; what is of variable size writes its length too. */
export type Write = (writer: Writer, value: any) => void;
export interface Field {
  readonly number: number;
  readonly wire: 0 | 1 | 2;
  readonly write: Write;
  /** A list becomes one field an element. */
  readonly repeated?: boolean;
  /** Of an object that is a list of names and values: writes one of them. */
  readonly entry?: (writer: Writer, map: Json, name: string) => void;
}
export type Fields = Readonly<Record<string, Field>>;

const string: Write = (writer, value) => writer.string(value);
export const text = (number: number): Field => ({ number, wire: 2, write: string });
export const texts = (number: number): Field => ({ number, wire: 2, write: string, repeated: true });
export const flag = (number: number): Field => ({
  number,
  wire: 0,
  write: (writer, value) => writer.varint(value === true ? 1 : 0),
});
export const whole = (number: number): Field => ({ number, wire: 0, write: (writer, value) => writer.varint(value) });
export const float = (number: number): Field => ({ number, wire: 1, write: (writer, value) => writer.double(value) });
export const inner = (number: number, write: Write): Field => ({ number, wire: 2, write });
export const inners = (number: number, write: Write): Field => ({ number, wire: 2, write, repeated: true });

export function put(writer: Writer, { number, wire, write, repeated }: Field, value: any): void {
  if (repeated === true)
    for (let i = value.length - 1; i >= 0; i--) {
      write(writer, value[i]);
      writer.tag(number, wire);
    }
  else {
    write(writer, value);
    writer.tag(number, wire);
  }
}

/** A message of known fields, and one for all members that start with `x-`. */
export function message(fields: () => Fields, extension?: number): Write {
  let order: readonly (readonly [string, Field])[] | undefined;
  return (writer, value) => {
    order ??= Object.entries(fields()).sort(([, a], [, b]) => b.number - a.number);
    const end = writer.mark();
    if (extension !== undefined)
      for (const name of Object.keys(value)
        .filter((key) => key.startsWith("x-"))
        .reverse()) {
        const named = writer.mark();
        any(writer, value[name]);
        writer.tag(2, 2);
        writer.string(name);
        writer.tag(1, 2);
        writer.lengthSince(named);
        writer.tag(extension, 2);
      }
    for (const [name, field] of order) if (value[name] !== undefined) put(writer, field, value[name]);
    writer.lengthSince(end);
  };
}

/** A value of any shape, as YAML. */
export const any: Write = (writer, value) => {
  const end = writer.mark();
  writer.string(writeYamlInOrder(value));
  writer.tag(2, 2);
  writer.lengthSince(end);
};

/** An object as a list of names and values, under field `number` of a message of its own. */
export function named(value: Write, number = 1): Write {
  const entry = namedEntry(value, number);
  return (writer, map: Json) => {
    const end = writer.mark();
    for (const name of Object.keys(map).reverse()) entry(writer, map, name);
    writer.lengthSince(end);
  };
}

/** The same as a field that can be written entry by entry. */
export const allNamed = (field: number, value: Write, number = 1): Field => ({
  ...inner(field, named(value, number)),
  entry: namedEntry(value, number),
});

const namedEntry = (value: Write, number: number) => (writer: Writer, map: Json, name: string) => {
  const entry = writer.mark();
  value(writer, map[name]);
  writer.tag(2, 2);
  writer.string(name);
  writer.tag(1, 2);
  writer.lengthSince(entry);
  writer.tag(number, 2);
};

/** A message with one field. */
export function wrapped(field: Field): Write {
  return (writer, value) => {
    const end = writer.mark();
    put(writer, field, value);
    writer.lengthSince(end);
  };
}

/** The bytes of a document. */
export function encodeDocument(document: Json, fields: Fields): Buffer {
  const made = encodeDocumentInGoes(document, fields);
  for (;;) {
    const { done, value } = made.next();
    if (done === true) return value;
  }
}

/** The same, entry by entry where a field has a list of them. */
export function* encodeDocumentInGoes(document: Json, fields: Fields): Generator<void, Buffer> {
  const writer = new Writer();
  for (const [name, field] of Object.entries(fields).sort(([, a], [, b]) => b.number - a.number)) {
    const value = document[name] as Json | undefined;
    if (value === undefined) continue;
    if (field.entry === undefined) {
      put(writer, field, value);
      continue;
    }
    const end = writer.mark();
    for (const entry of Object.keys(value).reverse()) {
      field.entry(writer, value, entry);
      yield;
    }
    writer.lengthSince(end);
    writer.tag(field.number, field.wire);
  }
  return writer.finish();
}
