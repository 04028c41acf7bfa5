/** Every row of the groups' `defaults.rows.jsonl` and `strategy.rows.jsonl`: an object becomes with us what it becomes upstream. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultsOf, preparedOf, readBases, readDefaultsRows, readStrategyRows } from "../testing/prepared-rows.ts";

interface Placed {
  readonly group: string;
  readonly file: string;
  readonly line: number;
  readonly set: object;
}

function compare<T extends Placed>(rows: readonly T[], ours: (row: T) => object): void {
  const failures = rows.flatMap((row) => {
    const [upstream, actual] = [JSON.stringify(row.set), JSON.stringify(ours(row))];
    return upstream === actual
      ? []
      : [`${row.group}/${row.file}:${row.line}\n  upstream: ${upstream}\n  ours:     ${actual}`];
  });
  assert.equal(failures.length, 0, `${failures.length} rows differ\n${failures.join("\n")}`);
}

for (const [group, rows] of Map.groupBy(readDefaultsRows(), (row) => row.group))
  test(`what a client of ${group} leaves out is filled in as upstream fills it in`, () =>
    compare(rows, ({ object }) => defaultsOf(object)));

const bases = readBases();
for (const [group, rows] of Map.groupBy(readStrategyRows(), (row) => row.group))
  test(`a write of ${group} keeps, drops and sets what upstream's strategies keep, drop and set`, () =>
    compare(rows, (row) => preparedOf(bases.get(`${group}/${row.of}`), row)));
