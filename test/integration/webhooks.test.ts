/** Admission webhooks that listen on real HTTPS, with certificates that the configuration trusts. */
import assert from "node:assert/strict";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { after, test } from "node:test";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { ensurePki } from "../../src/cli/pki.ts";
import type { PatchType, RestRequest } from "../../src/client/transport.ts";
import { StatusError } from "../../src/machinery/status.ts";
import { simulatedWorld } from "../../src/testing/sim/world.ts";
import { machineWorld } from "../../src/cli/world.ts";

const world = machineWorld();
/** The audit's events. */
const events: any[] = [];
const harness = await startServer(world, {
  audit: {
    policy: { omitStages: ["RequestReceived"], rules: [{ level: "Request" }] },
    log: {
      to: (line) => void events.push(JSON.parse(line)),
      format: "json",
      mode: "blocking",
      batch: { bufferSize: 1, maxSize: 1, maxWaitMs: 0 },
    },
  },
});
const { transport } = harness.client();
const SERVICE = "hook.default.svc";
const pki = await ensurePki({ ...simulatedWorld(1), clock: world.clock }, "/pki", [SERVICE], []);

type Answer = (request: any) => object;
let answer: Answer = () => ({ allowed: true });
/** What was asked of it, by path. */
const asked: { readonly path: string; readonly review: any }[] = [];
const server = createServer({ cert: pki.apiserver.cert, key: pki.apiserver.key }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const review = JSON.parse(Buffer.concat(chunks).toString());
    asked.push({ path: request.url!, review });
    const { raw, code, ...given } = answer({ ...review.request, path: request.url }) as any;
    response.setHeader("content-type", "application/json");
    response.statusCode = code ?? 200;
    response.end(
      raw ??
        JSON.stringify({
          apiVersion: "admission.k8s.io/v1",
          kind: "AdmissionReview",
          response: { uid: review.request.uid, ...given },
        }),
    );
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const port = (server.address() as AddressInfo).port;
/** Takes connections and never says a word. */
const silent = createTcpServer(() => {});
await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
const silentPort = (silent.address() as AddressInfo).port;
after(async () => {
  await harness[Symbol.asyncDispose]();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  silent.close();
});

const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1";
const MAPS = "/api/v1/namespaces/default/configmaps";
const caBundle = Buffer.from(pki.ca.cert).toString("base64");
const send = (method: RestRequest["method"], path: string, body?: unknown, more: Partial<RestRequest> = {}) =>
  transport.send({ method, path, ...(body !== undefined && { body }), ...more }) as Promise<any>;

/** A configuration for the time of a test; what the watch cache knows of it, admission does. */
async function configured(kind: "mutating" | "validating", webhook: object, more: readonly object[] = []) {
  asked.length = 0;
  answer = () => ({ allowed: true });
  const path = `${CONFIGURATIONS}/${kind}webhookconfigurations`;
  await send("POST", path, {
    metadata: { name: "hook" },
    webhooks: [webhook, ...more].map((one, i) => ({
      name: `hook${i}.example.com`,
      admissionReviewVersions: ["v1"],
      sideEffects: "None",
      clientConfig: { url: `https://127.0.0.1:${port}/hook${i}`, caBundle },
      rules: [{ operations: ["CREATE", "UPDATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
      ...one,
    })),
  });
  // A list without a resourceVersion waits until the cache has seen the write.
  await send("GET", path);
  return {
    [Symbol.asyncDispose]: () =>
      send("DELETE", `${path}/hook`)
        .then(() => send("GET", path))
        .then(() => {}),
  };
}

let made = 0;
const map = (labels: object = {}, name = `m${made++}`) => ({ metadata: { name, labels } });
const patchOf = (operations: readonly object[]) => ({
  allowed: true,
  patchType: "JSONPatch",
  patch: Buffer.from(JSON.stringify(operations)).toString("base64"),
});

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof StatusError, String(error));
  return `${error.code} ${error.reason}: ${error.message}`;
}

test("a mutating webhook is told what upstream tells, and its patch and warnings reach the object and the client", async () => {
  await using _ = await configured("mutating", {});
  answer = () => ({ ...patchOf([{ op: "add", path: "/data", value: { by: "hook" } }]), warnings: ["mind the gap"] });
  const created = await send("POST", MAPS, map({ a: "1" }, "seen"));
  assert.deepEqual(created.data, { by: "hook" });
  const { path, review } = asked[0]!;
  assert.equal(path, "/hook0?timeout=10s");
  assert.deepEqual([review.kind, review.apiVersion], ["AdmissionReview", "admission.k8s.io/v1"]);
  const { uid, object, userInfo, options, ...rest } = review.request;
  assert.match(uid, /^[0-9a-f-]{36}$/);
  assert.equal(object.metadata.labels.a, "1");
  assert.equal(userInfo.username, "admin");
  assert.deepEqual([options.kind, options.apiVersion], ["CreateOptions", "meta.k8s.io/v1"]);
  assert.deepEqual(rest, {
    kind: { group: "", version: "v1", kind: "ConfigMap" },
    resource: { group: "", version: "v1", resource: "configmaps" },
    requestKind: { group: "", version: "v1", kind: "ConfigMap" },
    requestResource: { group: "", version: "v1", resource: "configmaps" },
    name: "seen",
    namespace: "default",
    operation: "CREATE",
    oldObject: null,
    dryRun: false,
  });
});

test("a patch that makes the object invalid is refused as the object would be", async () => {
  await using _ = await configured("mutating", {});
  answer = () => patchOf([{ op: "add", path: "/metadata/labels", value: { "-": "x" } }]);
  assert.match(
    await refusal(send("POST", MAPS, map())),
    /^422 Invalid: ConfigMap "m\d+" is invalid: metadata\.labels: /,
  );
});

test("a validating webhook denies in its own words and with its own code", async () => {
  await using _ = await configured("validating", {});
  const table: readonly (readonly [object, string])[] = [
    [
      { allowed: false },
      '400 BadRequest: admission webhook "hook0.example.com" denied the request without explanation',
    ],
    [
      { allowed: false, status: { message: "no such luck" } },
      '400 BadRequest: admission webhook "hook0.example.com" denied the request: no such luck',
    ],
    [
      { allowed: false, status: { message: "not here", reason: "Forbidden", code: 403 } },
      '403 Forbidden: admission webhook "hook0.example.com" denied the request: not here',
    ],
  ];
  for (const [given, words] of table) {
    answer = () => given;
    assert.equal((await refusal(send("POST", MAPS, map()))).replace("Unknown", "BadRequest"), words);
  }
  answer = () => patchOf([]);
  assert.match(
    await refusal(send("POST", MAPS, map())),
    /^500 InternalError: Internal error occurred: failed calling webhook "hook0\.example\.com": received invalid webhook response: validating webhook may not return response\.patch/,
  );
});

/** An answer that is none: by mutating webhooks and validating ones, or by the former alone. */
const NO_ANSWERS: readonly (readonly [string, object, string, "mutating"?])[] = [
  [
    "nothing",
    { raw: "" },
    "failed to call webhook: 0-length response with status code: 200 and content type: application/json",
  ],
  [
    "no JSON",
    { raw: "{nope" },
    "failed to call webhook: couldn't get version/kind; json parse error: invalid character 'n' looking for beginning of object key string",
  ],
  [
    "a plain 500",
    { raw: "kaputt", code: 500 },
    'failed to call webhook: an error on the server ("kaputt") has prevented the request from succeeding',
  ],
  [
    "a 503",
    { raw: "kaputt", code: 503 },
    "failed to call webhook: the server is currently unable to handle the request",
  ],
  ["a 404", { raw: "nix", code: 404 }, "failed to call webhook: the server could not find the requested resource"],
  ["a Status", { raw: '{"kind":"Status","message":"not you"}', code: 403 }, "failed to call webhook: not you"],
  ["no kind", { raw: "{}" }, "received invalid webhook response: webhook response was absent"],
  [
    "another kind",
    { raw: '{"kind":"Pod","apiVersion":"v1"}' },
    'failed to call webhook: no kind "Pod" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
  ],
  [
    "another version",
    { raw: '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"}' },
    "failed to call webhook: converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
  ],
  [
    "a patch without a type",
    { allowed: true, patch: "W10=" },
    "received invalid webhook response: webhook returned response.patch but not response.patchType",
    "mutating",
  ],
  [
    "a type without a patch",
    { allowed: true, patchType: "JSONPatch" },
    "received invalid webhook response: webhook returned response.patchType but not response.patch",
    "mutating",
  ],
  [
    "a patch that is no JSON",
    { allowed: true, patchType: "JSONPatch", patch: "bm90anNvbg==" },
    "received undecodable patch in webhook response: invalid character 'o' in literal null (expecting 'u')",
    "mutating",
  ],
  [
    "a patch that is no list",
    { allowed: true, patchType: "JSONPatch", patch: "e30=" },
    "received undecodable patch in webhook response: json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    "mutating",
  ],
];
for (const [name, given, words, only] of NO_ANSWERS)
  for (const kind of only === undefined ? (["mutating", "validating"] as const) : [only])
    test(`a ${kind} webhook answers with ${name}: its failure policy decides`, async () => {
      {
        await using _ = await configured(kind, {});
        answer = () => given;
        assert.equal(
          await refusal(send("POST", MAPS, map())),
          `500 InternalError: Internal error occurred: failed calling webhook "hook0.example.com": ${words}`,
        );
      }
      await using _ = await configured(kind, { failurePolicy: "Ignore" });
      answer = () => given;
      await send("POST", MAPS, map());
    });

test("a patch that can't be applied is an error whatever the failure policy", async () => {
  await using _ = await configured("mutating", { failurePolicy: "Ignore" });
  answer = () => patchOf([{ op: "remove", path: "/spec/nothing" }]);
  assert.match(
    await refusal(send("POST", MAPS, map())),
    /^500 InternalError: Internal error occurred: remove operation does not apply/,
  );
  answer = () => patchOf([{ op: "add", path: "/data", value: "oops" }]);
  assert.equal(
    await refusal(send("POST", MAPS, map())),
    "500 InternalError: Internal error occurred: json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string",
  );
});

test("options are told as the client gave them", async () => {
  const all = [{ operations: ["*"], apiGroups: [""], apiVersions: ["*"], resources: ["*/*"] }];
  await using _ = await configured("validating", { rules: all });
  const told = async (
    method: "POST" | "DELETE",
    path: string,
    body?: object,
    query?: Readonly<Record<string, string>>,
  ): Promise<any> => {
    asked.length = 0;
    await send(method, path, body, query && { query }).catch(() => {});
    return asked.at(-1)?.review.request;
  };
  assert.deepEqual((await told("POST", MAPS, map({}, "options")))?.options, {
    kind: "CreateOptions",
    apiVersion: "meta.k8s.io/v1",
  });
  assert.deepEqual(
    (await told("POST", MAPS, map(), { fieldManager: "me", fieldValidation: "Strict", dryRun: "All" }))?.options,
    {
      kind: "CreateOptions",
      apiVersion: "meta.k8s.io/v1",
      dryRun: ["All"],
      fieldManager: "me",
      fieldValidation: "Strict",
    },
  );
  assert.deepEqual((await told("DELETE", `${MAPS}/options`, { propagationPolicy: "Background" }))?.options, {
    kind: "DeleteOptions",
    apiVersion: "meta.k8s.io/v1",
    propagationPolicy: "Background",
  });
  const pod = { metadata: { name: "evicted" }, spec: { containers: [{ name: "c", image: "i" }] } };
  await send("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } }).catch(() => {});
  await send("POST", "/api/v1/namespaces/default/pods", pod);
  const evicted = await told("POST", "/api/v1/namespaces/default/pods/evicted/eviction", {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name: "evicted" },
  });
  assert.deepEqual([evicted.operation, evicted.kind], ["CREATE", { group: "policy", version: "v1", kind: "Eviction" }]);
  assert.equal(evicted.object.metadata.namespace, "default");
  assert.equal(asked.length, 1, "of what an eviction deletes nobody is asked again");
});

test("an update shows the object as it was, and a delete what goes", async () => {
  const object = map();
  await send("POST", MAPS, object);
  const rules = [{ operations: ["UPDATE", "DELETE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }];
  await using _ = await configured("validating", { rules });
  const path = `${MAPS}/${object.metadata.name}`;
  const patchType: PatchType = "application/merge-patch+json";
  await send("PATCH", path, { data: { k: "v" } }, { patchType });
  await send("DELETE", path);
  const [update, removal] = asked.map(({ review }) => review.request);
  assert.deepEqual([update.operation, update.oldObject.data, update.object.data], ["UPDATE", undefined, { k: "v" }]);
  assert.deepEqual([removal.operation, removal.oldObject.data, removal.object], ["DELETE", { k: "v" }, null]);
});

test("a webhook that can't be reached is passed over or refuses, as its failure policy says", async () => {
  const closed = { clientConfig: { url: "https://127.0.0.1:1/x", caBundle } };
  const slow = { clientConfig: { url: `https://127.0.0.1:${silentPort}/x`, caBundle }, timeoutSeconds: 1 };
  {
    await using _ = await configured("validating", { ...closed, failurePolicy: "Ignore" });
    await send("POST", MAPS, map());
  }
  {
    await using _ = await configured("validating", { ...closed, failurePolicy: "Fail" });
    assert.match(
      await refusal(send("POST", MAPS, map())),
      /^500 InternalError: Internal error occurred: failed calling webhook "hook0\.example\.com": failed to call webhook: Post "https:\/\/127\.0\.0\.1:1\/x\?timeout=10s": .*refused/i,
    );
  }
  {
    await using _ = await configured("mutating", slow, [{ ...slow, failurePolicy: "Ignore" }]);
    assert.equal(
      await refusal(send("POST", MAPS, map())),
      `500 InternalError: Internal error occurred: failed calling webhook "hook0.example.com": failed to call webhook: Post "https://127.0.0.1:${silentPort}/x?timeout=1s": context deadline exceeded`,
    );
  }
  {
    // An authority that nobody trusts.
    await using _ = await configured("validating", { clientConfig: { url: `https://127.0.0.1:${port}/x` } });
    assert.match(await refusal(send("POST", MAPS, map())), /^500 InternalError: .*failed to call webhook: /);
    assert.equal(asked.length, 0);
  }
});

test("selectors and rules decide what a webhook is asked about", async () => {
  await send("POST", "/api/v1/namespaces", { metadata: { name: "watched", labels: { watched: "yes" } } });
  await send("GET", "/api/v1/namespaces");
  const webhook = {
    namespaceSelector: { matchLabels: { watched: "yes" } },
    objectSelector: { matchExpressions: [{ key: "skip", operator: "DoesNotExist" }] },
  };
  await using _ = await configured("validating", webhook);
  await send("POST", MAPS, map());
  await send("POST", "/api/v1/namespaces/watched/configmaps", map({ skip: "" }));
  await send("POST", "/api/v1/namespaces/watched/secrets", map());
  assert.equal(asked.length, 0);
  await send("POST", "/api/v1/namespaces/watched/configmaps", map());
  assert.equal(asked.length, 1);
});

test("a dry run asks only webhooks without side effects", async () => {
  const sideEffects = "NoneOnDryRun";
  {
    await using _ = await configured("validating", { sideEffects });
    await send("POST", MAPS, map(), { query: { dryRun: "All" } });
    assert.equal(asked[0]!.review.request.dryRun, true);
  }
  // Configurations of old may have side effects that v1 no longer lets in.
  assert.match(
    await refusal(configured("validating", { sideEffects: "Some" })),
    /sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"/,
  );
});

test("a webhook that wants to is asked again when a later one changed the object", async () => {
  await using _ = await configured("mutating", { reinvocationPolicy: "IfNeeded" }, [{}]);
  answer = ({ path }) =>
    path.startsWith("/hook1") ? patchOf([{ op: "add", path: "/data", value: { later: "1" } }]) : { allowed: true };
  await send("POST", MAPS, map());
  assert.deepEqual(
    asked.map(({ path }) => path.slice(0, 6)),
    ["/hook0", "/hook1", "/hook0"],
  );
});

test("what a webhook changes is seen by the plugins before it once more, and by nobody twice who didn't ask for it", async () => {
  const rules = [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }];
  await using _ = await configured("mutating", { rules, reinvocationPolicy: "IfNeeded" }, [{ rules }]);
  const sidecar = { name: "sidecar", image: "i" };
  answer = ({ path }) =>
    path.startsWith("/hook1")
      ? patchOf([{ op: "add", path: "/spec/containers/-", value: sidecar }])
      : { allowed: true };
  const accounts = "/api/v1/namespaces/default/serviceaccounts";
  await send("POST", accounts, { metadata: { name: "default" } }).catch(() => {});
  await send("GET", accounts);
  const pod = { metadata: { name: "joined" }, spec: { containers: [{ name: "c", image: "i" }] } };
  const { spec } = await send("POST", "/api/v1/namespaces/default/pods", pod);
  assert.deepEqual(
    asked.map(({ path }) => path.slice(0, 6)),
    ["/hook0", "/hook1", "/hook0"],
  );
  assert.equal(spec.volumes.length, 1);
  assert.equal(spec.tolerations.length, 2);
  const mounts = spec.containers.map(({ name, volumeMounts }: any) => [name, volumeMounts?.[0].name]);
  assert.deepEqual(mounts, [
    ["c", spec.volumes[0].name],
    ["sidecar", spec.volumes[0].name],
  ]);
});

test("a webhook behind a service is called by the service's name, wherever the service leads", async () => {
  await send("POST", "/api/v1/namespaces/default/services", {
    metadata: { name: "hook" },
    spec: { type: "ExternalName", externalName: "localhost" },
  });
  await send("GET", "/api/v1/services");
  const clientConfig = { service: { namespace: "default", name: "hook", path: "/check", port }, caBundle };
  await using _ = await configured("validating", { clientConfig });
  await send("POST", MAPS, map());
  assert.equal(asked[0]!.path, "/check?timeout=10s");
});

test("one connection serves all calls of a webhook, and a broken handshake none of them", async () => {
  let [connections, handshakes] = [0, 0];
  const connected = () => void connections++;
  const secured = () => void handshakes++;
  server.on("connection", connected).on("secureConnection", secured);
  // Another trust than in the other tests, so that no connection of theirs is taken.
  const clientConfig = {
    url: `https://127.0.0.1:${port}/kept`,
    caBundle: Buffer.from(`${pki.ca.cert}\n`).toString("base64"),
  };
  await using _ = await configured("validating", { clientConfig });
  for (let call = 0; call < 5; call++) await send("POST", MAPS, map());
  assert.deepEqual([asked.length, connections, handshakes], [5, 1, 1]);
  // What it closed meanwhile is found out, and another is made.
  server.closeAllConnections();
  await send("POST", MAPS, map());
  assert.deepEqual([asked.length, connections, handshakes], [6, 2, 2]);
  server.off("connection", connected).off("secureConnection", secured);
});

test("a service without endpoints can't be asked", async () => {
  await send("POST", "/api/v1/namespaces/default/services", {
    metadata: { name: "empty" },
    spec: { ports: [{ port: 443 }] },
  });
  await send("GET", "/api/v1/services");
  const clientConfig = { service: { namespace: "default", name: "empty" }, caBundle };
  await using _ = await configured("validating", { clientConfig });
  assert.match(await refusal(send("POST", MAPS, map())), /: no endpoints available for service "empty"$/);
});

test("a webhook without its service says so", async () => {
  const clientConfig = { service: { namespace: "default", name: "nobody" }, caBundle };
  await using _ = await configured("validating", { clientConfig });
  assert.equal(
    await refusal(send("POST", MAPS, map())),
    '500 InternalError: Internal error occurred: failed calling webhook "hook0.example.com": failed to call webhook: Post "https://nobody.default.svc:443/?timeout=10s": service "nobody" not found',
  );
});

test("what webhooks did, and what they say of it, is in the audit", async () => {
  await using _configured = await configured("mutating", {}, [
    { failurePolicy: "Ignore", timeoutSeconds: 1, clientConfig: { url: `https://127.0.0.1:1/hook1`, caBundle } },
  ]);
  answer = () => ({
    ...patchOf([{ op: "add", path: "/data", value: { a: "b" } }]),
    auditAnnotations: { why: "because" },
  });
  events.length = 0;
  await send("POST", MAPS, map());
  const { annotations } = events.find(
    ({ verb, objectRef }) => verb === "create" && objectRef.resource === "configmaps",
  );
  const about = { configuration: "hook", webhook: "hook0.example.com" };
  assert.equal(annotations["hook0.example.com/why"], "because");
  assert.deepEqual(JSON.parse(annotations["mutation.webhook.admission.k8s.io/round_0_index_0"]), {
    ...about,
    mutated: true,
  });
  assert.deepEqual(JSON.parse(annotations["patch.webhook.admission.k8s.io/round_0_index_0"]), {
    ...about,
    patch: [{ op: "add", path: "/data", value: { a: "b" } }],
    patchType: "JSONPatch",
  });
  assert.equal(annotations["failed-open.mutation.webhook.admission.k8s.io/round_0_index_1"], "hook1.example.com");
});

const HPAS = "/namespaces/default/horizontalpodautoscalers";
const autoscaler = (name: string) => ({
  metadata: { name },
  spec: {
    scaleTargetRef: { kind: "Deployment", name: "d", apiVersion: "apps/v1" },
    minReplicas: 1,
    maxReplicas: 5,
    metrics: [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } }],
  },
});
const rules = [
  { operations: ["CREATE"], apiGroups: ["autoscaling"], apiVersions: ["v1"], resources: ["horizontalpodautoscalers"] },
];

test("a webhook sees an object in the version that it names, and what it changes is kept in the one that was written", async () => {
  await using _ = await configured("mutating", { rules });
  answer = () =>
    patchOf([
      { op: "replace", path: "/spec/maxReplicas", value: 7 },
      { op: "replace", path: "/spec/targetCPUUtilizationPercentage", value: 50 },
    ]);
  const written = await send("POST", `/apis/autoscaling/v2${HPAS}`, autoscaler("a"));
  const { request } = asked[0]!.review;
  const group = "autoscaling";
  assert.deepEqual(request.kind, { group, version: "v1", kind: "HorizontalPodAutoscaler" });
  assert.deepEqual(request.requestKind, { group, version: "v2", kind: "HorizontalPodAutoscaler" });
  assert.equal(request.resource.version, "v1");
  assert.equal(request.requestResource.version, "v2");
  assert.equal(request.object.apiVersion, "autoscaling/v1");
  assert.equal(request.object.spec.targetCPUUtilizationPercentage, 70);
  assert.equal(written.apiVersion, "autoscaling/v2");
  assert.equal(written.spec.maxReplicas, 7);
  assert.equal(written.spec.metrics[0].resource.target.averageUtilization, 50);
});

test("a webhook that is exact about versions is asked for no other, and one that names both is asked for the very one", async () => {
  {
    await using _ = await configured("validating", { rules, matchPolicy: "Exact" });
    await send("POST", `/apis/autoscaling/v2${HPAS}`, autoscaler("b"));
    assert.equal(asked.length, 0);
    await send("POST", `/apis/autoscaling/v1${HPAS}`, {
      ...autoscaler("c"),
      spec: { scaleTargetRef: { kind: "Deployment", name: "d", apiVersion: "apps/v1" }, maxReplicas: 5 },
    });
    assert.equal(asked.length, 1);
  }
  const both = [{ ...rules[0], apiVersions: ["v1", "v2"] }];
  await using _ = await configured("validating", { rules: both });
  await send("POST", `/apis/autoscaling/v2${HPAS}`, autoscaler("e"));
  assert.equal(asked[0]!.review.request.kind.version, "v2");
});
