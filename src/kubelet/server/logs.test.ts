import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { fileLogs, logOptions, renderLog } from "./logs.ts";

const LOG = [
  "2026-01-01T00:00:01.5Z stdout F one",
  "2026-01-01T00:00:02Z stderr P tw",
  "2026-01-01T00:00:02.1Z stderr F o",
  "2026-01-01T00:00:03Z stdout F three",
  "",
].join("\n");

async function read(query: string): Promise<string> {
  const world = simulatedWorld(1);
  await world.fs.mkdir("/l", { recursive: true });
  await world.fs.writeFile("/l/0.log", LOG);
  const options = logOptions(new URLSearchParams(query), Date.parse("2026-01-01T00:00:04Z"))!;
  const { signal } = new AbortController();
  let text = "";
  const lines = fileLogs(world, () => false).read("/l/0.log", { ...options, signal });
  for await (const bytes of renderLog(lines, options)) text += Buffer.from(bytes).toString();
  return text;
}

for (const [query, expected] of [
  ["", "one\ntwo\nthree\n"],
  ["tailLines=1", "three\n"],
  ["tailLines=0", ""],
  ["sinceSeconds=1", "three\n"],
  ["limitBytes=5", "one\nt"],
  ["stream=Stderr", "two\n"],
  ["tailLines=1&timestamps=true", "2026-01-01T00:00:03.000000000Z three\n"],
] as const)
  test(`a log asked for with "${query}" gives ${JSON.stringify(expected)}`, async () =>
    assert.equal(await read(query), expected));

for (const query of ["tailLines=-1", "sinceSeconds=x", "limitBytes=0", "sinceTime=yesterday"])
  test(`"${query}" is refused`, () => assert.equal(logOptions(new URLSearchParams(query), 0), undefined));
