import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Correlated } from "./correlation.ts";
import { ObjectRules } from "./evaluate.ts";

/** Each line: the schema of `spec`, a value, the value before if there was one, and the errors that upstream's implementation finds. */
const OUTCOMES = new URL("outcomes.golden.jsonl", import.meta.url);
const object = (spec: unknown) => ({ apiVersion: "example.com/v1", kind: "Thing", metadata: { name: "x" }, spec });

test("rules find in objects what upstream's implementation finds", () => {
  const lines = readFileSync(OUTCOMES, "utf8").trimEnd().split("\n");
  assert.ok(lines.length > 100);
  for (const line of lines) {
    const [spec, value, before, errors] = JSON.parse(line);
    const schema = { type: "object", properties: { spec } };
    const now = object(value);
    const old = before.length === 0 ? undefined : object(before[0]);
    const correlated = old && new Correlated(now, old, schema);
    const found = new ObjectRules(schema).validate(now, old, { correlated });
    assert.deepEqual([...new Set(found.map(({ field, message }) => `${field}: ${message}`))].sort(), errors, line);
  }
});
