/** Reads that hardly anybody asks for, answered as upstream answers them. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  featureGates: new Map([["CBORServingAndStorage", true]]),
  disableAdmissionPlugins: ["ServiceAccount"],
});
after(() => harness[Symbol.asyncDispose]());

const PODS = "/api/v1/namespaces/default/pods";
const NO_RESOURCE = "the server could not find the requested resource";
const unreadable = (path: string) =>
  `Internal Server Error: "${path}": failed to create RequestInfo: unable to determine kind and namespace from url, ${path}\n`;

const ROWS: readonly (readonly [why: string, url: string, status: number, says: string | RegExp, accept?: string])[] = [
  ["an empty number is none", `${PODS}?limit=`, 400, 'strconv.ParseInt: parsing "": invalid syntax'],
  ["nor is an empty time", `${PODS}?timeoutSeconds=`, 400, 'strconv.ParseInt: parsing "": invalid syntax'],
  [
    "a number has 64 bits",
    `${PODS}?limit=9223372036854775808`,
    400,
    'strconv.ParseInt: parsing "9223372036854775808": value out of range',
  ],
  ["a parameter that is there is true", `${PODS}?sendInitialEvents=`, 422, /sendInitialEvents is forbidden for list/],
  ["a pair with a semicolon counts for nothing", `${PODS}?limit=x;continue=y`, 200, /"PodList"/],
  [
    "an old path is looked at as a list",
    "/api/v1/watch/pods?sendInitialEvents=true",
    422,
    /sendInitialEvents is forbidden for list/,
  ],
  ["an object that is named is read, not watched", "/api/v1/namespaces/default?watch=1", 200, /^\{"kind":"Namespace"/],
  ["nothing is reached by the old way", "/api/v1/proxy/nodes/a", 404, NO_RESOURCE],
  ["nor in another form", "/api/v1/proxy/nodes/a", 404, NO_RESOURCE, "text/html"],
  ["what is watched is named", "/api/v1/watch", 500, unreadable("/api/v1/watch")],
  ["what is reached is named", "/api/v1/proxy", 500, unreadable("/api/v1/proxy")],
  ["what isn't there has no form", "/api/V1", 404, NO_RESOURCE, "text/html"],
  [
    "versions don't travel in CBOR",
    "/api",
    406,
    /Available representations: application\/json, application\/yaml, application\/vnd.kubernetes.protobuf"/,
    "text/html",
  ],
  ["the oldest list has no version", "/api/v1", 200, /^\{"kind":"APIResourceList","groupVersion":"v1",/],
  ["a younger one has", "/apis/apps/v1", 200, /^\{"kind":"APIResourceList","apiVersion":"v1",/],
];
for (const [why, url, status, says, accept] of ROWS)
  test(`${why}: ${url}${accept === undefined ? "" : ` as ${accept}`}`, async () => {
    const answer = await ask(harness, "GET", url, { headers: { accept: accept ?? "application/json" } });
    const text = answer.body.toString();
    assert.equal(answer.status, status, text);
    if (typeof says !== "string") assert.match(text, says);
    else assert.equal(text.startsWith("{") ? JSON.parse(text).message : text, says);
  });

test("who isn't known is told so in JSON, whatever they asked for", async () => {
  const headers = { authorization: "Bearer wrong", accept: "application/cbor" };
  const answer = await ask(harness, "GET", PODS, { headers });
  assert.deepEqual([answer.status, answer.headers["content-type"]], [401, "application/json"]);
});

test("metrics say when the process started, and begin without an empty line", async () => {
  for (const url of ["/metrics", "/metrics/slis"]) {
    const answer = await ask(harness, "GET", url);
    assert.match(String(answer.headers["process-start-time-unix"]), /^\d+$/);
    assert.match(answer.body.toString(), /^# /);
  }
});

test("a row of a pod that is done says so", async () => {
  const pod = { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } };
  const body = { headers: { "content-type": "application/json" } };
  const made = await ask(harness, "POST", PODS, { ...body, body: JSON.stringify(pod) });
  assert.equal(made.status, 201, made.body.toString());
  for (const [phase, conditions] of [
    ["Running", undefined],
    ["Failed", [{ type: "Completed", status: "True", reason: "Failed", message: "The pod failed." }]],
  ] as const) {
    await ask(harness, "PATCH", `${PODS}/p/status`, {
      headers: { "content-type": "application/merge-patch+json" },
      body: JSON.stringify({ status: { phase } }),
    });
    const headers = { accept: "application/json;as=Table;g=meta.k8s.io;v=v1" };
    const { rows } = JSON.parse((await ask(harness, "GET", `${PODS}/p`, { headers })).body.toString());
    assert.deepEqual(rows[0].conditions, conditions);
  }
});
