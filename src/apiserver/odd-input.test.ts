/** Requests with anything in them: whatever is sent, the server answers with what a client can read, and never with a failure of its own. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { builtinResources } from "../api/index.ts";
import { pathOf } from "../machinery/resource.ts";
import { SAMPLE_NAMESPACE, sampleOf } from "../testing/samples.ts";
import {
  APPLY,
  continueToken,
  DEPLOYMENTS,
  JSON_PATCH,
  MAPS,
  MERGE,
  startFilledServer,
  STRATEGIC,
  YAML,
} from "../testing/filled-server.ts";
import { ask, type Asked } from "./testing/ask.ts";
import { assertReadable } from "./testing/readable.ts";

const { harness, send } = await startFilledServer();
after(() => harness[Symbol.asyncDispose]());

const FUZZ = { seed: 36, numRuns: 200 };
const fuzzed = builtinResources.filter(
  ({ verbs, kind }) =>
    // A namespace that is going or a definition refuses what comes later, and a webhook is asked.
    verbs.includes("create") && !/^(Namespace|CustomResourceDefinition|APIService|.*WebhookConfiguration)$/.test(kind),
);
const aResource = fc.constantFrom(...fuzzed);
const collectionOf = (resource: (typeof fuzzed)[number]) =>
  pathOf(resource, resource.scope === "Namespaced" ? { namespace: SAMPLE_NAMESPACE } : {});

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "a",
    true,
    0,
    -1,
    0.5,
    1e308,
    2 ** 63,
    -(2 ** 63),
    [],
    {},
    [null],
    [[]],
    [{}],
    { "": "" },
    { __proto__x: 1, constructor: 1 },
    "\u0000",
    "9".repeat(400),
    "1e99999",
    "2026-13-45T99:99:99Z",
    "é\ud800",
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** The object with `value` at one of its places, or at a place of its schema that it doesn't have. */
function twisted(object: any, at: number, value: unknown): any {
  const next = structuredClone(object);
  const places: (readonly [any, string | number])[] = [];
  const visit = (inner: any): void => {
    for (const key of Object.keys(inner)) {
      places.push([inner, key]);
      if (typeof inner[key] === "object" && inner[key] !== null) visit(inner[key]);
    }
  };
  visit(next);
  const [inner, key] = places[at % places.length]!;
  inner[key] = value;
  return next;
}

test("an object with anything anywhere in it is taken or refused", async () => {
  await fc.assert(
    fc.asyncProperty(aResource, fc.nat(200), odd, async (resource, at, value) => {
      const sample = resource.storage.virtual === true ? { metadata: {}, spec: {} } : sampleOf(resource);
      const object = twisted(sample, at, value);
      const answer = await send("POST", `${collectionOf(resource)}?dryRun=All`, object);
      assertReadable(answer, `POST ${resource.plural} ${JSON.stringify(object)}`);
    }),
    { ...FUZZ, numRuns: 600 },
  );
});

test("every field of every kind with a value of a wrong type is refused in words", async () => {
  for (const resource of fuzzed) {
    const top = [...(resource.schema.properties ?? [])].filter(([name]) => name !== "apiVersion" && name !== "kind");
    for (const [name, schema] of top) {
      const fields =
        schema.properties === undefined ? [[name]] : [...schema.properties.keys()].map((key) => [name, key]);
      for (const path of fields)
        for (const value of [null, 7, [7], { x: 7 }]) {
          const object: any =
            resource.storage.virtual === true ? { metadata: {} } : structuredClone(sampleOf(resource));
          if (path.length === 1) object[path[0]!] = value;
          else object[path[0]!] = { ...object[path[0]!], [path[1]!]: value };
          const answer = await send("POST", `${collectionOf(resource)}?dryRun=All`, object);
          assertReadable(answer, `POST ${resource.plural} ${JSON.stringify(object)}`);
        }
    }
  }
});

test("a body of any bytes in any type is refused", async () => {
  const types = fc.constantFrom(
    "application/json",
    YAML,
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
    "text/plain",
    "",
    "application/json; charset=utf-16",
    ";;;",
  );
  const envelope = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string().map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 200 }).map((tail) => Buffer.concat([envelope, tail])),
    fc
      .constantFrom(
        "[".repeat(20_000),
        '{"metadata":'.repeat(5_000),
        "a: &a [*a]",
        `a: &a [x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? "a" : `b${i - 1}`}, *${i === 0 ? "a" : `b${i - 1}`}]`).join("\n")}`,
        '{"metadata":{"name":"\\ud800"}}',
        '{"metadata":{"name":"b"}}{"metadata":{"name":"c"}}',
        "--- \n---\n",
        "!!js/function 'x'",
        "null",
        "1e999",
        '"x"',
      )
      .map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(aResource, bytes, types, async (resource, body, type) => {
      const answer = await send("POST", `${collectionOf(resource)}?dryRun=All`, body, type);
      assertReadable(answer, `POST ${resource.plural} ${type} ${Buffer.from(body).toString("hex").slice(0, 300)}`);
    }),
    FUZZ,
  );
});

test("a patch of anything is taken or refused", async () => {
  const targets = fc.constantFrom(
    `${MAPS}/a`,
    `${DEPLOYMENTS}/sample-0`,
    `${DEPLOYMENTS}/sample-0/status`,
    `${DEPLOYMENTS}/sample-0/scale`,
    "/api/v1/namespaces/default/services/sample-0",
    "/api/v1/namespaces/default/pods/sample-0",
    "/api/v1/namespaces/default/pods/sample-0/ephemeralcontainers",
  );
  const keys = fc.constantFrom(
    "metadata",
    "spec",
    "status",
    "data",
    "labels",
    "name",
    "template",
    "containers",
    "ports",
    "replicas",
    "selector",
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "finalizers",
    "uid",
    "resourceVersion",
    "apiVersion",
    "kind",
    "managedFields",
    "ownerReferences",
    "ephemeralContainers",
  );
  const { tree } = fc.letrec<{ tree: unknown; node: unknown }>((tie) => ({
    tree: fc.dictionary(keys, tie("node"), { maxKeys: 4 }),
    node: fc.oneof(
      { maxDepth: 5 },
      odd,
      fc.dictionary(keys, tie("node"), { maxKeys: 3 }),
      fc.array(tie("node"), { maxLength: 2 }),
    ),
  }));
  const pointer = fc
    .array(fc.oneof(keys, fc.constantFrom("0", "-", "", "~0", "~1", "~", "99999999999", "-1", "__proto__")), {
      maxLength: 5,
    })
    .map((parts) => parts.map((part) => `/${part}`).join(""));
  const operation = fc.record(
    {
      op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test", "x"),
      path: pointer,
      from: pointer,
      value: odd,
    },
    { requiredKeys: [] },
  );
  const patches = fc.oneof(
    fc.tuple(fc.constant(JSON_PATCH), fc.array(operation, { maxLength: 3 })),
    fc.tuple(fc.constant(JSON_PATCH), odd),
    fc.tuple(fc.constantFrom(MERGE, STRATEGIC), fc.oneof(tree, odd)),
    fc.tuple(fc.constant(APPLY), fc.oneof(tree, odd)),
    fc.tuple(
      fc.constant(APPLY),
      tree.map((one) => ({
        ...(one as object),
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "sample-0" },
      })),
    ),
  );
  await fc.assert(
    fc.asyncProperty(targets, patches, async (target, [type, body]) => {
      const query = type === APPLY ? "?dryRun=All&fieldManager=m&force=true" : "?dryRun=All";
      const answer = await send("PATCH", target + query, JSON.stringify(body) ?? "", type);
      assertReadable(answer, `PATCH ${target} ${type} ${JSON.stringify(body)}`);
    }),
    { ...FUZZ, numRuns: 500 },
  );
});

test("any query is answered", async () => {
  const names = fc.constantFrom(
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "sendInitialEvents",
    "allowWatchBookmarks",
    "pretty",
    "dryRun",
    "fieldValidation",
    "fieldManager",
    "force",
    "gracePeriodSeconds",
    "propagationPolicy",
    "orphanDependents",
    "nonsense",
    "export",
    "shardSelector",
    "timeout",
  );
  const values = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom(
      "true",
      "false",
      "0",
      "1",
      "-1",
      "1.5",
      "99999999999999999999",
      "All",
      "Strict",
      "Exact",
      "NotOlderThan",
      "a=b",
      "a in (b",
      "a,,b",
      "!a",
      "a>x",
      "metadata.name=a",
      "metadata.name!=",
      "=",
      "\u0000",
      "%",
      "a\\,b=c",
      "Orphan",
      continueToken({ v: "meta.k8s.io/v1", rv: 1, start: "a" }),
      continueToken({ v: "meta.k8s.io/v1", rv: -1, start: "../../x" }),
      continueToken(null),
      continueToken([]),
      "10s",
      "-5m",
    ),
  );
  const queries = fc
    .array(fc.tuple(names, values), { maxLength: 4 })
    .map((pairs) => new URLSearchParams(pairs).toString());
  const raw = fc.oneof(queries, fc.constantFrom("%", "%zz=1", "&&&", "=", "a=%ff%fe", ";"));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "DELETE"),
      fc.constantFrom(MAPS, `${MAPS}/nobody`, "/api/v1/pods"),
      raw,
      async (method, path, query) => {
        if (method === "DELETE" && path === "/api/v1/pods") return;
        // A revision of the future is waited for, three seconds.
        if (/resourceVersion=\d{3,}/.test(query)) return;
        const dry = method === "DELETE" ? "&dryRun=All" : "";
        const answer = await send(method, `${path}?${query}${dry}`);
        assertReadable(answer, `${method} ${path}?${query}`);
      },
    ),
    { ...FUZZ, numRuns: 500 },
  );
});

test("what is too large is refused before it is read", async () => {
  const large = `{"metadata":{"name":"b"},"data":{"a":"${"x".repeat(4 * 1024 * 1024)}"}}`;
  for (const [method, url, type] of [
    ["POST", MAPS, "application/json"],
    ["PUT", `${MAPS}/a`, "application/json"],
    ["PATCH", `${MAPS}/a`, MERGE],
    ["DELETE", `${MAPS}/a`, "application/json"],
  ] as const) {
    const answer = await send(method, url, large, type);
    assert.equal(answer.status, 413, method);
    assert.equal(JSON.parse(answer.body.toString()).message, "Request entity too large: limit is 3145728");
  }
});

test("any path and any method are answered", async () => {
  const words = fc.constantFrom(
    "api",
    "apis",
    "v1",
    "apps",
    "namespaces",
    "default",
    "pods",
    "configmaps",
    "a",
    "status",
    "scale",
    "log",
    "watch",
    "proxy",
    "",
    ".",
    "..",
    "%2f",
    "%zz",
    "%00",
    "é",
    "openapi",
    "v3",
    "v2",
    "healthz",
    "x".repeat(300),
  );
  const paths = fc.array(words, { maxLength: 8 }).map((parts) => `/${parts.join("/")}`);
  const methods = fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "X");
  await fc.assert(
    fc.asyncProperty(methods, paths, async (method, path) => {
      const stop = new AbortController();
      const asked: Asked = { onOpen: () => queueMicrotask(() => stop.abort()), signal: stop.signal };
      const answer = await ask(harness, method, path, asked);
      if (method !== "HEAD" && !path.includes("proxy")) assertReadable(answer, `${method} ${path}`);
    }),
    { ...FUZZ, numRuns: 500 },
  );
});
