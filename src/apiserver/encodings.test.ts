/** Each encoding against each kind of answer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../api/schemas.ts";
import { encodeCbor, isCbor, parseCbor } from "../machinery/codec/cbor.ts";
import { openEnvelope, ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { parseYaml } from "../machinery/codec/yaml.ts";
import { FrameParser } from "../wire/websocket/frames.ts";
import type { Exchange, Headers } from "../world/net.ts";
import { nodeWorld } from "../world/node/index.ts";
import type { Answer } from "./testing/ask.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import type { Harness } from "./testing/harness.ts";
import { startServer } from "./testing/harness.ts";

const world = nodeWorld();
const codec = new ProtobufCodec();
const MAPS = "/api/v1/namespaces/default/configmaps";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const PROTOBUF = "application/vnd.kubernetes.protobuf";
const CBOR = "application/cbor";
const SPEAKS_CBOR = { ...ASKABLE, featureGates: new Map([["CBORServingAndStorage", true]]) };
const WIDGETS = "/apis/example.com/v1/namespaces/default/widgets";

const get = (harness: Harness, url: string, accept: string): Promise<Answer> =>
  ask(harness, "GET", url, { headers: { accept } });
const json = (answer: Answer): any => JSON.parse(answer.body.toString());
const send = (harness: Harness, method: string, url: string, type: string, body: Uint8Array | string) =>
  ask(harness, method, url, { headers: { "content-type": type }, body });
const bytesOf = (name: string) =>
  JSON.stringify({ metadata: { name }, data: { a: "1" }, binaryData: { b: Buffer.from([1, 255]).toString("base64") } });

async function define(harness: Harness): Promise<void> {
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "widgets.example.com" },
    spec: {
      group: "example.com",
      names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
      scope: "Namespaced",
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: { spec: { type: "object", properties: { size: { type: "number" } } } },
            },
          },
        },
      ],
    },
  };
  const url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  assert.equal((await ask(harness, "POST", url, { body: JSON.stringify(definition) })).status, 201);
  for (let i = 0; i < 100 && (await ask(harness, "GET", WIDGETS)).status !== 200; i++)
    await new Promise((resolve) => setImmediate(resolve));
}

test("without its feature gate CBOR is as unknown as any other type", async () => {
  await using harness = await startServer(world, ASKABLE);
  await ask(harness, "POST", MAPS, { body: bytesOf("a") });
  const types = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
  const refused = await get(harness, `${MAPS}/a`, CBOR);
  assert.equal(refused.status, 406);
  assert.equal(json(refused).message, `406: Not Acceptable\n\nAvailable representations: ${types}`);
  const unread = await send(harness, "POST", MAPS, CBOR, encodeCbor({ metadata: { name: "b" } }));
  assert.equal(unread.status, 415);
  assert.equal(
    json(unread).message,
    `the body of the request was in an unknown format - accepted media types include: ${types}`,
  );
  const apply = "application/apply-patch+cbor";
  assert.equal((await send(harness, "PATCH", `${MAPS}/a?fieldManager=m`, apply, encodeCbor({}))).status, 415);
  assert.equal((await get(harness, `${MAPS}/a`, `${CBOR},application/json`)).status, 200);
});

test("with its gate CBOR is written and read: objects, lists, errors, discovery, apply, delete options", async () => {
  await using harness = await startServer(world, SPEAKS_CBOR);
  const object = encodeCbor({ apiVersion: "v1", kind: "ConfigMap", ...JSON.parse(bytesOf("a")) });
  assert.equal((await send(harness, "POST", MAPS, CBOR, object)).status, 201);
  const read = await get(harness, `${MAPS}/a`, CBOR);
  assert.equal(read.headers["content-type"], CBOR);
  assert.deepEqual(parseCbor(read.body), json(await get(harness, `${MAPS}/a`, "application/json")));
  assert.ok(read.body.includes(Buffer.from([0xd6, 0x42, 1, 255])), "bytes travel as bytes");
  assert.deepEqual(parseCbor((await get(harness, MAPS, CBOR)).body), json(await get(harness, MAPS, "*/*")));
  const missing = await get(harness, `${MAPS}/b`, CBOR);
  assert.equal((parseCbor(missing.body) as any).reason, "NotFound");
  const partial = `${CBOR};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1`;
  assert.equal((parseCbor((await get(harness, MAPS, partial)).body) as any).kind, "PartialObjectMetadataList");
  const groups = await get(harness, "/apis", `${CBOR};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`);
  assert.equal(groups.status, 406);
  const listed = await get(harness, "/apis/apps/v1", CBOR);
  assert.equal((parseCbor(listed.body) as any).kind, "APIResourceList");

  const configuration = encodeCbor({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { a: "2" } });
  const url = `${MAPS}/a?fieldManager=m&force=true`;
  const applied = await send(harness, "PATCH", url, "application/apply-patch+cbor", configuration);
  assert.equal(json(applied).data?.a, "2", applied.body.toString());
  const twice = Buffer.from("a2416101416102", "hex");
  const broken = await send(harness, "POST", MAPS, CBOR, twice);
  assert.equal(broken.status, 400);
  assert.match(json(broken).message, /cbor: found duplicate map key "a" at map element index 1/);
  const options = encodeCbor({ kind: "DeleteOptions", apiVersion: "v1", preconditions: { uid: "wrong" } });
  assert.equal((await send(harness, "DELETE", `${MAPS}/a`, CBOR, options)).status, 409);
});

test("custom resources speak CBOR, and protobuf only as metadata", async () => {
  await using harness = await startServer(world, SPEAKS_CBOR);
  await define(harness);
  const widget = { apiVersion: "example.com/v1", kind: "Widget", metadata: { name: "a" }, spec: { size: 1.5 } };
  assert.equal((await send(harness, "POST", WIDGETS, CBOR, encodeCbor(widget))).status, 201);
  assert.equal((parseCbor((await get(harness, `${WIDGETS}/a`, CBOR)).body) as any).spec.size, 1.5);
  assert.equal((await get(harness, `${WIDGETS}/a`, PROTOBUF)).status, 406);
  const as = `${PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1`;
  const metadata = await get(harness, `${WIDGETS}/a`, as);
  assert.equal(metadata.headers["content-type"], PROTOBUF);
  const { object } = codec.decode(metadata.body, schemaOf(`${META}PartialObjectMetadata`));
  assert.equal(object.metadata.name, "a");
  assert.equal(openEnvelope(metadata.body).apiVersion, "meta.k8s.io/v1");
});

const IN_PROTOBUF: readonly (readonly [string, string, string, string])[] = [
  ["/api", "", `${META}APIVersions`, "APIVersions"],
  ["/apis", "", `${META}APIGroupList`, "APIGroupList"],
  ["/apis/apps", "", `${META}APIGroup`, "APIGroup"],
  ["/apis/apps/v1", "", `${META}APIResourceList`, "APIResourceList"],
  ["/apis/none", "", "", ""],
  [
    "/apis",
    ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    "io.k8s.api.apidiscovery.v2.APIGroupDiscoveryList",
    "APIGroupDiscoveryList",
  ],
  [MAPS, "", "io.k8s.api.core.v1.ConfigMapList", "ConfigMapList"],
  [
    MAPS,
    ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    `${META}PartialObjectMetadataList`,
    "PartialObjectMetadataList",
  ],
  [
    MAPS,
    ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1",
    "io.k8s.apimachinery.pkg.apis.meta.v1beta1.PartialObjectMetadataList",
    "PartialObjectMetadataList",
  ],
  [`${MAPS}/missing`, "", `${META}Status`, "Status"],
];

test("what has a message is written in protobuf and says the same as in JSON", async () => {
  await using harness = await startServer(world, ASKABLE);
  await ask(harness, "POST", MAPS, { body: bytesOf("a") });
  const [item] = json(await get(harness, MAPS, "application/json")).items;
  assert.equal(item.kind, undefined, "only the list says of what kind its items are");
  for (const [url, parameters, schema, kind] of IN_PROTOBUF) {
    const answer = await get(harness, url, `${PROTOBUF}${parameters}`);
    if (schema === "") {
      assert.equal(answer.status, 404);
      continue;
    }
    const wanted = json(await get(harness, url, `application/json${parameters}`));
    const { object } = codec.decode(answer.body, schemaOf(schema));
    // Discovery alone says of what kind it is.
    assert.equal(answer.headers["content-type"], url === "/apis" ? `${PROTOBUF}${parameters}` : PROTOBUF, url);
    assert.equal(object.kind, kind);
    // The server writes to etcd between the two answers, too.
    if (wanted.metadata?.resourceVersion && kind.endsWith("List"))
      wanted.metadata.resourceVersion = object.metadata.resourceVersion;
    // In a message only the envelope says what is in it.
    if (kind === "PartialObjectMetadataList")
      for (const item of wanted.items) {
        delete item.kind;
        delete item.apiVersion;
      }
    assert.deepEqual(withoutEmpty(object), withoutEmpty(wanted), url);
  }
});

const ROUTER =
  "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/cbor";
const STREAMS = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch, application/cbor-seq";
const HANDLER =
  "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/cbor";
const TABLE = ";as=Table;g=meta.k8s.io;v=v1";
const METADATA = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/** Accept, and for a list, an object and a watch the type that answers or why none does. */
const ACCEPTED: readonly (readonly [string, string, string, string])[] = [
  ["", "application/json", "application/json", "application/json"],
  ["application/json", "application/json", "application/json", "application/json"],
  ["application/json; charset=utf-8", "application/json", "application/json", "application/json"],
  ["application/json;q=0", "application/json", "application/json", "application/json"],
  ["application/json;stream=watch", "application/json", "application/json", "application/json"],
  ["application/yaml;stream=watch", HANDLER, HANDLER, HANDLER],
  [
    "application/yaml",
    "application/yaml",
    "application/yaml",
    `only the following media types are accepted: ${STREAMS}`,
  ],
  ["application/cbor", "application/cbor", "application/cbor", "application/cbor-seq"],
  ["application/cbor-seq", HANDLER, ROUTER, HANDLER],
  [
    "*/*;q=0.1, application/yaml;q=0.2",
    "application/yaml",
    "application/yaml",
    `only the following media types are accepted: ${STREAMS}`,
  ],
  ["application/vnd.kubernetes.protobuf,application/json", PROTOBUF, PROTOBUF, `${PROTOBUF};stream=watch`],
  ["text/html, */*", "application/json", "application/json", "application/json"],
  ["application/*", `${ROUTER}, ${STREAMS}`, ROUTER, `${ROUTER}, ${STREAMS}`],
  ["APPLICATION/JSON", `${ROUTER}, ${STREAMS}`, ROUTER, `${ROUTER}, ${STREAMS}`],
  ["garbage", `${ROUTER}, ${STREAMS}`, ROUTER, `${ROUTER}, ${STREAMS}`],
  [`application/json${TABLE}`, "application/json", "application/json", "application/json"],
  [
    `application/yaml${TABLE}`,
    "application/yaml",
    "application/yaml",
    `only the following media types are accepted: ${STREAMS}`,
  ],
  [`${PROTOBUF}${TABLE}`, HANDLER, HANDLER, HANDLER],
  [`${CBOR}${TABLE}`, HANDLER, HANDLER, HANDLER],
  [`${PROTOBUF}${TABLE},application/json`, "application/json", "application/json", "application/json"],
  ["application/json;as=Table", HANDLER, HANDLER, HANDLER],
  ["application/json;as=Table;g=meta.k8s.io;v=v2", HANDLER, HANDLER, HANDLER],
  [
    `application/json${METADATA}`,
    "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
    "application/json",
    "application/json",
  ],
  [
    `application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1`,
    "application/json",
    "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
    "application/json",
  ],
];

test("every way to say what is accepted gets upstream's answer", async () => {
  await using harness = await startServer(world, SPEAKS_CBOR);
  await ask(harness, "POST", MAPS, { body: bytesOf("a") });
  for (const [accept, ...wanted] of ACCEPTED) {
    const answers = [MAPS, `${MAPS}/a`, `${MAPS}?watch=1`].map(async (url) => {
      const gone = new AbortController();
      const answer = await ask(harness, "GET", url, {
        headers: { accept },
        signal: gone.signal,
        onOpen: () => setImmediate(() => gone.abort()),
      });
      if (answer.status === 200) return answer.headers["content-type"];
      assert.equal(answer.status, 406);
      return (parseYaml(answer.body) as any).message;
    });
    assert.deepEqual(await Promise.all(answers), wanted, accept);
  }
});

test("what can't be answered isn't done", async () => {
  await using harness = await startServer(world, SPEAKS_CBOR);
  const refused = await ask(harness, "POST", MAPS, { body: bytesOf("a"), headers: { accept: `${PROTOBUF}${TABLE}` } });
  assert.equal(refused.status, 406);
  assert.equal((await get(harness, `${MAPS}/a`, "*/*")).status, 404);
});

test("a watch of CBOR is a sequence of items", async () => {
  await using harness = await startServer(world, SPEAKS_CBOR);
  await ask(harness, "POST", MAPS, { body: bytesOf("a") });
  for (const accept of [CBOR, `${CBOR},application/json`]) {
    const stop = new AbortController();
    const first = Promise.withResolvers<Buffer>();
    void ask(harness, "GET", `${MAPS}?watch=1`, {
      headers: { accept },
      signal: stop.signal,
      onStream: (chunks) => first.resolve(chunks[0]!),
    }).then(({ headers }) => assert.equal(headers["content-type"], "application/cbor-seq"));
    const event = parseCbor(await first.promise) as any;
    assert.equal(event.type, "ADDED");
    assert.equal(event.object.kind, "ConfigMap");
    stop.abort();
  }
});

test("a watch of metadata comes in protobuf", async () => {
  await using harness = await startServer(world, ASKABLE);
  await ask(harness, "POST", MAPS, { body: bytesOf("a") });
  const stop = new AbortController();
  const first = Promise.withResolvers<Buffer>();
  void ask(harness, "GET", `${MAPS}?watch=1`, {
    headers: { accept: `${PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1` },
    signal: stop.signal,
    onStream: (chunks) => first.resolve(chunks[0]!),
  }).catch(() => {});
  const frame = await first.promise;
  assert.equal(frame.readUInt32BE(), frame.length - 4);
  const object = frame.subarray(frame.indexOf("k8s\0"));
  assert.equal(openEnvelope(object).kind, "PartialObjectMetadata");
  stop.abort();
});

/** The first message of a watch over a WebSocket. */
async function overWebSocket(harness: Harness, accept: string, protocols?: string) {
  const parser = new FrameParser(false, 1 << 20);
  const first = Promise.withResolvers<{ readonly opcode: string; readonly payload: Buffer }>();
  const closed = Promise.withResolvers<void>();
  let answered: Headers | undefined;
  const exchange: Exchange = {
    request: {
      method: "GET",
      url: `${MAPS}?watch=1`,
      headers: {
        authorization: "Bearer secret",
        accept,
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        ...(protocols !== undefined && { "sec-websocket-protocol": protocols }),
      },
      httpVersion: "1.1",
      body: (async function* () {})(),
      peer: { address: { host: "127.0.0.1", port: 1 } },
      encrypted: true,
      signal: new AbortController().signal,
    },
    respond: (status, _, body = "") => first.reject(new Error(`${status}: ${String(body)}`)),
    stream: () => {
      throw new Error("no plain stream here");
    },
    upgrade(headers) {
      answered = headers;
      return {
        peer: { address: { host: "127.0.0.1", port: 1 } },
        async write(data) {
          for (const { opcode, payload } of parser.push(data)) first.resolve({ opcode, payload: Buffer.from(payload) });
        },
        end: closed.resolve,
        destroy: () => closed.resolve(),
        closed: closed.promise,
        async *[Symbol.asyncIterator]() {
          await closed.promise;
        },
      };
    },
  };
  const done = harness.server.handler(exchange);
  const message = await first.promise;
  closed.resolve();
  await done;
  return { ...message, protocol: answered?.["Sec-WebSocket-Protocol"] };
}

test("over a WebSocket a watch is a message an event: text where it is JSON, else binary", async () => {
  await using harness = await startServer(world, SPEAKS_CBOR);
  await ask(harness, "POST", MAPS, { body: bytesOf("a") });
  const text = await overWebSocket(harness, "application/json");
  assert.equal(text.opcode, "text");
  assert.equal(JSON.parse(text.payload.toString()).object.metadata.name, "a");
  const binary = await overWebSocket(harness, PROTOBUF);
  assert.equal(binary.opcode, "binary");
  assert.equal(openEnvelope(binary.payload.subarray(binary.payload.indexOf("k8s\0"))).kind, "ConfigMap");
  assert.equal(binary.payload[0], 0x0a, "the message is the frame: no length goes before it");
  const cbor = await overWebSocket(harness, CBOR);
  assert.equal(cbor.opcode, "binary");
  assert.equal((parseCbor(cbor.payload) as any).type, "ADDED");
  assert.equal((await overWebSocket(harness, "*/*", "whatever, else")).protocol, "whatever");
});

/** Protobuf cannot tell what is empty from what is not there. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, inner]) => [key, withoutEmpty(inner)])
      .filter(
        ([, inner]) =>
          !(inner === "" || inner === null || (typeof inner === "object" && Object.keys(inner as object).length === 0)),
      ),
  );
}

test("with its gate custom objects are stored in CBOR, and without it they are read all the same", async () => {
  const things = "/apis/example.com/v1/namespaces/default/things";
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "things.example.com" },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "things", kind: "Thing" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
        },
      ],
    },
  };
  const thing = {
    apiVersion: "example.com/v1",
    kind: "Thing",
    metadata: { name: "a" },
    spec: { half: 1.5, text: "ü" },
  };
  const speaking = await startServer(world, SPEAKS_CBOR);
  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  assert.equal((await send(speaking, "POST", definitions, "application/json", JSON.stringify(definition))).status, 201);
  while ((await get(speaking, things, "*/*")).status !== 200) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await send(speaking, "POST", things, "application/json", JSON.stringify(thing))).status, 201);
  const stored = async (key: string) =>
    Buffer.from((await speaking.etcd.kv.Range({ key: Buffer.from(`/registry/${key}`) })).kvs[0]!.value);
  const value = await stored("example.com/things/default/a");
  assert.ok(isCbor(value));
  // Names are in the order of their lengths, as upstream's deterministic mode has them.
  assert.equal(value.subarray(3, 15).toString("latin1"), "\xa4DkindEThing");
  assert.equal((parseCbor(value) as any).metadata.resourceVersion, undefined);
  assert.equal((await stored("apiextensions.k8s.io/customresourcedefinitions/things.example.com"))[0], 0x7b);
  await speaking[Symbol.asyncDispose]();

  await using silent = await startServer(world, ASKABLE, speaking.etcd);
  while ((await get(silent, things, "*/*")).status !== 200) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(json(await get(silent, `${things}/a`, "*/*")).spec, thing.spec);
});
