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

test("a property whose name is a word of CEL's own is written with or without underscores", () => {
  const rows: readonly (readonly [rule: string, holds: boolean])[] = [
    ["has(self.namespace) && self.namespace == 'a'", true],
    ["has(self.__namespace__) && self.__namespace__ == 'a'", true],
    ["self.namespace == 'b'", false],
    ["!has(self.package)", true],
    ["has(self.__package__)", false],
  ];
  const text = { type: "string" };
  for (const [rule, holds] of rows) {
    const properties = { namespace: text, package: text };
    const spec = { type: "object", properties, "x-kubernetes-validations": [{ rule, message: "no" }] };
    const rules = new ObjectRules({ type: "object", properties: { spec } } as never);
    const found = rules.validate(object({ namespace: "a" }), undefined, {});
    assert.deepEqual(
      found.map(({ message }) => message),
      holds ? [] : ["Invalid value: no"],
      rule,
    );
  }
});
