/** What resourceVersion, resourceVersionMatch, limit and continue mean together: every row of upstream's table. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../api/schemas.ts";
import { openEnvelope, ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import type { Harness } from "./testing/harness.ts";
import { compact, startServer } from "./testing/harness.ts";

const world = nodeWorld();
const MAPS = "/api/v1/namespaces/default/configmaps";

interface Page {
  readonly status: number;
  readonly names: readonly string[];
  readonly revision: string;
  readonly token: string;
  readonly remaining: number | undefined;
  readonly message: string;
}

async function read(harness: Harness, query: string): Promise<Page> {
  const { status, body } = await ask(harness, "GET", `${MAPS}?${query}`);
  const { items = [], metadata = {}, message = "" } = JSON.parse(body.toString());
  return {
    status,
    names: items.map((item: any) => item.metadata.name),
    revision: metadata.resourceVersion ?? "",
    token: metadata.continue ?? "",
    remaining: metadata.remainingItemCount,
    message,
  };
}

/** Four maps, the last of them made after the revision that is returned. */
async function fill(harness: Harness): Promise<number> {
  let then = 0;
  for (const name of ["a", "b", "c", "d"]) {
    if (name === "d") then = Number((await read(harness, "")).revision);
    await ask(harness, "POST", MAPS, { body: JSON.stringify({ metadata: { name } }) });
  }
  return then;
}

const OLD = ["a", "b", "c"];
const NOW = [...OLD, "d"];

interface Row {
  /** `THEN` stands for a revision of the past. */
  readonly query: string;
  readonly names?: readonly string[];
  /** Whether the list's own revision is the one of the past. */
  readonly past?: boolean;
  readonly more?: boolean;
  readonly remaining?: number;
  readonly refused?: readonly [number, RegExp];
}

const ROWS: readonly Row[] = [
  { query: "", names: NOW },
  { query: "limit=2", names: ["a", "b"], more: true, remaining: 2 },
  { query: "limit=9", names: NOW },
  { query: "resourceVersion=0", names: NOW },
  { query: "resourceVersion=0&limit=2", names: NOW },
  { query: "resourceVersion=THEN", names: NOW },
  { query: "resourceVersion=THEN&limit=2", names: ["a", "b"], past: true, more: true, remaining: 1 },
  { query: "resourceVersion=THEN&resourceVersionMatch=Exact", names: OLD, past: true },
  { query: "resourceVersion=THEN&resourceVersionMatch=Exact&limit=3", names: OLD, past: true },
  {
    query: "resourceVersion=THEN&resourceVersionMatch=Exact&limit=1",
    names: ["a"],
    past: true,
    more: true,
    remaining: 2,
  },
  { query: "resourceVersion=THEN&resourceVersionMatch=NotOlderThan", names: NOW },
  { query: "resourceVersion=THEN&resourceVersionMatch=NotOlderThan&limit=2", names: ["a", "b"], more: true },
  { query: "resourceVersion=0&resourceVersionMatch=NotOlderThan", names: NOW },
  { query: "limit=1&fieldSelector=metadata.name!%3Da", names: ["b"], more: true },
  {
    query: "resourceVersionMatch=Exact",
    refused: [
      422,
      /resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided$/,
    ],
  },
  {
    query: "resourceVersionMatch=NotOlderThan",
    refused: [422, /resourceVersionMatch is forbidden unless resourceVersion is provided$/],
  },
  {
    query: "resourceVersion=0&resourceVersionMatch=Exact",
    refused: [422, /resourceVersionMatch "exact" is forbidden for resourceVersion "0"$/],
  },
  {
    query: "resourceVersionMatch=Exact&continue=x",
    refused: [
      422,
      /unless resourceVersion is provided, .*resourceVersionMatch is forbidden when continue is provided\]$/,
    ],
  },
  {
    query: "resourceVersion=THEN&resourceVersionMatch=Some",
    refused: [422, /supported values: "Exact", "NotOlderThan", ""$/],
  },
  {
    query: "sendInitialEvents=true",
    refused: [422, /sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list$/],
  },
  {
    query: "resourceVersion=x",
    refused: [
      400,
      /^invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax$/,
    ],
  },
  {
    query: "resourceVersion=THEN&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiJhIn0",
    refused: [400, /^specifying resource version is not allowed when using continue$/],
  },
  { query: "watch=1&sendInitialEvents=true", refused: [422, /requires setting resourceVersionMatch to NotOlderThan$/] },
  {
    query: "watch=1&sendInitialEvents=false",
    refused: [422, /requires setting resourceVersionMatch to NotOlderThan$/],
  },
  {
    query: "watch=1&resourceVersionMatch=NotOlderThan",
    refused: [422, /resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided$/],
  },
  {
    query: "watch=1&resourceVersionMatch=Exact&sendInitialEvents=true",
    refused: [422, /requires setting .*Unsupported value: "Exact": supported values: "NotOlderThan"\]$/],
  },
  {
    query: "watch=1&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&continue=x",
    refused: [422, /resourceVersionMatch is forbidden when continue is provided$/],
  },
];

test("a list is as fresh, as old and as long as it was asked to be", async () => {
  await using harness = await startServer(world, ASKABLE);
  const then = await fill(harness);
  for (const { query, names, past, more, remaining, refused } of ROWS) {
    const page = await read(harness, query.replace("THEN", String(then)));
    if (refused !== undefined) {
      assert.equal(page.status, refused[0], `${query}: ${page.message}`);
      assert.match(page.message, refused[1], query);
      continue;
    }
    assert.deepEqual(page.names, names, query);
    assert.equal(page.revision === String(then), past === true, `${query}: ${page.revision}`);
    assert.equal(page.token !== "", more === true, query);
    if (remaining !== undefined) assert.equal(page.remaining, remaining, query);
  }
});

const opened = (token: string) => JSON.parse(Buffer.from(token, "base64url").toString());

test("pages go on at the revision of the first, through changes and even when etcd has compacted it", async () => {
  await using harness = await startServer(world, ASKABLE);
  await fill(harness);
  const first = await read(harness, "limit=1");
  assert.deepEqual(opened(first.token), { v: "meta.k8s.io/v1", rv: Number(first.revision), start: "/a\0" });
  await ask(harness, "POST", MAPS, { body: JSON.stringify({ metadata: { name: "bb" } }) });
  await ask(harness, "DELETE", `${MAPS}/c`);
  const second = await read(harness, `limit=1&continue=${first.token}`);
  assert.deepEqual(second.names, ["b"]);
  assert.equal(second.revision, first.revision);
  assert.equal(second.remaining, 2);
  await compact(harness);
  const rest = await read(harness, `resourceVersion=0&continue=${second.token}`);
  assert.deepEqual([rest.names, rest.revision, rest.token], [["c", "d"], first.revision, ""]);
  const exact = await read(harness, `resourceVersion=${first.revision}&resourceVersionMatch=Exact`);
  assert.deepEqual(exact.names, NOW);
});

test("pages of a revision that neither the cache nor etcd has any more go on at what is there", async () => {
  const before = await startServer(world, ASKABLE);
  await fill(before);
  const first = await read(before, "limit=2");
  await ask(before, "POST", MAPS, { body: JSON.stringify({ metadata: { name: "bb" } }) });
  await before[Symbol.asyncDispose]();
  await using harness = await startServer(world, ASKABLE, before.etcd);
  await compact(harness);
  const expired = await read(harness, `limit=1&continue=${first.token}`);
  assert.equal(expired.status, 410);
  assert.match(
    expired.message,
    /^The provided continue parameter is too old to display a consistent list result\. .*now may show up in the list\.$/s,
  );
  assert.deepEqual(opened(expired.token), { v: "meta.k8s.io/v1", rv: -1, start: "b\0" });
  const inconsistent = await read(harness, `limit=2&continue=${expired.token}`);
  assert.deepEqual(inconsistent.names, ["bb", "c"]);
  assert.notEqual(inconsistent.revision, first.revision);
  assert.deepEqual((await read(harness, `continue=${inconsistent.token}`)).names, ["d"]);
  const exact = await read(harness, `resourceVersion=${first.revision}&resourceVersionMatch=Exact`);
  assert.deepEqual([exact.status, exact.message], [410, "The resourceVersion for the provided list is too old."]);
});

test("a continue token that isn't one is refused in the words of Go's readers", async () => {
  await using harness = await startServer(world, ASKABLE);
  const sealed = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const v = "meta.k8s.io/v1";
  for (const [token, words] of [
    ["abc$", ": illegal base64 data at input byte 3"],
    ["eA", ": invalid character 'x' looking for beginning of value"],
    [sealed([]), ": json: cannot unmarshal array into Go value of type storage.continueToken"],
    [
      sealed({ v, rv: 5.5, start: "a" }),
      ": json: cannot unmarshal number 5.5 into Go struct field continueToken.rv of type int64",
    ],
    [sealed({ v: "v2", rv: 1, start: "a" }), ": server does not recognize this encoded version v2"],
    [sealed({ v, start: "a" }), ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"],
    [sealed({ v, rv: 1 }), ": encoded start key empty (version meta.k8s.io/v1)"],
    [sealed({ v, rv: 1, start: "../a" }), ": ../a"],
  ] as const) {
    const { status, message } = await read(harness, `continue=${token}`);
    assert.deepEqual([status, message], [400, `invalid continue token: continue key is not valid${words}`]);
  }
});

test("values are stored in protobuf where that is asked for, and both forms are read", async () => {
  const codec = new ProtobufCodec();
  const json = await startServer(world, ASKABLE);
  await ask(json, "POST", MAPS, { body: JSON.stringify({ metadata: { name: "old" }, data: { a: "1" } }) });
  await json[Symbol.asyncDispose]();
  const storageMediaType = "application/vnd.kubernetes.protobuf";
  await using harness = await startServer(world, { ...ASKABLE, storageMediaType }, json.etcd);
  await ask(harness, "POST", MAPS, { body: JSON.stringify({ metadata: { name: "new" }, data: { a: "2" } }) });
  assert.deepEqual((await read(harness, "")).names, ["new", "old"]);
  const stored = async (key: string) =>
    Buffer.from((await harness.etcd.kv.Range({ key: Buffer.from(`/registry/${key}`) })).kvs[0]!.value);
  const value = await stored("configmaps/default/new");
  assert.equal(openEnvelope(value).kind, "ConfigMap");
  const { object } = codec.decode(value, schemaOf("io.k8s.api.core.v1.ConfigMap"));
  assert.deepEqual(object.data, { a: "2" });
  assert.equal(object.metadata.resourceVersion, undefined);
  assert.equal((await stored("configmaps/default/old"))[0], "{".charCodeAt(0));
  assert.equal((await stored("apiregistration.k8s.io/apiservices/v1."))[0], "{".charCodeAt(0));
});

test("who reads or writes the scale of what isn't there is told of the object", async () => {
  await using harness = await startServer(world, ASKABLE);
  const scale = "/apis/apps/v1/namespaces/default/deployments/none/scale";
  const patch = { headers: { "content-type": "application/merge-patch+json" }, body: "{}" };
  const answers = [await ask(harness, "GET", scale), await ask(harness, "PATCH", scale, patch)];
  assert.deepEqual(
    answers.map(({ status, body }) => [status, JSON.parse(body.toString()).message]),
    [
      [404, 'deployments.apps "none" not found'],
      [404, 'deployments.apps "none" not found'],
    ],
  );
});
