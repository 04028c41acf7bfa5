import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { deepFreeze } from "../../base/mutable.ts";
import { decodeJson } from "../../machinery/codec/json.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { customResource } from "./resource.ts";

/**
 * A base: `{"base": name, "definition": {…}}`. A row: what is written (`object`, over what `old` is), and upstream's answer to it: its errors,
 * sorted, or why it can't be read; the fields that it doesn't know; its warnings; and what the object is then, where that differs.
 */
interface Row {
  readonly of: string;
  readonly op: "create" | "update" | "status";
  readonly object: any;
  readonly old?: any;
  readonly errors?: readonly string[];
  readonly problem?: string;
  readonly unknown?: readonly string[];
  readonly warnings?: readonly string[];
  readonly made?: object;
}

const lines = readFileSync(new URL("objects.rows.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n");
const parsed = lines.map((line) => JSON.parse(line));
const definitions = new Map(parsed.filter(({ base }) => base).map(({ base, definition }) => [base, definition]));
const rows = parsed.filter(({ base }) => base === undefined) as readonly Row[];

const STORED = { uid: "8c3f6f0e-8f5c-4c92-9b52-4c8a7a5c0000", resourceVersion: "1" };
const CONTEXT = {
  now: "2026-01-01T00:00:00Z",
  user: { name: "admin", groups: [] },
  featureGates: new Map(),
  uuid: () => STORED.uid,
};

function answer({ of, op, object, old }: Row): Omit<Row, "of" | "op" | "object" | "old"> {
  const definition = definitions.get(of);
  const resource = customResource(definition, definition.spec.versions[0]);
  const read = (given: any, stored: object) => {
    const whole = { apiVersion: "example.com/v1", kind: "Thing", ...given };
    const metadata = { name: "x", ...given.metadata, ...stored };
    const text = JSON.stringify({ ...whole, metadata });
    return decodeJson(text, resource.schema, { custom: true, fieldValidation: "Warn" });
  };
  const { object: draft, warnings: unknown } = read(object, op === "create" ? {} : STORED);
  let errors: readonly FieldError[];
  const warnings: string[] = [];
  if (op === "create") {
    resource.behaviour.prepareForCreate!(draft, CONTEXT);
    errors = resource.behaviour.validate!({ ...draft, metadata: { ...draft.metadata, ...STORED } }, CONTEXT);
    if (errors.length === 0) warnings.push(...resource.behaviour.warnings!(draft, undefined));
  } else {
    const before = deepFreeze(read(old, STORED).object);
    const behaviour = op === "status" ? resource.subresources["status"]!.behaviour! : resource.behaviour;
    const warn = (text: string) => void warnings.push(text);
    behaviour.prepareForUpdate!(draft, before, CONTEXT);
    errors = behaviour.validateUpdate!(draft, before, { ...CONTEXT, warn });
  }
  const { apiVersion: _, kind: __, metadata: ___, ...made } = draft;
  const paths = unknown.map((text) => JSON.parse(text.slice("unknown field ".length)) as string);
  return {
    errors: [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))].sort(),
    ...(paths.length > 0 && { unknown: paths.sort() }),
    ...(warnings.length > 0 && { warnings }),
    made,
  };
}

test("objects of custom kinds are read, filled in, refused and warned of as upstream does it", () => {
  const failures: string[] = [];
  assert.ok(rows.length > 250);
  for (const row of rows) {
    const { of, op, object, old, made, ...expected } = row;
    let actual: ReturnType<typeof answer>;
    try {
      actual = answer(row);
    } catch (error) {
      actual = { problem: `decode: ${(error as Error).message}` };
    }
    const { metadata: _, ...rest } = object;
    try {
      assert.deepEqual(actual, expected.problem === undefined ? { ...expected, made: made ?? rest } : expected);
    } catch {
      failures.push(
        `${of} ${op} ${JSON.stringify(object)} ${JSON.stringify(old)}\n  upstream ${JSON.stringify({ ...expected, made: made ?? rest })}\n  ours     ${JSON.stringify(actual)}`,
      );
    }
  }
  assert.equal(failures.length, 0, `${failures.length} of ${rows.length} differ\n${failures.join("\n")}`);
});
