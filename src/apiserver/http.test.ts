/** The server as bytes: negotiation, errors, limits and streams, without sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { schemaOf } from "../api/schemas.ts";
import { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { nodeWorld } from "../world/node/index.ts";
import type { Answer, Asked } from "./testing/ask.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import type { Harness } from "./testing/harness.ts";
import { startServer } from "./testing/harness.ts";

const world = nodeWorld();
const json = (answer: Answer): any => JSON.parse(answer.body.toString());
const MAPS = "/api/v1/namespaces/default/configmaps";
const post = (harness: Harness, name: string, more: object = {}) =>
  ask(harness, "POST", MAPS, { body: JSON.stringify({ metadata: { name }, ...more }) });

test("an error is a Status with upstream's keys in upstream's order", async () => {
  await using harness = await startServer(world, ASKABLE);
  const answer = await ask(harness, "GET", `${MAPS}/a`);
  assert.equal(answer.status, 404);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.ok(answer.headers["audit-id"]);
  assert.equal(
    answer.body.toString(),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \\"a\\" not found","reason":"NotFound","details":{"name":"a","kind":"configmaps"},"code":404}\n',
  );
});

test("without a token one is anonymous, with a bad one nobody", async () => {
  await using harness = await startServer(world, ASKABLE);
  const anonymous = { authorization: undefined };
  assert.equal((await ask(harness, "GET", "/healthz", { headers: anonymous })).body.toString(), "ok");
  assert.equal((await ask(harness, "GET", "/version", { headers: anonymous })).status, 200);
  const refused = await ask(harness, "GET", MAPS, { headers: anonymous });
  assert.equal(
    json(refused).message,
    'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"',
  );
  const bad = await ask(harness, "GET", "/healthz", { headers: { authorization: "Bearer nonsense" } });
  assert.deepEqual(json(bad), {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: "Unauthorized",
    reason: "Unauthorized",
    code: 401,
  });
});

test("bad requests get upstream's words and codes", async () => {
  await using harness = await startServer(world, ASKABLE);
  const table: [string, string, Asked, number, RegExp][] = [
    ["GET", "/nothing", {}, 404, /^404 page not found\n$/],
    ["GET", "/apis/nothing/v1/things", {}, 404, /^404 page not found\n$/],
    ["GET", "/api/v1/things", {}, 404, /the server could not find the requested resource/],
    [
      "POST",
      "/api/v1/configmaps",
      { body: "{}" },
      405,
      /the server does not allow this method on the requested resource/,
    ],
    [
      "POST",
      MAPS,
      { body: "{" },
      400,
      /the object provided is unrecognized \(must be of type ConfigMap\): couldn't get version\/kind; json parse error: unexpected end of JSON input/,
    ],
    [
      "POST",
      MAPS,
      { body: '{"data":{"a":1}}' },
      400,
      /json: cannot unmarshal number into Go struct field ConfigMap.data of type string/,
    ],
    [
      "POST",
      `${MAPS}?fieldValidation=Strict`,
      { body: '{"metadata":{"name":"a"},"extra":1}' },
      400,
      /strict decoding error: unknown field \\"extra\\"/,
    ],
    [
      "POST",
      `${MAPS}?dryRun=Some`,
      { body: "{}" },
      422,
      /dryRun: Unsupported value: \[\\"Some\\"\]: supported values: \\"All\\"/,
    ],
    ["POST", MAPS, { body: "x".repeat(3 * 1024 * 1024 + 1) }, 413, /Request entity too large: limit is 3145728/],
    [
      "PATCH",
      `${MAPS}/a`,
      { body: "{}", headers: { "content-type": "text/plain" } },
      415,
      /"message":"415: Unsupported Media Type"/,
    ],
    [
      "GET",
      MAPS,
      { headers: { accept: "text/html" } },
      406,
      /406: Not Acceptable\\n\\nAvailable representations: application\/json, application\/yaml, application\/vnd.kubernetes.protobuf, /,
    ],
    ["GET", `${MAPS}?labelSelector=a+b`, {}, 400, /unable to parse requirement: found 'b', expected: /],
    [
      "GET",
      `${MAPS}?fieldSelector=spec.x%3D1`,
      {},
      400,
      /spec\.x\\" is not a known field selector: only \\"metadata\.name\\", \\"metadata\.namespace\\""/,
    ],
    [
      "GET",
      `${MAPS}?resourceVersion=1000000&resourceVersionMatch=Exact`,
      {},
      504,
      /Too large resource version: 1000000, current: /,
    ],
    [
      "GET",
      `${MAPS}?timeout=soon`,
      {},
      400,
      /invalid timeout specified in the request URL - time: invalid duration \\"soon\\"/,
    ],
  ];
  for (const [method, url, asked, status, words] of table) {
    const answer = await ask(harness, method, url, asked);
    assert.equal(answer.status, status, `${method} ${url}: ${answer.body.toString()}`);
    assert.match(answer.body.toString(), words);
  }
});

test("unknown fields are warned of", async () => {
  await using harness = await startServer(world, ASKABLE);
  const answer = await post(harness, "a", { extra: 1 });
  assert.equal(answer.status, 201);
  assert.deepEqual(answer.headers["warning"], ['299 - "unknown field \\"extra\\""']);
});

test("HEAD is no method of resources, and long answers are compressed where asked for", async () => {
  await using harness = await startServer(world, ASKABLE);
  await post(harness, "a", { data: { text: "x".repeat(200_000) } });
  const head = await ask(harness, "HEAD", `${MAPS}/a`);
  assert.deepEqual([head.status, head.body.length], [405, 0]);
  const health = await ask(harness, "HEAD", "/readyz");
  assert.deepEqual([health.status, health.body.length], [200, 0]);
  const plain = await ask(harness, "GET", `${MAPS}/a`);
  const packed = await ask(harness, "GET", `${MAPS}/a`, { headers: { "accept-encoding": "gzip" } });
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.ok(gunzipSync(packed.body).equals(plain.body));
});

test("one object comes as JSON, YAML, protobuf, a table row and metadata alone", async () => {
  await using harness = await startServer(world, ASKABLE);
  const created = json(await post(harness, "a", { data: { k: "v" } }));
  const as = (accept: string) => ask(harness, "GET", `${MAPS}/a`, { headers: { accept } });
  assert.match((await as("application/yaml")).body.toString(), /^apiVersion: v1\ndata:\n {2}k: v\nkind: ConfigMap\n/);
  const protobuf = await as("application/vnd.kubernetes.protobuf,application/json");
  assert.equal(protobuf.headers["content-type"], "application/vnd.kubernetes.protobuf");
  const schema = schemaOf("io.k8s.api.core.v1.ConfigMap");
  assert.deepEqual(new ProtobufCodec().decode(protobuf.body, schema).object, created);
  const table = json(await as("application/json;as=Table;g=meta.k8s.io;v=v1"));
  assert.deepEqual([table.kind, table.rows[0].cells.slice(0, 2)], ["Table", ["a", 1]]);
  const metadata = json(await as("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"));
  assert.deepEqual([metadata.kind, metadata.metadata.name, metadata.data], ["PartialObjectMetadata", "a", undefined]);
});

test("an object in protobuf can be created", async () => {
  await using harness = await startServer(world, ASKABLE);
  const codec = new ProtobufCodec();
  const schema = schemaOf("io.k8s.api.core.v1.ConfigMap");
  const body = codec.encode({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { k: "v" } }, schema);
  const answer = await ask(harness, "POST", MAPS, {
    body,
    headers: { "content-type": "application/vnd.kubernetes.protobuf" },
  });
  assert.equal(answer.status, 201);
  assert.deepEqual(json(answer).data, { k: "v" });
});

test("a watch is a line an event, and ends with its client", async () => {
  await using harness = await startServer(world, ASKABLE);
  await post(harness, "a");
  const gone = new AbortController();
  const { headers, body } = await ask(harness, "GET", `${MAPS}?watch=1`, {
    signal: gone.signal,
    onStream: (chunks) => {
      if (chunks.length === 1) void post(harness, "b");
      else gone.abort();
    },
  });
  assert.equal(headers["content-type"], "application/json");
  const events = body
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map(({ type, object }) => `${type} ${object.metadata.name}`),
    ["ADDED a", "ADDED b"],
  );
});

test("a watch from a forgotten revision is one ERROR event", async () => {
  await using harness = await startServer(world, ASKABLE);
  const answer = await ask(harness, "GET", `${MAPS}?watch=1&resourceVersion=1`);
  const status = JSON.parse(answer.body.toString());
  assert.equal(status.type, "ERROR");
  assert.equal(status.object.reason, "Expired");
  assert.match(status.object.message, /^too old resource version: 1 \(\d+\)$/);
});
