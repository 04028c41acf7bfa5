/**
 * Writes of every kind, good ones and bad ones, one after the other to one server: each is answered as upstream's server answered it, and leaves the
 * same owners of the same fields.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

interface Row {
  readonly method: string;
  readonly url: string;
  readonly type?: string;
  readonly body?: string;
  readonly code: number;
  /** Of a refusal, where it holds nothing of a server's own. */
  readonly message?: string;
  /** The fields, by manager; an entry without a time says so. */
  readonly owned?: Readonly<Record<string, unknown>>;
  readonly generation?: number;
  /** Whether what is deleted is shown with its end on it. */
  readonly ending?: boolean;
  readonly warnings?: string;
}

const rows: readonly Row[] = readFileSync(new URL("writes.rows.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

const harness = await startServer(nodeWorld(), {
  staticTokens: new Map([["secret", { name: "admin", uid: "admin", groups: ["system:masters"] }]]),
  resources: builtinResources,
  serviceClusterIpRange: "10.96.0.0/16",
  disableAdmissionPlugins: ["ServiceAccount"],
});
after(() => harness[Symbol.asyncDispose]());

interface Entry {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
  readonly time?: string;
  readonly fieldsV1: unknown;
}

const keyOf = ({ manager, operation, subresource, time }: Entry): string =>
  [
    manager,
    operation,
    ...(subresource === undefined ? [] : [subresource]),
    ...(time === undefined ? ["timeless"] : []),
  ].join(" ");

async function answerTo({ method, url, type = "application/json", body, message }: Row): Promise<object> {
  const {
    status: code,
    headers,
    body: bytes,
  } = await ask(harness, method, url, {
    headers: { "content-type": type, "user-agent": "x" },
    ...(body !== undefined && { body }),
  });
  const object = JSON.parse(bytes.toString());
  const warned = [headers["warning"] ?? []].flat().join(", ");
  const warnings = warned === "" ? {} : { warnings: warned };
  if (code >= 400) return { code, ...(message !== undefined && { message: settled(object.message) }), ...warnings };
  const { managedFields, generation, deletionTimestamp } = object.metadata ?? {};
  return {
    code,
    ...(managedFields !== undefined && {
      owned: Object.fromEntries((managedFields as readonly Entry[]).map((entry) => [keyOf(entry), entry.fieldsV1])),
    }),
    ...(generation !== undefined && generation !== 0 && { generation }),
    ...(method === "DELETE" && object.metadata !== undefined && { ending: deletionTimestamp !== undefined }),
    ...warnings,
  };
}

/** The name of upstream's table of kinds depends on how it was built, and errors that come together are in any order. */
function settled(message: string): string {
  const [head, ...lines] = message.replace(/in scheme "[^"]*"/g, "in scheme").split("\n");
  return [head, ...lines.sort()].join("\n");
}

test("a write is answered as upstream answers it, and its fields are owned by the same managers", async () => {
  const failures: string[] = [];
  for (const row of rows) {
    const { method, url, type: _, body, ...expected } = row;
    const actual = await answerTo(row);
    try {
      assert.deepEqual(actual, expected);
    } catch {
      failures.push(`${method} ${url} ${body ?? ""}\n  ${JSON.stringify(actual)}\n  not ${JSON.stringify(expected)}`);
    }
  }
  assert.deepEqual(failures, []);
});
