/**
 * A v3 document in protobuf, for clients that want it small.
 * Upstream: k8s.io/kube-openapi/pkg/handler3, github.com/google/gnostic-models/openapiv3/OpenAPIv3.proto
 */
import {
  any,
  encodeDocument,
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

export const V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";

/** The bytes of a document made by `openApiV3`. */
export function encodeOpenApiV3(document: Json): Buffer {
  return encodeDocument(document, documentFields());
}

/** Schemas are in schemas, so all of this is made in one place, once a document. */
function documentFields(): Fields {
  const reference = message(() => ({ $ref: text(1), summary: text(2), description: text(3) }));
  /** Itself, or where it is. */
  const orReference =
    (itself: Write): Write =>
    (writer, value) =>
      wrapped(value.$ref === undefined ? inner(1, itself) : inner(2, reference))(writer, value);

  const schema: Write = message(
    () => ({
      nullable: flag(1),
      readOnly: flag(3),
      writeOnly: flag(4),
      example: inner(7, any),
      deprecated: flag(8),
      title: text(9),
      multipleOf: float(10),
      maximum: float(11),
      exclusiveMaximum: flag(12),
      minimum: float(13),
      exclusiveMinimum: flag(14),
      maxLength: whole(15),
      minLength: whole(16),
      pattern: text(17),
      maxItems: whole(18),
      minItems: whole(19),
      uniqueItems: flag(20),
      maxProperties: whole(21),
      minProperties: whole(22),
      required: texts(23),
      enum: inners(24, any),
      type: text(25),
      allOf: inners(26, schemaOrReference),
      oneOf: inners(27, schemaOrReference),
      anyOf: inners(28, schemaOrReference),
      not: inner(29, schema),
      items: inner(30, wrapped(inner(1, schemaOrReference))),
      properties: inner(31, named(schemaOrReference)),
      additionalProperties: inner(32, (writer, value) =>
        wrapped(typeof value === "boolean" ? flag(2) : inner(1, schemaOrReference))(writer, value),
      ),
      default: inner(33, defaultValue),
      description: text(34),
      format: text(35),
    }),
    36,
  );
  const schemaOrReference = orReference(schema);

  const content = named(message(() => ({ schema: inner(1, schemaOrReference), example: inner(2, any) })));
  const parameter = orReference(
    message(
      () => ({
        name: text(1),
        in: text(2),
        description: text(3),
        required: flag(4),
        deprecated: flag(5),
        allowEmptyValue: flag(6),
        style: text(7),
        explode: flag(8),
        allowReserved: flag(9),
        schema: inner(10, schemaOrReference),
        content: inner(13, content),
      }),
      14,
    ),
  );
  const requestBody = orReference(
    message(() => ({ description: text(1), content: inner(2, content), required: flag(3) }), 4),
  );
  const response = orReference(message(() => ({ description: text(1), content: inner(3, content) }), 5));
  const responses: Write = (writer, { default: otherwise, ...byCode }) => {
    const end = writer.mark();
    for (const code of Object.keys(byCode).reverse()) {
      const entry = writer.mark();
      response(writer, byCode[code]);
      writer.tag(2, 2);
      writer.string(code);
      writer.tag(1, 2);
      writer.lengthSince(entry);
      writer.tag(2, 2);
    }
    if (otherwise !== undefined) {
      response(writer, otherwise);
      writer.tag(1, 2);
    }
    writer.lengthSince(end);
  };
  const security = named(wrapped(texts(1)));

  const operation = message(
    () => ({
      tags: texts(1),
      summary: text(2),
      description: text(3),
      operationId: text(5),
      parameters: inners(6, parameter),
      requestBody: inner(7, requestBody),
      responses: inner(8, responses),
      deprecated: flag(10),
      security: inners(11, security),
    }),
    13,
  );
  const pathItem = message(
    () => ({
      $ref: text(1),
      summary: text(2),
      description: text(3),
      get: inner(4, operation),
      put: inner(5, operation),
      post: inner(6, operation),
      delete: inner(7, operation),
      options: inner(8, operation),
      head: inner(9, operation),
      patch: inner(10, operation),
      trace: inner(11, operation),
      parameters: inners(13, parameter),
    }),
    14,
  );
  const securityScheme = orReference(
    message(
      () => ({
        type: text(1),
        description: text(2),
        name: text(3),
        in: text(4),
        scheme: text(5),
        bearerFormat: text(6),
        openIdConnectUrl: text(8),
      }),
      9,
    ),
  );

  return {
    openapi: text(1),
    info: inner(
      2,
      message(() => ({ title: text(1), description: text(2), version: text(6) })),
    ),
    paths: inner(4, named(pathItem)),
    components: inner(
      5,
      message(() => ({
        schemas: inner(1, named(schemaOrReference)),
        responses: inner(2, named(response)),
        parameters: inner(3, named(parameter)),
        requestBodies: inner(5, named(requestBody)),
        securitySchemes: inner(7, named(securityScheme)),
      })),
    ),
    security: inners(6, security),
  };
}

/** A word, a number or a truth; of anything else upstream only says that there is one. */
const defaultValue: Write = (writer, value) => {
  const kind = { number: float(1), boolean: flag(2), string: text(3) }[typeof value as string];
  if (kind !== undefined) return wrapped(kind)(writer, value);
  writer.lengthSince(writer.mark());
};
