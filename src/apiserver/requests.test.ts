/** Requests that break a rule, one after the other to one server for each set of gates: each is answered as upstream's server answered it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import type { Harness } from "./testing/harness.ts";
import { startServer } from "./testing/harness.ts";

/** Without `of`, the tables' kinds that the broken rule is of, a row sets the stage for those after it. */
interface Row {
  readonly of?: readonly string[];
  /** Of the server: feature gates that are on, or off (`Name=false`). */
  readonly gates?: readonly string[];
  readonly method: string;
  readonly url: string;
  readonly type?: string;
  readonly accept?: string;
  /** As whom; the administrator where nothing is said. */
  readonly user?: string;
  readonly body?: unknown;
  /** What must be there before it goes on. */
  readonly until?: string;
  /** It may take a moment until the answer is this one. */
  readonly eventually?: boolean;
  readonly code: number;
  readonly reason?: string;
  readonly message?: string;
  /** What is invalid, and what is wrong with it. */
  readonly about?: string;
  readonly errors?: readonly string[];
}

const read = (file: string): readonly Row[] =>
  readFileSync(new URL(file, import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

const world = nodeWorld();
const serverWith = (gates: readonly string[]) =>
  startServer(world, {
    ...ASKABLE,
    resources: builtinResources,
    serviceClusterIpRange: "10.96.0.0/16",
    disableAdmissionPlugins: ["ServiceAccount"],
    featureGates: new Map(gates.map((gate) => [gate.replace("=false", ""), !gate.endsWith("=false")])),
  });

async function answerTo(harness: Harness, row: Row): Promise<object> {
  const { method, url, type = "application/json", accept, user, body } = row;
  const { status: code, body: bytes } = await ask(harness, method, url, {
    headers: {
      "content-type": type,
      ...(accept !== undefined && { accept }),
      ...(user !== undefined && { "impersonate-user": user }),
    },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  if (code < 300) return { code };
  const { reason, message, details } = JSON.parse(settled(bytes.toString()));
  if (reason !== "Invalid") return { code, ...(reason !== undefined && { reason }), message };
  const errors = details.causes.map(({ field, message: words }: any) => `${field}: ${words}`);
  const [about, said] = message.split(" is invalid: ");
  const all = [...new Set(errors)].join(", ");
  assert.equal(said, new Set(errors).size === 1 ? all : `[${all}]`);
  return { code, reason, errors, about };
}

/** Names and times that no two servers have in common. */
const settled = (text: string): string =>
  text.replace(/(\\+"time\\+":\\+")[^"\\]*/g, "$1(time)").replace(/a%[a-z0-9]{5}(?=\W)/g, "a%(name)");

const turn = () => new Promise<void>((resolve) => void world.clock.after(5, resolve));

/** Until it is so, or for long enough. */
async function waitFor(isSo: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 10_000 && !(await isSo()); i++) await turn();
}

async function assertAnswered(harness: Harness, rows: readonly Row[]): Promise<void> {
  const failures: string[] = [];
  for (const row of rows) {
    const { of: _, gates: __, method, url, type: ___, accept: ____, user, body, until, eventually, ...expected } = row;
    let actual = await answerTo(harness, row);
    const isSo = async () => (actual = await answerTo(harness, row)) && (actual as Row).code === expected.code;
    if (eventually === true && (actual as Row).code !== expected.code) await waitFor(isSo);
    try {
      assert.deepEqual(actual, expected);
    } catch {
      const what = `${method} ${url} ${JSON.stringify(body) ?? ""} ${user ?? ""}`;
      failures.push(`${what}\n  upstream ${JSON.stringify(expected)}\n  ours     ${JSON.stringify(actual)}`);
    }
    if (until !== undefined) await waitFor(async () => (await ask(harness, "GET", until)).status === 200);
  }
  assert.equal(failures.length, 0, `${failures.length} of ${rows.length} differ\n${failures.join("\n")}`);
}

test("what breaks a rule on its way through the server is told so as upstream tells it", async () => {
  await using harness = await serverWith([]);
  await assertAnswered(harness, read("requests.rows.jsonl"));
});

for (const [gates, rows] of Map.groupBy(read("requests-gated.rows.jsonl"), ({ gates = [] }) => gates.join(",")))
  test(`what breaks a rule of servers with ${gates} is told so as upstream tells it`, async () => {
    await using harness = await serverWith(gates.split(","));
    await assertAnswered(harness, rows);
  });
