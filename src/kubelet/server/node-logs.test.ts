import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedWorld } from "../../testing/sim/world.ts";
import type { Exchange } from "../../world/net.ts";
import { serveNodeLogs } from "./node-logs.ts";

async function get(path: string): Promise<readonly [status: number, body: string, location?: unknown]> {
  const world = simulatedWorld(1);
  await world.fs.mkdir("/var/log/pods", { recursive: true });
  await world.fs.writeFile("/var/log/a&b.log", "one\ntwo\n");
  await world.fs.writeFile("/var/secret", "secret");
  let answer: readonly [number, string, unknown?] = [0, ""];
  let text = "";
  const exchange = {
    request: { signal: new AbortController().signal },
    respond: (status: number, { location }: { location?: string }, body = "") =>
      (answer = location === undefined ? [status, body] : [status, body, location]),
    stream: (status: number) => ({
      write: (data: Uint8Array) => (text += Buffer.from(data).toString()) !== "",
      end: () => (answer = [status, text]),
    }),
  } as unknown as Exchange;
  await serveNodeLogs(world, "/var/log", exchange, path);
  return answer;
}

test("a node's logs are served as files and folders, and nothing else is", async () => {
  const page =
    '<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n<a href="a%26b.log">a&amp;b.log</a>\n<a href="pods/">pods/</a>\n</pre>\n';
  assert.deepEqual(await get("/"), [200, page]);
  assert.deepEqual(await get("/a&b.log"), [200, "one\ntwo\n"]);
  assert.deepEqual(await get("/pods"), [301, "", "pods/"]);
  assert.deepEqual(await get("/a&b.log/"), [301, "", "../a%26b.log"]);
  for (const path of ["/none", "/../secret", "/../../var/secret", "/pods/../../secret", "/a\0b"])
    assert.deepEqual(await get(path), [404, "404 page not found\n"], path);
});
