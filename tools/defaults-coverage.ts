/**
 * Which defaults have a row of ours: `node tools/defaults-coverage.ts DEFAULTS.tsv [STRATEGIES.json]` prints counts by kind and every default without
 * one; `--summary FILE.md` writes the page for docs/reference. The table has a line for each default of upstream: group and version, kind, field path
 * (`[*]` any item, `{*}` any key), value, condition, order.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { builtinResources } from "../src/api/index.ts";
import { apiVersionOf } from "../src/machinery/resource.ts";
import { differences, readBases, readDefaultsRows, readStrategyRows } from "../src/testing/prepared-rows.ts";

interface Default {
  readonly apiVersion: string;
  readonly kind: string;
  readonly path: string;
  readonly value: string;
  readonly condition: string;
}

function readTable(file: string): Default[] {
  const [, ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [apiVersion = "", kind = "", path = "", value = "", condition = ""] = line.split("\t");
    return { apiVersion, kind, path, value, condition };
  });
}

/** Every path that defaulting set below an object, with what it set. */
function leavesOf(set: object): ReadonlyMap<string, unknown> {
  const leaves = new Map<string, unknown>();
  const walk = (value: unknown, path: string) => {
    leaves.set(path, value);
    if (Array.isArray(value)) for (const item of value) walk(item, `${path}[*]`);
    else if (typeof value === "object" && value !== null)
      for (const [key, one] of Object.entries(value)) walk(one, path === "" ? key : `${path}.${key}`);
  };
  for (const [path, value] of Object.entries(set))
    walk(value, path.replace(/\[\d+\]/g, "[*]").replace(/\["([^"]*)"\]/g, ".$1"));
  return leaves;
}

function isCovered({ path, value }: Default, leaves: readonly ReadonlyMap<string, unknown>[]): boolean {
  const pattern = new RegExp(
    `^${path
      .replace(/\["([^"]*)"\]/g, ".$1")
      .replace(/[\\^$.+?()|[\]]/g, "\\$&")
      .replace(/\\\[\*\\\]/g, "\\[\\*\\]")
      .replace(/\{[^}]*\}|\*(?!\\\])/g, "\\.?[^[]*")}$`,
  );
  const expected = parse(value);
  /** A structure that further defaults fill. */
  const opened = value === "{}";
  return leaves.some((of) =>
    [...of].some(
      ([at, found]) =>
        pattern.test(at) &&
        (expected === undefined ||
          (opened && typeof found === "object") ||
          Object.keys(differences(expected, found)).length === 0),
    ),
  );
}

/** Undefined where the table describes a value in words. */
function parse(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

function excuseOf({ apiVersion, kind, condition, value }: Default): string | undefined {
  if (/\((registry|admission)/.test(kind)) return "given by the registry or admission, tested there";
  const served = builtinResources.some((one) => one.kind === kind && apiVersionOf(one) === apiVersion);
  if (!served) return "not a stored kind of 1.36";
  if (/off by default|gate .*off/.test(condition)) return "a feature gate that is off";
  if (/left absent|never defaulted|marker only/.test(`${value} ${condition}`)) return "stays absent";
  if (/^<?now|current time/.test(value)) return "the time of day, tested with the strategies";
  if (/omitted on the wire|stays empty|type Container, nil/.test(condition)) return "the wire leaves it out";
  return undefined;
}

function report(table: readonly Default[]): string {
  const rows = readDefaultsRows();
  const strategyRows = readStrategyRows();
  const byKind = Map.groupBy(rows, ({ object }) => `${object.apiVersion} ${object.kind}`);
  const leaves = new Map([...byKind].map(([kind, some]) => [kind, some.map(({ set }) => leavesOf(set))]));
  const covered = new Set(table.filter((one) => isCovered(one, leaves.get(`${one.apiVersion} ${one.kind}`) ?? [])));
  const lines = [
    "# Defaults, strategies and their tests",
    "",
    `Written by \`tools/defaults-coverage.ts\`. ${rows.length} rows of \`src/api/*/defaults.rows.jsonl\` say what upstream makes of an object when it reads it, and one test asks ours for each. Of ${table.length} defaults ${covered.size} are in a row.`,
    "",
    "| version | kind | defaults | in a row | not | of these excused |",
    "|---|---|---|---|---|---|",
  ];
  for (const [kind, all] of Map.groupBy(table, (one) => `${one.apiVersion} | ${one.kind}`)) {
    const missing = all.filter((one) => !covered.has(one));
    const excused = missing.filter((one) => excuseOf(one) !== undefined).length;
    lines.push(`| ${kind} | ${all.length} | ${all.length - missing.length} | ${missing.length} | ${excused} |`);
  }
  const without = table.filter((one) => !covered.has(one));
  lines.push("", "## Why defaults are in no row", "", "| reason | defaults |", "|---|---|");
  for (const [reason, some] of Map.groupBy(without, (one) => excuseOf(one) ?? "not written yet"))
    lines.push(`| ${reason} | ${some.length} |`);
  lines.push("", "## Defaults in no row that nothing excuses", "");
  for (const one of without.filter((each) => excuseOf(each) === undefined))
    lines.push(`- ${one.apiVersion} ${one.kind} \`${one.path}\` = ${one.value}: ${one.condition}`);
  lines.push(
    "",
    "## Strategies",
    "",
    `${strategyRows.length} rows of \`src/api/*/strategy.rows.jsonl\` say what upstream's strategies keep, drop and set, generation included, when an object is created, updated or written through a subresource: with everything different from what is stored, with metadata alone different, and with nothing.`,
    "",
    "| kind | writes |",
    "|---|---|",
  );
  const bases = readBases();
  const ops = Map.groupBy(strategyRows, (row) => {
    const { apiVersion, kind } = bases.get(`${row.group}/${row.of}`);
    return `${apiVersion} ${kind}`;
  });
  for (const [kind, some] of [...ops].sort(([a], [b]) => (a < b ? -1 : 1)))
    lines.push(`| ${kind} | ${[...new Set(some.map(({ op }) => op))].join(", ")} |`);
  const missing = builtinResources
    .filter((one) => one.storage.virtual !== true && !ops.has(`${apiVersionOf(one)} ${one.kind}`))
    .map((one) => `${apiVersionOf(one)} ${one.kind}`);
  lines.push("", `Kinds without a row: ${missing.length === 0 ? "none" : missing.join(", ")}.`);
  return `${lines.join("\n").trimEnd()}\n`;
}

const args = process.argv.slice(2);
const summary = args.includes("--summary") ? args.splice(args.indexOf("--summary"), 2)[1] : undefined;
const [table] = args;
if (table === undefined) {
  console.error("usage: defaults-coverage.ts [--summary FILE.md] DEFAULTS.tsv");
  process.exit(2);
}
const text = report(readTable(table));
if (summary === undefined) process.stdout.write(text);
else writeFileSync(summary, text);
