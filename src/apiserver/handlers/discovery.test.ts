/** What a kube-apiserver 1.36.2 answers about groups that it doesn't serve itself, and in which forms. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  featureGates: new Map([["CBORServingAndStorage", true]]),
});
after(() => harness[Symbol.asyncDispose]());

for (const [version, versionPriority] of [
  ["v1beta1", 20],
  ["v1", 15],
] as const) {
  const spec = { group: "gone.example.com", version, groupPriorityMinimum: 17_900, versionPriority };
  const service = { name: "none", namespace: "default" };
  const { status } = await ask(harness, "POST", "/apis/apiregistration.k8s.io/v1/apiservices", {
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      metadata: { name: `${version}.gone.example.com` },
      spec: { ...spec, insecureSkipTLSVerify: true, service },
    }),
  });
  assert.equal(status, 201);
}
const AGGREGATED = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const get = async (path: string, accept = "application/json") =>
  JSON.parse(String((await ask(harness, "GET", path, { headers: { accept } })).body));

test("a group whose server isn't there is told of, in the place that its priority gives it", async () => {
  while (!(await get("/apis")).groups.some(({ name }: any) => name === "gone.example.com"))
    await new Promise((done) => setImmediate(done));
  const { groups } = await get("/apis");
  assert.deepEqual(
    groups.slice(0, 3).map(({ name }: any) => name),
    ["apiregistration.k8s.io", "gone.example.com", "apps"],
  );
  const { items } = await get("/apis", `application/json;${AGGREGATED}`);
  assert.deepEqual(items[1], {
    metadata: { name: "gone.example.com" },
    versions: [
      { version: "v1beta1", freshness: "Stale" },
      { version: "v1", freshness: "Stale" },
    ],
  });
  assert.equal((await get("/apis/gone.example.com")).preferredVersion.groupVersion, "gone.example.com/v1beta1");
  assert.ok((await get("/")).paths.includes("/apis/gone.example.com/v1"));
});

const GROUPS = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const ROUTED = `406: Not Acceptable\n\nAvailable representations: ${GROUPS}`;
const NEGOTIATED = `only the following media types are accepted: ${GROUPS}`;
const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/** The type of what is answered, or the words of the refusal. */
const FORMS: readonly (readonly [method: string, path: string, accept: string, status: number, answer: string])[] = [
  ["GET", "/apis", `application/yaml;${AGGREGATED}`, 200, `application/yaml;${AGGREGATED}`],
  ["GET", "/apis", `application/cbor;${AGGREGATED}`, 406, NEGOTIATED],
  ["GET", "/apis/", `application/json;${AGGREGATED}`, 406, NEGOTIATED],
  ["GET", "/apis/", `application/json;${AGGREGATED},application/json`, 200, "application/json"],
  ["GET", "/api/", `application/json;${AGGREGATED}`, 200, `application/json;${AGGREGATED}`],
  ["GET", "/apis", "application/cbor", 406, NEGOTIATED],
  ["GET", "/api", "application/cbor", 406, ROUTED],
  ["GET", "/apis/apps", "application/cbor", 406, NEGOTIATED],
  ["GET", "/apis/apps/v1", "application/cbor", 200, "application/cbor"],
  ["GET", "/api", METADATA, 406, NEGOTIATED],
  ["GET", "/apis/apps", METADATA, 406, NEGOTIATED],
  ["GET", "/apis/apps/v1", METADATA, 406, `${NEGOTIATED}, application/cbor`],
  ["DELETE", "/apis/apps", "application/json", 200, "application/json"],
  ["DELETE", "/apis/apps/v1", "text/html", 405, "the server does not allow this method on the requested resource"],
  ["POST", "/apis/apiregistration.k8s.io", "", 405, "the server does not allow this method on the requested resource"],
  ["GET", "/apis/apiregistration.k8s.io", "text/html", 406, ROUTED],
  ["POST", "/openid/v1/jwks", "text/html", 405, "the server does not allow this method on the requested resource"],
];
for (const [method, path, accept, status, answer] of FORMS)
  test(`${method} ${path} as ${accept || "anything"} is ${status}`, async () => {
    const found = await ask(harness, method, path, { headers: { accept } });
    const said = found.status === 200 ? found.headers["content-type"] : JSON.parse(String(found.body)).message;
    assert.deepEqual([found.status, said], [status, answer]);
  });

/** As they are written, and what upstream answers. */
const ODD_PATHS: readonly (readonly [path: string, status: number, message?: string])[] = [
  ["/%61pi/v1", 200],
  ["/api//v1", 404],
  ["/api/v1//", 200],
  ["/api/./v1", 404],
  ["/apis//", 404],
  ["/apis//apps", 404],
  ["/apis/apps//", 200],
  ["/apis%2fapps", 200],
  ["/livez/%70ing", 200],
  ["/version//", 200],
  ["/.well-known%2fopenid-configuration//", 200],
  ["/api/v1/namespaces/%00", 404, 'namespaces "\\x00" not found'],
  ["/api/v1/namespaces/default/configmaps/a%0ab", 404, 'configmaps "a\\nb" not found'],
  ["/api/v1/namespaces/%", 400],
];
for (const [path, status, message] of ODD_PATHS)
  test(`${path} is ${status}`, async () => {
    const found = await ask(harness, "GET", path);
    assert.equal(found.status, status);
    if (message !== undefined) assert.equal(JSON.parse(String(found.body)).message, message);
  });

test("what asks to watch nothing comes to no filter that says how long an answer keeps", async () => {
  const { status, headers, body } = await ask(harness, "GET", "/api/v1/watch?limit=1&watch=1");
  assert.deepEqual([status, headers["cache-control"]], [500, undefined]);
  const url = "/api/v1/watch?limit=1&amp;watch=1";
  assert.equal(
    String(body),
    `Internal Server Error: "${url}": failed to create RequestInfo: unable to determine kind and namespace from url, ${url}\n`,
  );
});
