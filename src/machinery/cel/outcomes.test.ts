import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { estimateCost } from "./estimate.ts";
import { compile } from "./expression.ts";
import { kubernetesEnvironment, PER_CALL_LIMIT, programOf } from "./kubernetes.ts";
import { formatDurationSeconds, formatTimestamp } from "./libraries/time.ts";

import { show } from "./access.ts";
import { EvaluationError } from "./program.ts";
import { DYN } from "./types.ts";
import { CelError, Duration, fromJson, ListValue, MapValue, Timestamp, TypeValue, Uint, type Value } from "./values.ts";

/**
 * Each line of the file is an expression and what upstream's implementation makes of it with the variables below: `= value` or `! error` with
 * what it cost and what it was estimated to cost, `? complaints`, or `program error`.
 */
const OUTCOMES = new URL("outcomes.golden.tsv", import.meta.url);

const x = {
  a: { b: 1, s: "str" },
  l: [1, 2, 3],
  ls: ["a", "bb", "ccc"],
  m: { k1: "v1", k2: "v2" },
  f: 1.5,
  n: null,
  neg: -4,
  t: true,
};
const activation = { x: fromJson(x), s: "hello wörld", i: 5n };
const env = kubernetesEnvironment().withVariables({ x: DYN, s: DYN, i: DYN });

function json(value: Value): unknown {
  if (typeof value === "bigint" || value instanceof Uint) {
    const text = show(value);
    return Number.isSafeInteger(Number(text)) ? Number(text) : text;
  }
  if (value instanceof ListValue) return [...value].map(json);
  if (value instanceof MapValue)
    return Object.fromEntries([...value.keys()].map((key) => [show(key), json(value.get(key)!)]).sort());
  if (value instanceof Timestamp) return formatTimestamp(value.ns);
  if (value instanceof Duration) return formatDurationSeconds(value.ns);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof TypeValue) return value.type.name;
  return value;
}

function outcome(text: string): string {
  const compiled = compile(env, text);
  if (!compiled.ok) return `? ${compiled.message.replaceAll("\n", "\\n")}`;
  const { min, max } = estimateCost(compiled.checked);
  const cost = (spent: number) => `cost ${spent}, ${rounded(min)} to ${rounded(max)}`;
  try {
    const { value, cost: spent } = programOf(env, compiled.checked).run(activation, PER_CALL_LIMIT);
    return `= ${JSON.stringify(json(value))}\t${cost(spent)}`;
  } catch (error) {
    if (error instanceof CelError) return `program ${error.message}`;
    if (!(error instanceof EvaluationError)) throw error;
    return `! ${error.message}\t${cost(error.cost)}`;
  }
}

/** Beyond what a float holds, as many digits as it does. */
function rounded(cost: number): string {
  return cost > Number.MAX_SAFE_INTEGER ? cost.toPrecision(9) : String(cost);
}

test("expressions give, cost, complain and fail as upstream's implementation does", () => {
  const lines = readFileSync(OUTCOMES, "utf8").trimEnd().split("\n");
  assert.ok(lines.length > 500);
  const mine = lines.map((line) => {
    const text = line.slice(0, line.indexOf("\t"));
    return `${text}\t${outcome(text)}`;
  });
  assert.deepEqual(mine, lines);
});
