/** What a server writes down of its requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeWorld } from "../../world/node/index.ts";
import type { Asked } from "../testing/ask.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";
import { parsePolicy } from "./policy.ts";

const BATCH = { bufferSize: 1, maxSize: 1, maxWaitMs: 0 };

async function audited(rules: string, options: object = {}) {
  const lines: any[] = [];
  const harness = await startServer(nodeWorld(), {
    ...ASKABLE,
    ...options,
    audit: {
      policy: parsePolicy(`apiVersion: audit.k8s.io/v1\nkind: Policy\n${rules}`),
      log: { to: (line) => void lines.push(JSON.parse(line)), format: "json", mode: "blocking", batch: BATCH },
    },
  });
  /** The end of a request is noted when its answer is out. */
  const noted = async (count: number) => {
    while (lines.length < count) await new Promise((resolve) => setImmediate(resolve));
    return lines;
  };
  return { harness, lines, noted };
}
const MAPS = "/api/v1/namespaces/default/configmaps";

test("a request is noted when it comes and when it is answered", async () => {
  const { harness, lines, noted } = await audited("rules: [{level: RequestResponse}]");
  await using _harness = harness;
  lines.length = 0;
  const headers = { "user-agent": "test/1", "audit-id": "my-id", "x-forwarded-for": "1.2.3.4" };
  await ask(harness, "POST", `${MAPS}?fieldManager=me`, {
    body: '{"metadata":{"name":"a"},"data":{"k":"v"}}',
    headers,
  });
  const [received, complete] = await noted(2);
  assert.deepEqual(Object.keys(received), [
    "kind",
    "apiVersion",
    "level",
    "auditID",
    "stage",
    "requestURI",
    "verb",
    "user",
    "sourceIPs",
    "userAgent",
    "objectRef",
    "requestReceivedTimestamp",
    "stageTimestamp",
  ]);
  assert.deepEqual(received.objectRef, { resource: "configmaps", namespace: "default", apiVersion: "v1" });
  assert.deepEqual(
    [received.stage, received.auditID, received.verb, received.requestURI, received.userAgent, received.sourceIPs],
    ["RequestReceived", "my-id", "create", `${MAPS}?fieldManager=me`, "test/1", ["1.2.3.4", "127.0.0.1"]],
  );
  assert.equal(received.stageTimestamp, received.requestReceivedTimestamp);
  assert.match(received.stageTimestamp, /\.\d{6}Z$/);
  assert.deepEqual(complete.objectRef, { resource: "configmaps", namespace: "default", name: "a", apiVersion: "v1" });
  assert.deepEqual(complete.responseStatus, { metadata: {}, code: 201 });
  assert.deepEqual(complete.requestObject.data, { k: "v" });
  assert.equal(complete.responseObject.metadata.name, "a");
  assert.deepEqual(complete.annotations, {
    "authorization.k8s.io/decision": "allow",
    "authorization.k8s.io/reason": "",
  });
  assert.equal(complete.stage, "ResponseComplete");
});

test("a refusal is noted with its reason, and who asked in whose name", async () => {
  const { harness, lines, noted } = await audited("omitStages: [RequestReceived]\nrules: [{level: Metadata}]");
  await using _harness = harness;
  lines.length = 0;
  await ask(harness, "GET", `${MAPS}/missing`);
  await ask(harness, "GET", MAPS, { headers: { "impersonate-user": "ann" } });
  const [missing, refused] = await noted(2);
  assert.deepEqual(missing.responseStatus, {
    metadata: {},
    status: "Failure",
    message: 'configmaps "missing" not found',
    reason: "NotFound",
    details: { name: "missing", kind: "configmaps" },
    code: 404,
  });
  assert.deepEqual(refused.impersonatedUser, { username: "ann", groups: ["system:authenticated"] });
  assert.equal(refused.user.username, "admin");
  assert.equal(refused.annotations["authorization.k8s.io/decision"], "forbid");
  assert.equal(refused.responseStatus.code, 403);
  assert.equal(refused.responseObject, undefined);
});

test("who isn't let in is noted too", async () => {
  const { harness, lines, noted } = await audited("rules: [{level: Metadata}]");
  await using _harness = harness;
  lines.length = 0;
  await ask(harness, "GET", MAPS, { headers: { authorization: "Bearer nonsense" } });
  await noted(1);
  assert.equal(lines.length, 1);
  assert.equal(lines[0].stage, "ResponseStarted");
  assert.deepEqual(lines[0].user, {});
  assert.deepEqual(lines[0].responseStatus, {
    metadata: {},
    status: "Failure",
    message: "Unauthorized",
    reason: "Unauthorized",
    code: 401,
  });
});

test("a watch is noted when it starts and when it is over", async () => {
  const { harness, lines, noted } = await audited("omitStages: [RequestReceived]\nrules: [{level: Metadata}]");
  await using _harness = harness;
  lines.length = 0;
  const opened = Promise.withResolvers<void>();
  const gone = new AbortController();
  const asked: Asked = { onOpen: opened.resolve, signal: gone.signal };
  const watching = ask(harness, "GET", `${MAPS}?watch=1`, asked);
  await opened.promise;
  assert.deepEqual(
    lines.map(({ stage }) => stage),
    ["ResponseStarted"],
  );
  gone.abort();
  await watching;
  await noted(2);
  assert.deepEqual([lines[1].stage, lines[1].verb, lines[1].responseStatus.code], ["ResponseComplete", "watch", 200]);
});

test("managed fields are left out where the policy says so", async () => {
  const { harness, lines, noted } = await audited("omitManagedFields: true\nrules: [{level: RequestResponse}]");
  await using _harness = harness;
  lines.length = 0;
  await ask(harness, "POST", MAPS, { body: '{"metadata":{"name":"b"}}' });
  await noted(2);
  assert.equal(lines[1].responseObject.metadata.managedFields, undefined);
  assert.equal(lines[1].responseObject.metadata.name, "b");
});

test("a request whose event can't be stored fails in the strict mode", async () => {
  let broken = false;
  await using harness = await startServer(nodeWorld(), {
    ...ASKABLE,
    audit: {
      policy: parsePolicy("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]"),
      log: {
        to() {
          if (broken) throw new Error("disk full");
        },
        format: "json",
        mode: "blocking-strict",
        batch: BATCH,
      },
    },
  });
  broken = true;
  const answer = await ask(harness, "GET", MAPS);
  assert.equal(answer.status, 500);
  assert.equal(JSON.parse(answer.body.toString()).message, "Internal error occurred: failed to store audit event");
});

test("what pod security found is noted", async () => {
  const { harness, lines, noted } = await audited("omitStages: [RequestReceived]\nrules: [{level: Metadata}]", {
    disableAdmissionPlugins: ["ServiceAccount"],
  });
  await using _harness = harness;
  const labels = { "pod-security.kubernetes.io/audit": "baseline" };
  await ask(harness, "POST", "/api/v1/namespaces", { body: JSON.stringify({ metadata: { name: "n", labels } }) });
  await noted(1);
  lines.length = 0;
  const spec = { hostNetwork: true, containers: [{ name: "c", image: "i" }] };
  await ask(harness, "POST", "/api/v1/namespaces/n/pods", { body: JSON.stringify({ metadata: { name: "p" }, spec }) });
  const [{ annotations }] = (await noted(1)) as [any];
  assert.equal(annotations["pod-security.kubernetes.io/enforce-policy"], "privileged:latest");
  assert.match(
    annotations["pod-security.kubernetes.io/audit-violations"],
    /^would violate PodSecurity "baseline:latest": host namespaces \(hostNetwork=true\)/,
  );
});

/** A request, and part of the event of its end. */
const noted: readonly (readonly [
  string,
  string,
  string,
  string | undefined,
  Readonly<Record<string, string>>,
  object,
])[] = [
  [
    "a merge patch is noted as it came",
    "PATCH",
    `${MAPS}/kept`,
    '{"data":{"x":"y"}}',
    { "content-type": "application/merge-patch+json" },
    { requestObject: { data: { x: "y" } } },
  ],
  [
    "and so is a JSON patch",
    "PATCH",
    `${MAPS}/kept`,
    '[{"op":"remove","path":"/data/x"}]',
    { "content-type": "application/json-patch+json" },
    { requestObject: [{ op: "remove", path: "/data/x" }] },
  ],
  [
    "options of a delete, in the server's own version",
    "DELETE",
    `${MAPS}/kept?dryRun=All`,
    '{"gracePeriodSeconds":0,"dryRun":["All"]}',
    {},
    {
      requestObject: {
        kind: "DeleteOptions",
        apiVersion: "meta.k8s.io/__internal",
        gracePeriodSeconds: 0,
        dryRun: ["All"],
      },
    },
  ],
  ["a delete without options", "DELETE", `${MAPS}/kept?dryRun=All`, undefined, {}, { requestObject: undefined }],
  [
    "what is deprecated",
    "GET",
    "/api/v1/componentstatuses",
    undefined,
    {},
    {
      annotations: {
        "authorization.k8s.io/decision": "allow",
        "authorization.k8s.io/reason": "",
        "k8s.io/deprecated": "true",
      },
    },
  ],
  [
    "a review is noted with what it asks",
    "POST",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
    {},
    {
      requestObject: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "SelfSubjectReview",
        metadata: {},
        status: { userInfo: {} },
      },
    },
  ],
  [
    "an eviction, of nobody too",
    "POST",
    "/api/v1/namespaces/default/pods/ghost/eviction",
    '{"metadata":{"name":"ghost"}}',
    {},
    { requestObject: { kind: "Eviction", apiVersion: "policy/v1", metadata: { name: "ghost" } } },
  ],
  [
    "a binding, of a pod that its body names",
    "POST",
    "/api/v1/namespaces/default/bindings",
    '{"metadata":{"name":"ghost"},"target":{"kind":"Node","name":"n"}}',
    {},
    {
      requestObject: {
        kind: "Binding",
        apiVersion: "v1",
        metadata: { name: "ghost" },
        target: { kind: "Node", name: "n" },
      },
      objectRef: { resource: "bindings", namespace: "default", name: "ghost", apiVersion: "v1" },
    },
  ],
  [
    "a scale that replaces another",
    "PUT",
    "/apis/apps/v1/namespaces/default/deployments/ghost/scale",
    '{"metadata":{"name":"ghost"},"spec":{"replicas":2}}',
    {},
    {
      requestObject: {
        kind: "Scale",
        apiVersion: "autoscaling/v1",
        metadata: { name: "ghost" },
        spec: { replicas: 2 },
        status: { replicas: 0 },
      },
    },
  ],
  [
    "a patch of a scale",
    "PATCH",
    "/apis/apps/v1/namespaces/default/deployments/ghost/scale",
    '{"spec":{"replicas":3}}',
    { "content-type": "application/merge-patch+json" },
    { requestObject: { spec: { replicas: 3 } } },
  ],
  [
    "a request for a token",
    "POST",
    "/api/v1/namespaces/default/serviceaccounts/ghost/token",
    '{"spec":{}}',
    {},
    {
      requestObject: {
        kind: "TokenRequest",
        apiVersion: "authentication.k8s.io/v1",
        metadata: {},
        spec: { audiences: null, expirationSeconds: 3600, boundObjectRef: null },
        status: { token: "", expirationTimestamp: null },
      },
    },
  ],
  [
    "what replaces a namespace, with what is so by default",
    "PUT",
    "/api/v1/namespaces/default/finalize?dryRun=All",
    '{"metadata":{"name":"default"},"spec":{"finalizers":["kubernetes"]}}',
    {},
    {
      requestObject: {
        kind: "Namespace",
        apiVersion: "v1",
        metadata: { name: "default", labels: { "kubernetes.io/metadata.name": "default" } },
        spec: { finalizers: ["kubernetes"] },
        status: { phase: "Active" },
      },
    },
  ],
  [
    "a method that isn't there, with its empty details",
    "PUT",
    "/api/v1/nodes",
    undefined,
    {},
    {
      responseStatus: {
        metadata: {},
        status: "Failure",
        message: "the server does not allow this method on the requested resource",
        reason: "MethodNotAllowed",
        details: {},
        code: 405,
      },
    },
  ],
];
test("the event of a request has what upstream's has", async (t) => {
  const {
    harness,
    lines,
    noted: seen,
  } = await audited("omitStages: [RequestReceived]\nrules: [{level: RequestResponse}]");
  await using _harness = harness;
  await ask(harness, "POST", MAPS, { body: '{"metadata":{"name":"kept"},"data":{"k":"v"}}' });
  await seen(1);
  for (const [name, method, path, body, headers, expected] of noted)
    await t.test(name, async () => {
      lines.length = 0;
      await ask(harness, method, path, { headers, ...(body !== undefined && { body }) });
      const [event] = await seen(1);
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(event[key], value);
    });
  await t.test("which token was issued", async () => {
    const accounts = "/api/v1/namespaces/default/serviceaccounts";
    lines.length = 0;
    await ask(harness, "POST", accounts, { body: '{"metadata":{"name":"sa"}}' });
    await seen(1);
    lines.length = 0;
    const { body } = await ask(harness, "POST", `${accounts}/sa/token`, { body: '{"spec":{}}' });
    const [event] = await seen(1);
    const { jti } = JSON.parse(
      Buffer.from(JSON.parse(body.toString()).status.token.split(".")[1], "base64url").toString(),
    );
    assert.equal(event.annotations["authentication.kubernetes.io/issued-credential-id"], `JTI=${jti}`);
  });
  await t.test("items of a list don't say what they are", async () => {
    lines.length = 0;
    await ask(harness, "GET", MAPS, {});
    const [event] = await seen(1);
    assert.deepEqual(Object.keys(event.responseObject.items[0]).sort(), ["data", "metadata"]);
  });
});
