import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NEW_RULES } from "./rules.ts";
import { validateSchema } from "./schema.ts";
import { NEW_SCHEMA } from "./validation.ts";

/** Each line: the schema of `spec`, and the errors that upstream's implementation finds in it. */
const OUTCOMES = new URL("rules.golden.jsonl", import.meta.url);

test("schemas with rules are refused where upstream refuses them, also for what they would cost", () => {
  const lines = readFileSync(OUTCOMES, "utf8").trimEnd().split("\n");
  assert.ok(lines.length > 50);
  for (const line of lines) {
    const [spec, errors] = JSON.parse(line);
    const openAPIV3Schema = { type: "object", properties: { spec } };
    const found = validateSchema({ openAPIV3Schema }, "spec.validation", false, { ...NEW_SCHEMA, ...NEW_RULES });
    assert.deepEqual([...new Set(found.map(({ field, message }) => `${field}: ${message}`))].sort(), errors, line);
  }
});
