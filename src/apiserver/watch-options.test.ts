/** How watches begin and what is wrong with those that don't, as a kube-apiserver 1.36.2 answers. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const harness = await startServer(nodeWorld(), ASKABLE);
after(() => harness[Symbol.asyncDispose]());
const MAPS = "/api/v1/namespaces/default/configmaps";
const LEGACY = "/api/v1/watch/namespaces/default/configmaps";
await ask(harness, "POST", MAPS, {
  headers: { "content-type": "application/json" },
  body: '{"metadata":{"name":"a"}}',
});

/** What a watch says first. */
async function events(url: string, count: number, accept = "application/json"): Promise<readonly any[]> {
  const stop = new AbortController();
  const seen: any[] = [];
  const asked = ask(harness, "GET", url, {
    headers: { accept },
    signal: stop.signal,
    onStream: (chunks) => {
      seen.splice(
        0,
        seen.length,
        ...String(Buffer.concat(chunks))
          .trim()
          .split("\n")
          .filter(Boolean)
          .map((line) => JSON.parse(line)),
      );
      if (seen.length >= count) stop.abort();
    },
  }).catch(() => undefined);
  await asked;
  return seen;
}

for (const start of ["", "&resourceVersion=", "&resourceVersion=0"])
  test(`a watch${start} with bookmarks says when all that was there is told`, async () => {
    const [first, second] = await events(
      `${MAPS}?watch=1&allowWatchBookmarks=1&fieldSelector=metadata.name=a${start}`,
      2,
    );
    assert.deepEqual([first.type, second.type], ["ADDED", "BOOKMARK"]);
    assert.deepEqual(second.object.metadata.annotations, { "k8s.io/initial-events-end": "true" });
  });

test("a watch as a list of metadata ends without a word", async () => {
  const accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
  const { status, body } = await ask(harness, "GET", `${MAPS}?watch=1`, { headers: { accept } });
  assert.deepEqual([status, String(body)], [200, ""]);
});

test("a watch whose time is over before it begins says so if it had to wait", async () => {
  for (const seconds of ["-1", "9223372036854775807"]) {
    const { body } = await ask(harness, "GET", `${MAPS}?watch=1&timeoutSeconds=${seconds}`);
    const { type, object } = JSON.parse(String(body));
    assert.deepEqual([type, object.message], ["ERROR", "context deadline exceeded"]);
  }
  const { resourceVersion } = JSON.parse(String((await ask(harness, "GET", MAPS)).body)).metadata;
  const silent = await ask(harness, "GET", `${MAPS}?watch=1&timeoutSeconds=-1&resourceVersion=${resourceVersion}`);
  assert.deepEqual([silent.status, String(silent.body)], [200, ""]);
});

const STREAMS = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
const UNREADABLE = 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax';
const REFUSED: readonly (readonly [url: string, accept: string, status: number, message: string])[] = [
  [`${MAPS}?watch=1`, "application/yaml", 406, `only the following media types are accepted: ${STREAMS}`],
  [
    `${MAPS}?watch=1&sendInitialEvents=1`,
    "application/yaml",
    422,
    'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
  ],
  [
    `${MAPS}?watch=1&labelSelector==`,
    "application/yaml",
    400,
    "found '=', expected: !, identifier, or 'end of string'",
  ],
  [
    `${MAPS}?watch=1&continue=x`,
    "",
    422,
    'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided',
  ],
  [`${MAPS}?watch=1&continue=x&labelSelector==`, "", 400, "found '=', expected: !, identifier, or 'end of string'"],
  [`${MAPS}?watch=1&resourceVersion=x`, "", 500, UNREADABLE],
  [`${LEGACY}?resourceVersion=x`, "", 500, UNREADABLE],
  [`${MAPS}?resourceVersion=x`, "", 400, `invalid resource version: ${UNREADABLE}`],
  [`${LEGACY}/a?fieldSelector=metadata.name!=a`, "", 400, "fieldSelector metadata.name doesn't match requested name"],
];
for (const [url, accept, status, message] of REFUSED)
  test(`${url} as ${accept || "anything"} is ${status}`, async () => {
    const found = await ask(harness, "GET", url, { headers: { accept } });
    const said = String(found.body);
    assert.equal(found.status, status, said);
    if (accept === "application/yaml")
      assert.ok(said.replaceAll(/\s+/g, " ").replaceAll("''", "'").includes(message), said);
    else assert.equal(JSON.parse(said).message, message);
  });
