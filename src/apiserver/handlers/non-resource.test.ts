/** Pages that people and probes look at, as a genuine kube-apiserver 1.36.2 has them. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";

const FLAGS = { "secure-port": "6443", "bind-address": "0.0.0.0" };
const harness = await startServer(nodeWorld(), { ...ASKABLE, flags: () => FLAGS, partsHere: ["scheduler"] });
const without = await startServer(nodeWorld(), {
  ...ASKABLE,
  featureGates: new Map([
    ["ComponentStatusz", false],
    ["ComponentFlagz", false],
  ]),
});
after(async () => {
  await harness[Symbol.asyncDispose]();
  await without[Symbol.asyncDispose]();
});

/** In upstream's order. */
const HOOKS = `poststarthook/start-apiserver-admission-initializer poststarthook/generic-apiserver-start-informers
  poststarthook/priority-and-fairness-config-consumer poststarthook/priority-and-fairness-filter
  poststarthook/storage-object-count-tracker-hook poststarthook/start-apiextensions-informers
  poststarthook/start-apiextensions-controllers poststarthook/crd-informer-synced
  poststarthook/start-system-namespaces-controller poststarthook/peer-endpoint-reconciler-controller
  poststarthook/start-cluster-authentication-info-controller
  poststarthook/start-kube-apiserver-identity-lease-controller
  poststarthook/start-kube-apiserver-identity-lease-garbage-collector poststarthook/storage-readiness
  poststarthook/start-legacy-token-tracking-controller poststarthook/start-service-ip-repair-controllers
  poststarthook/rbac/bootstrap-roles poststarthook/scheduling/bootstrap-system-priority-classes
  poststarthook/priority-and-fairness-config-producer poststarthook/bootstrap-controller
  poststarthook/start-kubernetes-service-cidr-controller poststarthook/start-kube-aggregator-informers
  poststarthook/apiservice-status-local-available-controller
  poststarthook/apiservice-status-remote-available-controller poststarthook/apiservice-registration-controller
  poststarthook/apiservice-discovery-controller poststarthook/kube-apiserver-autoregistration autoregister-completion
  poststarthook/apiservice-openapi-controller poststarthook/apiservice-openapiv3-controller`.split(/\s+/);

const CHECKS: Readonly<Record<string, readonly string[]>> = {
  healthz: ["ping", "log", "loopback-serving-certificate", "etcd", ...HOOKS],
  livez: ["ping", "log", "loopback-serving-certificate", "etcd", ...HOOKS],
  readyz: ["ping", "log", "etcd", "etcd-readiness", "informer-sync", ...HOOKS, "shutdown"],
};

for (const [endpoint, names] of Object.entries(CHECKS))
  test(`/${endpoint} has upstream's checks in upstream's order`, async () => {
    const { body } = await ask(harness, "GET", `/${endpoint}?verbose`);
    const lines = body.toString().trimEnd().split("\n");
    assert.deepEqual(lines, [...names.map((name) => `[+]${name} ok`), `${endpoint} check passed`]);
  });

const page = async (path: string, accept?: string) =>
  await ask(harness, "GET", path, { headers: accept === undefined ? {} : { accept } });

test("/statusz tells in words what runs, and as an object where that is asked for", async () => {
  for (const accept of [undefined, "*/*", "text/plain"]) {
    const { status, headers, body } = await page("/statusz", accept);
    assert.equal(`${status} ${headers["content-type"]}`, "200 text/plain; charset=utf-8", accept);
    assert.match(body.toString(), /^\napiserver statusz\nWarning: This endpoint is not meant .*\n\nStarted: /);
    assert.match(body.toString(), /\nUp: 0 hr 0\d min \d\d sec\n/);
    assert.match(body.toString(), /\nPaths: \/flagz \/healthz \/livez \/metrics \/readyz \/statusz \/version\n$/);
  }
  const newest = "application/json;v=v1beta1;g=config.k8s.io;as=Statusz";
  const { headers, body } = await page("/statusz", newest);
  assert.equal(headers["content-type"], "application/json;g=config.k8s.io;v=v1beta1;as=Statusz");
  const { kind, apiVersion, metadata, binaryVersion, emulationVersion } = JSON.parse(body.toString());
  assert.deepEqual(
    { kind, apiVersion, metadata, binaryVersion, emulationVersion },
    {
      kind: "Statusz",
      apiVersion: "config.k8s.io/v1beta1",
      metadata: { name: "apiserver" },
      binaryVersion: "1.36.2",
      emulationVersion: "1.36",
    },
  );
  const old = await page("/statusz", newest.replace("beta", "alpha"));
  assert.equal(
    old.headers["warning"],
    '299 - "This version of the statusz endpoint is deprecated. Please use a newer version."',
  );
  for (const accept of ["application/json", "text/html", newest.replace("Statusz", "Flagz")]) {
    const refused = await page("/statusz", accept);
    assert.equal(refused.status, 406, accept);
    assert.match(
      refused.body.toString(),
      /only the following media types are accepted: application\/json, application\/yaml, text\/plain/,
    );
  }
});

test("/flagz tells how the flags stand", async () => {
  const { body } = await page("/flagz");
  assert.match(body.toString(), /^\napiserver flagz\nWarning: .*\nbind-address=0\.0\.0\.0\nsecure-port=6443\n$/);
  const structured = await page("/flagz", "application/yaml;v=v1beta1;g=config.k8s.io;as=Flagz");
  assert.match(
    structured.body.toString(),
    /^flags:\n {2}bind-address: 0\.0\.0\.0\n {2}secure-port: "6443"\nkind: Flagz$/m,
  );
});

test("documents are given in parts to who asks for parts", async () => {
  const whole = await page("/openapi/v3/version");
  assert.equal(whole.headers["accept-ranges"], "bytes");
  const part = async (range: string, more: object = {}) =>
    await ask(harness, "GET", "/openapi/v3/version", { headers: { range, ...more } });
  const length = whole.body.length;
  const rows: readonly (readonly [range: string, start: number, end: number])[] = [
    ["bytes=10-19", 10, 19],
    ["bytes=10-", 10, length - 1],
    ["bytes=-5", length - 5, length - 1],
    ["bytes=0-99999", 0, length - 1],
  ];
  for (const [range, start, end] of rows) {
    const { status, headers, body } = await part(range);
    assert.equal(status, 206, range);
    assert.equal(headers["content-range"], `bytes ${start}-${end}/${length}`);
    assert.equal(body.toString(), whole.body.subarray(start, end + 1).toString());
  }
  const beyond = await part("bytes=999999-");
  assert.deepEqual(
    [beyond.status, beyond.headers["content-range"], beyond.body.toString()],
    [416, `bytes */${length}`, "invalid range: failed to overlap\n"],
  );
  assert.equal((await part("lines=1-2")).body.toString(), "invalid range\n");
  assert.equal((await part("bytes=0-1", { "if-range": '"other"' })).status, 200);
  assert.equal((await part("bytes=0-1", { "if-range": String(whole.headers["etag"]) })).status, 206);
});

test("a document of megabytes is compressed in pieces, and is the same document", async () => {
  const whole = await page("/openapi/v2");
  assert.ok(whole.body.length > 1024 * 1024);
  const packed = await ask(harness, "GET", "/openapi/v2", { headers: { "accept-encoding": "gzip" } });
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.equal(packed.headers["vary"], "Accept-Encoding, Accept");
  assert.equal(packed.headers["etag"], whole.headers["etag"]);
  assert.ok(gunzipSync(packed.body).equals(whole.body));
});

const NOT_ACCEPTABLE: readonly (readonly [path: string, message: string])[] = [
  ["/version", "406: Not Acceptable\n\nAvailable representations: application/json"],
  ["/openid/v1/jwks", "406: Not Acceptable\n\nAvailable representations: application/jwk-set+json"],
  ["/.well-known/openid-configuration", "406: Not Acceptable\n\nAvailable representations: application/json"],
  ...["/api", "/api/v1", "/apis/apps/v1"].map(
    (path) =>
      [
        path,
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf",
      ] as const,
  ),
  ...["/apis", "/apis/apps"].map(
    (path) =>
      [
        path,
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
      ] as const,
  ),
];
for (const [path, message] of NOT_ACCEPTABLE)
  test(`${path} is not to be had in CBOR or HTML`, async () => {
    for (const accept of ["application/cbor", "text/html"]) {
      const { status, body } = await page(path, accept);
      assert.equal(status, 406);
      assert.equal(JSON.parse(body.toString()).message, message);
    }
  });

test("both pages are behind their gates", async () => {
  for (const path of ["/statusz", "/flagz"]) assert.equal((await ask(without, "GET", path)).status, 404, path);
  const { paths } = JSON.parse((await ask(without, "GET", "/")).body.toString());
  assert.ok(!paths.includes("/flagz") && paths.includes("/metrics/slis"));
});

test("a component's status is what its health says, unless it is in this process", async () => {
  const { body } = await ask(harness, "GET", "/api/v1/componentstatuses");
  const found = new Map(JSON.parse(body.toString()).items.map((one: any) => [one.metadata.name, one.conditions[0]]));
  assert.deepEqual(found.get("etcd-0"), { type: "Healthy", status: "True", message: "ok" });
  assert.deepEqual(found.get("scheduler"), { type: "Healthy", status: "True", message: "ok" });
  const manager = found.get("controller-manager") as { readonly status: string; readonly message: string };
  // Another test's may be listening on this machine.
  if (manager.status === "False") assert.match(manager.message, /^Get "https:\/\/127\.0\.0\.1:10257\/healthz": /);
});

test("the first roles are part of a start only where roles say who may do what", async () => {
  for (const [modes, status] of [
    [["AlwaysAllow"], 404],
    [["RBAC"], 200],
  ] as const) {
    await using harness = await startServer(nodeWorld(), { ...ASKABLE, authorizationModes: modes });
    assert.equal((await ask(harness, "GET", "/livez/poststarthook/rbac/bootstrap-roles")).status, status);
  }
});
