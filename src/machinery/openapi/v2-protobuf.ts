/**
 * The document of v2 in protobuf, which is the only form in which client-go reads it.
 * Upstream: github.com/google/gnostic-models/openapiv2/OpenAPIv2.proto
 */
import { Writer } from "../codec/protobuf-wire.ts";
import type { Json } from "./schemas.ts";

export const V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/** Writes a value; what is of variable size writes its length too. */
type Write = (writer: Writer, value: any) => void;
interface Field {
  readonly number: number;
  readonly wire: 0 | 1 | 2;
  readonly write: Write;
  /** A list becomes one field an element. */
  readonly repeated?: boolean;
}
type Fields = Readonly<Record<string, Field>>;

const string: Write = (writer, value) => writer.string(value);
const text = (number: number): Field => ({ number, wire: 2, write: string });
const texts = (number: number): Field => ({ number, wire: 2, write: string, repeated: true });
const flag = (number: number): Field => ({
  number,
  wire: 0,
  write: (writer, value) => writer.varint(value === true ? 1 : 0),
});
const whole = (number: number): Field => ({ number, wire: 0, write: (writer, value) => writer.varint(value) });
const float = (number: number): Field => ({ number, wire: 1, write: (writer, value) => writer.double(value) });
const inner = (number: number, write: Write): Field => ({ number, wire: 2, write });
const inners = (number: number, write: Write): Field => ({ number, wire: 2, write, repeated: true });

function put(writer: Writer, { number, wire, write, repeated }: Field, value: any): void {
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
function message(fields: () => Fields, extension?: number): Write {
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

/** A value of any shape, as YAML; JSON is YAML. */
const any: Write = (writer, value) => {
  const end = writer.mark();
  writer.string(JSON.stringify(value));
  writer.tag(2, 2);
  writer.lengthSince(end);
};

/** An object as a list of names and values, under field `number` of a message of its own. */
function named(value: Write, number = 1): Write {
  return (writer, map: Json) => {
    const end = writer.mark();
    for (const name of Object.keys(map).reverse()) {
      const entry = writer.mark();
      value(writer, map[name]);
      writer.tag(2, 2);
      writer.string(name);
      writer.tag(1, 2);
      writer.lengthSince(entry);
      writer.tag(number, 2);
    }
    writer.lengthSince(end);
  };
}

/** A message with one field. */
function wrapped(field: Field): Write {
  return (writer, value) => {
    const end = writer.mark();
    put(writer, field, value);
    writer.lengthSince(end);
  };
}

/** The fields of a document. Schemas are in schemas, so all of this is made in one place, once a document. */
function documentFields(): Fields {
  const schema: Write = message(
    () => ({
      $ref: text(1),
      format: text(2),
      title: text(3),
      description: text(4),
      default: inner(5, any),
      multipleOf: float(6),
      maximum: float(7),
      exclusiveMaximum: flag(8),
      minimum: float(9),
      exclusiveMinimum: flag(10),
      maxLength: whole(11),
      minLength: whole(12),
      pattern: text(13),
      maxItems: whole(14),
      minItems: whole(15),
      uniqueItems: flag(16),
      maxProperties: whole(17),
      minProperties: whole(18),
      required: texts(19),
      enum: inners(20, any),
      additionalProperties: inner(21, (writer, value) =>
        wrapped(typeof value === "boolean" ? flag(2) : inner(1, schema))(writer, value),
      ),
      type: inner(22, wrapped(text(1))),
      items: inner(23, wrapped(inner(1, schema))),
      properties: inner(25, named(schema)),
    }),
    31,
  );

  const query = message(() => ({
    required: flag(1),
    in: text(2),
    description: text(3),
    name: text(4),
    type: text(6),
    uniqueItems: flag(20),
  }));
  const path = message(() => ({
    required: flag(1),
    in: text(2),
    description: text(3),
    name: text(4),
    type: text(5),
    uniqueItems: flag(19),
  }));
  const body = message(() => ({
    description: text(1),
    name: text(2),
    in: text(3),
    required: flag(4),
    schema: inner(5, schema),
  }));

  const parameter: Write = (writer, value) => {
    const one =
      value.in === "body" ? inner(1, body) : inner(2, wrapped(value.in === "path" ? inner(4, path) : inner(3, query)));
    wrapped(inner(1, wrapped(one)))(writer, value);
  };

  const response = wrapped(
    inner(
      1,
      message(() => ({ description: text(1), schema: inner(2, wrapped(inner(1, schema))) })),
    ),
  );

  const operation = message(
    () => ({
      tags: texts(1),
      description: text(3),
      operationId: text(5),
      produces: texts(6),
      consumes: texts(7),
      parameters: inners(8, parameter),
      responses: inner(9, named(response)),
      schemes: texts(10),
    }),
    13,
  );

  const pathItem = message(() => ({
    get: inner(2, operation),
    put: inner(3, operation),
    post: inner(4, operation),
    delete: inner(5, operation),
    options: inner(6, operation),
    head: inner(7, operation),
    patch: inner(8, operation),
    parameters: inners(9, parameter),
  }));

  const apiKey = message(() => ({ type: text(1), name: text(2), in: text(3), description: text(4) }));

  return {
    swagger: text(1),
    info: inner(
      2,
      message(() => ({ title: text(1), version: text(2) })),
    ),
    paths: inner(8, named(pathItem, 2)),
    definitions: inner(9, named(schema)),
    security: inners(12, named(wrapped(texts(1)))),
    securityDefinitions: inner(13, named(wrapped(inner(2, apiKey)))),
  };
}

/** The bytes of a document made by `openApiV2`. */
export function encodeOpenApiV2(document: Json): Buffer {
  const writer = new Writer();
  for (const [name, field] of Object.entries(documentFields()).reverse())
    if (document[name] !== undefined) put(writer, field, document[name]);
  return writer.finish();
}
