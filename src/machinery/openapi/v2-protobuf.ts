/** The v2 document in protobuf, the only form in which client-go reads it. Upstream: github.com/google/gnostic-models/openapiv2/OpenAPIv2.proto */
import {
  allNamed,
  any,
  encodeDocument,
  encodeDocumentInGoes,
  type Fields,
  flag,
  float,
  inner,
  inners,
  message,
  named,
  text,
  texts,
  whole,
  wrapped,
  type Write,
} from "./messages.ts";
import type { Json } from "./schemas.ts";

export const V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

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

  const reference = message(() => ({ $ref: text(1), description: text(2) }));
  const itself: Write = (writer, value) =>
    wrapped(
      value.in === "body" ? inner(1, body) : inner(2, wrapped(value.in === "path" ? inner(4, path) : inner(3, query))),
    )(writer, value);
  /** Itself, or the name of one that many share. */
  const parameter: Write = (writer, value) =>
    wrapped(value.$ref === undefined ? inner(1, itself) : inner(2, reference))(writer, value);

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
    paths: allNamed(8, pathItem, 2),
    definitions: allNamed(9, schema),
    parameters: inner(10, named(itself)),
    security: inners(12, named(wrapped(texts(1)))),
    securityDefinitions: inner(13, named(wrapped(inner(2, apiKey)))),
  };
}

/** The bytes of a document made by `openApiV2`. */
export function encodeOpenApiV2(document: Json): Buffer {
  return encodeDocument(document, documentFields());
}

/** The same, a path or a definition at a time. */
export function encodeOpenApiV2InGoes(document: Json): Generator<void, Buffer> {
  return encodeDocumentInGoes(document, documentFields());
}
