/** What webhooks are asked about requests of unusual shape, as a genuine kube-apiserver 1.36.2 asks them. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { HttpClient } from "../../world/net.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";

const world = nodeWorld();
const asked: any[] = [];

/** A webhook that lets everything pass and remembers it. */
const httpClient = (): HttpClient => ({
  async request({ body }) {
    const { request } = JSON.parse(Buffer.from(body as Uint8Array).toString());
    asked.push(request);
    const review = {
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      response: { uid: request.uid, allowed: true },
    };
    return {
      status: 200,
      headers: { "content-type": "application/json" },
      body: (async function* () {
        yield Buffer.from(JSON.stringify(review));
      })(),
      trailers: Promise.resolve({}),
    };
  },
  upgrade: () => assert.fail(),
  close: async () => {},
  [Symbol.asyncDispose]: async () => {},
});

const harness = await startServer(
  { ...world, clock: world.clock, random: world.random, fs: world.fs, net: { httpClient } as never },
  { ...ASKABLE, disableAdmissionPlugins: ["ServiceAccount"] },
);
after(() => harness[Symbol.asyncDispose]());

const CORE = "/api/v1/namespaces/default";
const DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/d";
const send = async (method: string, path: string, body?: object, type?: string): Promise<any> => {
  const contentType = type === undefined ? {} : { headers: { "content-type": type } };
  const answer = await ask(harness, method, path, { ...(body && { body: JSON.stringify(body) }), ...contentType });
  return { code: answer.status, body: answer.body.toString() };
};
const merge = "application/merge-patch+json";
const pod = (name: string, spec: object = {}, metadata: object = {}) => ({
  metadata: { name, ...metadata },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
});

const template = { metadata: { labels: { a: "b" } }, spec: pod("").spec };
const made = [
  [
    "POST",
    "/apis/apps/v1/namespaces/default/deployments",
    { metadata: { name: "d" }, spec: { selector: { matchLabels: { a: "b" } }, template } },
  ],
  ["POST", `${CORE}/configmaps`, { metadata: { name: "c1", labels: { many: "y" } } }],
  ["POST", `${CORE}/configmaps`, { metadata: { name: "c2", labels: { many: "y" } } }],
  ["POST", `${CORE}/configmaps`, { metadata: { name: "c3" } }],
  ["POST", `${CORE}/configmaps`, { metadata: { name: "c4", finalizers: ["foregroundDeletion"] } }],
  ["POST", `${CORE}/serviceaccounts`, { metadata: { name: "sa" } }],
  ["POST", `${CORE}/pods`, pod("p1")],
  ["POST", `${CORE}/pods`, pod("p2", { nodeName: "n", terminationGracePeriodSeconds: 60 })],
] as const;
for (const [method, path, body] of made) assert.equal((await send(method, path, body)).code, 201, path);
for (const kind of ["Mutating", "Validating"])
  await send("POST", `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`, {
    metadata: { name: "all" },
    webhooks: [
      {
        name: `${kind.toLowerCase()}.example.com`,
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        clientConfig: { url: "https://hook.example.com/" },
        rules: [{ apiGroups: ["*"], apiVersions: ["*"], resources: ["*/*"], operations: ["*"] }],
      },
    ],
  });

/** What was asked by both halves, less what differs from run to run. */
async function questions(method: string, path: string, body?: object, type?: string): Promise<readonly object[]> {
  asked.length = 0;
  await send(method, path, body, type);
  const clean = (object: any) => {
    if (object === null || object === undefined) return null;
    const metadata = { ...object.metadata };
    const has = ["uid", "resourceVersion", "deletionTimestamp"].filter((field) => metadata[field] !== undefined);
    for (const field of ["managedFields", "creationTimestamp", ...has]) delete metadata[field];
    return { ...object, ...(object.metadata && { metadata: { ...metadata, ...(has.length > 0 && { has }) } }) };
  };
  return asked.map(({ operation, kind, resource, subResource, name, namespace, object, oldObject }) => ({
    what: `${operation} ${kind.kind} ${resource.resource}${subResource ? `/${subResource}` : ""}`,
    ...(name !== undefined && { name }),
    ...(namespace !== undefined && { namespace }),
    object: clean(object),
    oldObject: clean(oldObject),
  }));
}

test("a scale is shown as the Scale that it is, before and after", async () => {
  const metadata = { name: "d", namespace: "default" };
  const scale = (spec: object) => ({
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { ...metadata, has: ["uid", "resourceVersion"] },
    spec,
    status: { replicas: 0, selector: "a=b" },
  });
  const one = { what: "UPDATE Scale deployments/scale", ...metadata };
  const patched = { ...one, object: scale({ replicas: 3 }), oldObject: scale({ replicas: 1 }) };
  assert.deepEqual(await questions("PATCH", `${DEPLOYMENT}/scale`, { spec: { replicas: 3 } }, merge), [
    patched,
    patched,
  ]);
  const wanted = { kind: "Scale", apiVersion: "autoscaling/v1", metadata: { name: "d" }, spec: {} };
  const [first, second] = await questions("PUT", `${DEPLOYMENT}/scale`, wanted);
  assert.deepEqual((first as any).object.metadata, metadata, "what the client said, at its place");
  assert.deepEqual(second, { ...one, object: scale({}), oldObject: scale({ replicas: 3 }) });
});

test("each of many that are deleted is shown without a name on the request", async () => {
  const found = await questions("DELETE", `${CORE}/configmaps?labelSelector=many%3Dy`);
  assert.deepEqual(
    found.map(({ name, oldObject }: any) => [name, oldObject.metadata.name]).sort(),
    ["c1", "c1", "c2", "c2"].map((name) => [undefined, name]),
  );
});

test("a namespace is in itself", async () => {
  const patch = { metadata: { annotations: { a: "b" } } };
  for (const path of ["/api/v1/namespaces/default", "/api/v1/namespaces/default/status"])
    for (const { name, namespace } of (await questions("PATCH", path, patch, merge)) as any[])
      assert.deepEqual([name, namespace], ["default", "default"]);
});

test("reviews are asked about, with the status that nothing is known of", async () => {
  const review = (group: string, plural: string, kind: string, spec: object, place = "") =>
    questions("POST", `/apis/${group}/v1${place}/${plural}`, { apiVersion: `${group}/v1`, kind, spec });
  const path = { nonResourceAttributes: { path: "/", verb: "get" } };
  const asks = { resourceAttributes: { namespace: "default", verb: "get", resource: "pods" }, user: "x" };
  const authorization = "authorization.k8s.io";
  const shown = async (...args: Parameters<typeof review>) => {
    const found = (await review(...args)) as any[];
    assert.equal(found.length, 2);
    return found.map(({ what, namespace, object }) => [what, namespace, object.status])[0];
  };
  const answers = { allowed: false };
  assert.deepEqual(await shown(authorization, "subjectaccessreviews", "SubjectAccessReview", { ...path, user: "x" }), [
    "CREATE SubjectAccessReview subjectaccessreviews",
    undefined,
    answers,
  ]);
  assert.deepEqual(await shown(authorization, "selfsubjectaccessreviews", "SelfSubjectAccessReview", path), [
    "CREATE SelfSubjectAccessReview selfsubjectaccessreviews",
    undefined,
    answers,
  ]);
  const local = "localsubjectaccessreviews";
  assert.deepEqual(await shown(authorization, local, "LocalSubjectAccessReview", asks, "/namespaces/default"), [
    "CREATE LocalSubjectAccessReview localsubjectaccessreviews",
    "default",
    answers,
  ]);
  assert.deepEqual(await shown("authentication.k8s.io", "tokenreviews", "TokenReview", { token: "x" }), [
    "CREATE TokenReview tokenreviews",
    undefined,
    { user: {} },
  ]);
});

test("a token request is shown before it is filled in", async () => {
  const [first] = await questions("POST", `${CORE}/serviceaccounts/sa/token`, { spec: {} });
  assert.deepEqual(first, {
    what: "CREATE TokenRequest serviceaccounts/token",
    name: "sa",
    namespace: "default",
    object: {
      kind: "TokenRequest",
      apiVersion: "authentication.k8s.io/v1",
      metadata: { namespace: "default" },
      spec: { audiences: null, expirationSeconds: 3600, boundObjectRef: null },
      status: { token: "", expirationTimestamp: null },
    },
    oldObject: null,
  });
});

for (const [path, kind, name, behind] of [
  [`${CORE}/pods/p1/proxy/x//y?z=1`, "Pod", "p1", "/x//y"],
  [`${CORE}/services/ghost:80/proxy`, "Service", "ghost:80", undefined],
  [`${CORE}/services/ghost:80/proxy/`, "Service", "ghost:80", "/"],
  [`${CORE}/services/ghost:80/proxy/x/`, "Service", "ghost:80", "/x/"],
  ["/api/v1/nodes/ghost/proxy/x", "Node", "ghost", "/x"],
] as const)
  test(`a connection through ${path} is shown with the path behind it`, async () => {
    const found = (await questions("POST", path)) as any[];
    assert.equal(found.length, 2);
    const options = { kind: `${kind}ProxyOptions`, apiVersion: "v1", ...(behind && { path: behind }) };
    const what = `CONNECT ${kind}ProxyOptions ${kind.toLowerCase()}s/proxy`;
    assert.deepEqual([found[0].what, found[0].name, found[0].object], [what, name, options]);
  });

test("a replaced object has the resourceVersion that the client said, for those who mutate", async () => {
  const [first, second] = (await questions("PUT", `${CORE}/configmaps/c3`, { metadata: { name: "c3" } })) as any[];
  assert.equal(first.object.metadata.has, undefined);
  assert.deepEqual(second.object.metadata.has, ["uid", "resourceVersion"]);
});

test("what is marked, or rid of its finalizers, on its way is asked about again", async () => {
  const olds = async (path: string) =>
    ((await questions("DELETE", path)) as any[]).map(({ oldObject: { metadata } }) => [
      metadata.deletionGracePeriodSeconds,
      metadata.finalizers,
    ]);
  const still = [undefined, undefined];
  const ended = [0, undefined];
  assert.deepEqual(await olds(`${CORE}/pods/p1?dryRun=All`), [still, still], "a dry run ends sooner");
  assert.deepEqual(await olds(`${CORE}/pods/p1`), [still, still, ended, ended]);
  assert.deepEqual(await olds(`${CORE}/pods/p2?gracePeriodSeconds=30`), [still, still]);
  assert.deepEqual(await olds(`${CORE}/pods/p2?gracePeriodSeconds=50`), [], "what is on its way already");
  const going = [30, undefined];
  assert.deepEqual(await olds(`${CORE}/pods/p2?gracePeriodSeconds=0`), [going, going, ended, ended]);
  const held = [undefined, ["foregroundDeletion"]];
  assert.deepEqual(await olds(`${CORE}/configmaps/c4?propagationPolicy=Background`), [held, held, held, held]);
});
