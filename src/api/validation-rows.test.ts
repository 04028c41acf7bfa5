/** Every row of the groups' `validation*.rows.jsonl`: the errors of our hooks are upstream's, in its order, and so are its warnings where there are no errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorsOf, type PlacedRow, readValidationRows, warningsOf } from "../testing/validation-rows.ts";

const rows = readValidationRows();
const groups = [...new Set(rows.map(({ group }) => group))];

for (const group of groups)
  test(`what breaks a rule of ${group} is told so as upstream tells it`, () => {
    const failures = rows
      .filter((row) => row.group === group)
      .flatMap((row) => [
        ...compared(row, "errors", row.errors, errorsOf(row)),
        ...(row.warnings === undefined ? [] : compared(row, "warnings", row.warnings, warningsOf(row))),
      ]);
    assert.equal(failures.length, 0, `${failures.length} rows differ\n${failures.join("\n")}`);
  });

function compared(
  row: PlacedRow,
  what: string,
  upstream: readonly string[],
  ours: readonly string[],
): readonly string[] {
  if (ours.length === upstream.length && ours.every((text, i) => text === upstream[i])) return [];
  return [
    `${row.file}:${row.line}, ${what} of ${row.of} ${row.op} ${JSON.stringify(row.set)}\n  upstream: ${upstream.join("\n            ")}\n  ours:     ${ours.join("\n            ")}`,
  ];
}
