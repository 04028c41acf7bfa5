import assert from "node:assert/strict";
import { test } from "node:test";
import { NEW_RULES } from "./rules.ts";
import { validateSchema } from "./schema.ts";
import { NEW_SCHEMA } from "./validation.ts";

const errorsOf = (schema: object): readonly string[] =>
  validateSchema({ openAPIV3Schema: schema }, "", false, { ...NEW_SCHEMA, ...NEW_RULES }).map(({ field, message }) =>
    `${field}: ${message}`.replaceAll(".openAPIV3Schema", "S"),
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
