/** Every row of the groups' `validation*.rows.jsonl`: the errors of our hooks are upstream's, in its order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorsOf, readValidationRows } from "../testing/validation-rows.ts";

const rows = readValidationRows();
const groups = [...new Set(rows.map(({ group }) => group))];

for (const group of groups)
  test(`what breaks a rule of ${group} is told so as upstream tells it`, () => {
    const failures: string[] = [];
    for (const row of rows.filter((one) => one.group === group)) {
      const actual = errorsOf(row);
      if (actual.length === row.errors.length && actual.every((text, i) => text === row.errors[i])) continue;
      failures.push(
        `${row.file}:${row.line}, ${row.of} ${row.op} ${JSON.stringify(row.set)}\n  upstream: ${row.errors.join("\n            ")}\n  ours:     ${actual.join("\n            ")}`,
      );
    }
    assert.equal(failures.length, 0, `${failures.length} rows differ\n${failures.join("\n")}`);
  });
