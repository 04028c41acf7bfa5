import assert from "node:assert/strict";
import { test } from "node:test";
import { validateSchemas } from "./structural.ts";

const versionOf = (openAPIV3Schema: object, name = "v1") => ({ name, schema: { openAPIV3Schema } }) as never;
const errorsOf = (schema: object): readonly string[] =>
  validateSchemas([versionOf(schema)]).map(({ field, message }) =>
    `${field}: ${message}`.replace("spec.validation.openAPIV3Schema", "S"),
  );
const spec = (schema: object) => ({ type: "object", properties: { spec: schema } });

test("a schema that says each type once is structural", () => {
  const schemas = [
    { type: "object" },
    { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    spec({ "x-kubernetes-preserve-unknown-fields": true }),
    spec({ "x-kubernetes-int-or-string": true }),
    spec({ "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }], pattern: "x" }),
    spec({
      "x-kubernetes-int-or-string": true,
      allOf: [{ anyOf: [{ type: "integer" }, { type: "string" }] }, { pattern: "x" }],
    }),
    spec({ type: "object", additionalProperties: { type: "string" } }),
    spec({ type: "object", properties: { a: { type: "string" } }, oneOf: [{ required: ["a"] }, { not: {} }] }),
    {
      type: "object",
      properties: { apiVersion: { type: "string" }, kind: { type: "string" }, metadata: { type: "object" } },
    },
    spec({
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      items: { type: "object", required: ["name"], properties: { name: { type: "string" } } },
    }),
  ];
  for (const schema of schemas) assert.deepEqual(errorsOf(schema), [], JSON.stringify(schema));
});

test("what is not structural is refused where upstream refuses it", () => {
  const table: readonly (readonly [object, readonly string[]])[] = [
    [{}, ["S.type: Required value: must not be empty at the root"]],
    [{ type: "string" }, ['S.type: Invalid value: "string": must be object at the root']],
    [spec({}), ["S.properties[spec].type: Required value: must not be empty for specified object fields"]],
    [spec({ type: "array" }), ["S.properties[spec].items: Required value: must be specified"]],
    [
      spec({ type: "array", items: {} }),
      ["S.properties[spec].items.type: Required value: must not be empty for specified array items"],
    ],
    [
      spec({ type: "string", "x-kubernetes-int-or-string": true }),
      ["S.properties[spec].type: Forbidden: must be empty if x-kubernetes-int-or-string is true"],
    ],
    [
      spec({ type: "object", anyOf: [{ type: "object" }] }),
      ["S.properties[spec].anyOf[0].type: Forbidden: must be empty to be structural"],
    ],
    [
      spec({ type: "object", uniqueItems: true }),
      [
        "S.properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      ],
    ],
    [
      spec({ type: "object", additionalProperties: true, properties: { a: { type: "string" } } }),
      ["S.properties[spec].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"],
    ],
    [
      { type: "object", properties: { metadata: { type: "object", properties: { labels: { type: "object" } } } } },
      [
        "S.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
      ],
    ],
    [
      spec({ type: "array", items: { type: "object" }, "x-kubernetes-list-type": "map" }),
      [
        "S.properties[spec].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
      ],
    ],
  ];
  for (const [schema, errors] of table) assert.deepEqual(errorsOf(schema), errors, JSON.stringify(schema));
});

test("versions with schemas of their own are told apart", () => {
  const errors = validateSchemas([versionOf({ type: "object" }), versionOf({}, "v2")]);
  assert.deepEqual(
    errors.map(({ field }) => field),
    ["spec.versions[1].schema.openAPIV3Schema.type"],
  );
});
