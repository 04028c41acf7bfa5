/** Custom resources in several versions, converted by a webhook that listens on real HTTPS. */
import assert from "node:assert/strict";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { ensurePki } from "../../src/cli/pki.ts";
import type { RestRequest } from "../../src/client/transport.ts";
import { StatusError } from "../../src/machinery/status.ts";
import { simulatedWorld } from "../../src/testing/sim/world.ts";
import { machineWorld } from "../../src/cli/world.ts";

const world = machineWorld();
const harness = await startServer(world);
const { transport } = harness.client();
const pki = await ensurePki({ ...simulatedWorld(1), clock: world.clock }, "/pki", ["convert.default.svc"], []);

/** Between `host: "a:1"` in v1 and `hostname: "a", port: "1"` in v2. */
function convert(object: any, apiVersion: string): any {
  const { host, hostname, port, ...rest } = object;
  if (apiVersion.endsWith("/v2")) {
    const [name, number] = (host ?? ":").split(":");
    return { ...rest, apiVersion, hostname: name, port: number };
  }
  return { ...rest, apiVersion, host: `${hostname}:${port}` };
}

type Review = { request: { uid: string; desiredAPIVersion: string; objects: any[] }; apiVersion: string };
const properly = ({ request, apiVersion }: Review): any => ({
  apiVersion,
  kind: "ConversionReview",
  response: {
    uid: request.uid,
    result: { status: "Success" },
    convertedObjects: request.objects.map((object) => convert(object, request.desiredAPIVersion)),
  },
});
let answer: (review: Review) => any = properly;
let status = 200;
const asked: { readonly path: string; readonly review: Review }[] = [];
const server = createServer({ cert: pki.apiserver.cert, key: pki.apiserver.key }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const review = JSON.parse(Buffer.concat(chunks).toString());
    asked.push({ path: request.url!, review });
    response.statusCode = status;
    response.end(JSON.stringify(answer(review)));
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;
after(async () => {
  await harness[Symbol.asyncDispose]();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const send = (method: RestRequest["method"], path: string, body?: unknown, more: Partial<RestRequest> = {}) =>
  transport.send({
    method,
    path,
    ...(body !== undefined && { body: whole(method, path, body) }),
    ...more,
  }) as Promise<any>;
/** What is written of a kind says which it is; a patch needn't. */
const whole = (method: string, path: string, body: any): object =>
  method === "PATCH" || body.kind !== undefined || !path.includes("/hosts")
    ? body
    : { apiVersion: path.split("/").slice(2, 4).join("/"), kind: "Host", ...body };
const encoded = (text: string) => Buffer.from(text).toString("base64");
const text = { type: "string" };
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

let groups = 0;
/** A definition with a group of its own: v1 is stored, v2 is served beside it. */
async function define(conversion: object | undefined, { storage = "v1", more = (_: string): object => ({}) } = {}) {
  const group = `g${groups++}.example.com`;
  const version = (name: string, properties: object) => ({
    name,
    served: true,
    storage: name === storage,
    schema: { openAPIV3Schema: { type: "object", properties } },
    ...more(name),
  });
  const v1 = { host: text, shared: text };
  const v2 = { hostname: text, port: text, shared: text };
  const definition = await send("POST", CRDS, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `hosts.${group}` },
    spec: {
      group,
      names: { plural: "hosts", kind: "Host" },
      scope: "Namespaced",
      versions: [version("v1", v1), version("v2", v2)],
      ...(conversion !== undefined && { conversion }),
    },
  });
  const at = (name: string) => `/apis/${group}/${name}/namespaces/default/hosts`;
  asked.length = 0;
  answer = properly;
  status = 200;
  await established(definition.metadata.name);
  return { group, v1: at("v1"), v2: at("v2"), crd: `${CRDS}/${definition.metadata.name}` };
}

async function established(name: string): Promise<void> {
  for (;;) {
    const { status: now } = await send("GET", `${CRDS}/${name}`);
    if (now.conditions?.some((one: any) => one.type === "Established" && one.status === "True")) return;
  }
}

const webhook = (more: object = {}, versions = ["v1"]) => ({
  strategy: "Webhook",
  webhook: {
    conversionReviewVersions: versions,
    clientConfig: { url: `https://127.0.0.1:${port}/convert`, caBundle: encoded(pki.ca.cert), ...more },
  },
});

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof StatusError, String(error));
  return `${error.code} ${error.reason}: ${error.message}`;
}

const host = (name: string, fields: object) => ({ metadata: { name }, ...fields });

test("an object is written and read in any served version, and stored in one", async () => {
  const { v1, v2, group } = await define(webhook());
  const created = await send("POST", v2, host("a", { hostname: "h", port: "80" }));
  assert.deepEqual([created.apiVersion, created.hostname, created.port], [`${group}/v2`, "h", "80"]);
  const [first] = asked;
  assert.equal(first!.path, "/convert?timeout=30s");
  assert.equal(first!.review.apiVersion, "apiextensions.k8s.io/v1");
  assert.equal(first!.review.request.desiredAPIVersion, `${group}/v1`);
  const stored = await send("GET", `${v1}/a`);
  assert.deepEqual([stored.apiVersion, stored.host, stored.hostname], [`${group}/v1`, "h:80", undefined]);
  assert.equal(stored.metadata.resourceVersion, created.metadata.resourceVersion);
  const patched = await send("PATCH", `${v2}/a`, { port: "81" }, { patchType: "application/merge-patch+json" });
  assert.deepEqual([patched.hostname, patched.port], ["h", "81"]);
  assert.equal((await send("GET", `${v1}/a`)).host, "h:81");
  const updated = await send("PUT", `${v2}/a`, { ...patched, port: "82" });
  assert.equal(updated.port, "82");
  const dry = await send("PUT", `${v2}/a`, { ...updated, port: "83" }, { query: { dryRun: "All" } });
  assert.equal(dry.port, "83");
  assert.equal((await send("GET", `${v2}/a`)).port, "82");
  assert.equal((await send("DELETE", `${v2}/a`)).status, "Success");
});

test("a list is converted in one review, in order, and once for all readers", async () => {
  const { v1, v2 } = await define(webhook());
  for (const name of ["a", "b", "c"]) await send("POST", v1, host(name, { host: `${name}:1` }));
  assert.equal(asked.length, 0);
  const list = await send("GET", v2);
  assert.deepEqual(
    list.items.map(({ hostname }: any) => hostname),
    ["a", "b", "c"],
  );
  assert.deepEqual(
    asked.map(({ review }) => review.request.objects.map(({ metadata }) => metadata.name)),
    [["a", "b", "c"]],
  );
  await Promise.all([send("GET", v2), send("GET", `${v2}/b`)]);
  assert.equal(asked.length, 1);
  const table = await send("GET", v2, undefined, { query: { limit: "1" } });
  assert.equal(table.items[0].hostname, "a");
});

test("watchers of a version share one conversion", async () => {
  const { v1, v2 } = await define(webhook());
  const seen = async () => {
    const found: string[] = [];
    for await (const { type, object } of watched(v2)) {
      found.push(`${type} ${(object as any).hostname}:${(object as any).port}`);
      if (found.length === 3) return found;
    }
    return found;
  };
  await send("POST", v1, host("a", { host: "a:1" }));
  const both = [seen(), seen()];
  await send("PATCH", `${v1}/a`, { host: "a:2" }, { patchType: "application/merge-patch+json" });
  await send("DELETE", `${v1}/a`);
  for (const found of await Promise.all(both)) assert.deepEqual(found, ["ADDED a:1", "MODIFIED a:2", "DELETED a:2"]);
  assert.equal(asked.flatMap(({ review }) => review.request.objects).length, 3);
});

const watched = (path: string) => transport.watch({ method: "GET", path, query: { resourceVersion: "0" } });

test("who answers wrongly is told off as upstream does", async () => {
  const { v1, v2, group } = await define(webhook());
  await send("POST", v1, host("a", { host: "a:1" }));
  const says = async (change: (proper: any) => any, code = 200) => {
    answer = (review) => change(properly(review));
    status = code;
    const words = await refusal(send("GET", `${v2}/a`));
    const head = `500 Unknown: conversion webhook for ${group}/v1, Kind=Host `;
    assert.ok(words.startsWith(head), words);
    return words.slice(head.length);
  };
  const response = (change: object) => (proper: any) => ({ ...proper, response: { ...proper.response, ...change } });
  const objects = (change: (object: any) => any) => (proper: any) => ({
    ...proper,
    response: { ...proper.response, convertedObjects: proper.response.convertedObjects.map(change) },
  });
  const metadata = (change: object) =>
    objects((object) => ({ ...object, metadata: { ...object.metadata, ...change } }));
  assert.equal(
    await says((proper) => ({ ...proper, apiVersion: "v9" })),
    "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got v9, Kind=ConversionReview",
  );
  assert.equal(await says(({ response: _, ...proper }) => proper), "failed: no response provided");
  assert.match(await says(response({ uid: "x" })), /^failed: expected response.uid="[-0-9a-f]{36}", got "x"$/);
  assert.equal(await says(response({ result: { status: "Failure", message: "no way" } })), "failed: no way");
  assert.equal(
    await says(response({ result: { status: "Failure" } })),
    "failed: response.result.status was 'Failure', not 'Success'",
  );
  assert.equal(await says(response({ convertedObjects: [] })), "returned 0 objects, expected 1");
  assert.equal(
    await says(objects((object) => ({ ...object, apiVersion: `${group}/v1` }))),
    `returned invalid object at index 0: invalid groupVersion (expected ${group}/v2, received ${group}/v1)`,
  );
  assert.equal(
    await says(objects((object) => ({ ...object, kind: "Guest" }))),
    "returned invalid object at index 0: invalid kind (expected Host, received Guest)",
  );
  assert.equal(await says(metadata({ name: "b" })), "returned invalid object: must have the same name: a != b");
  assert.equal(
    await says(
      objects(({ metadata: { uid, name, namespace, ...rest }, ...object }) => ({
        ...object,
        metadata: { name, namespace, uid, ...rest, labels: { a: 1 } },
      })),
    ),
    "returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object",
  );
  assert.equal(
    await says((proper) => proper, 500).then((words) => words.slice(0, 31)),
    "failed: an error on the server ",
  );
});

test("a conversion may change labels and annotations and no other metadata", async () => {
  const { v1, v2 } = await define(webhook());
  await send("POST", v1, { metadata: { name: "a", finalizers: ["example.com/f"], labels: { was: "1" } }, host: "a:1" });
  answer = (review) => {
    const proper = properly(review);
    for (const object of proper.response.convertedObjects)
      object.metadata = { ...object.metadata, finalizers: ["example.com/other"], labels: { is: "2" }, generation: 7 };
    return proper;
  };
  const { metadata } = await send("GET", `${v2}/a`);
  assert.deepEqual([metadata.finalizers, metadata.labels, metadata.generation], [["example.com/f"], { is: "2" }, 1]);
});

test("v1beta1 reviews are spoken where they come first, and what is not spoken is said", async () => {
  const old = await define(webhook({}, ["v7", "v1beta1", "v1"]));
  await send("POST", old.v2, host("a", { hostname: "a", port: "1" }));
  assert.equal(asked[0]!.review.apiVersion, "apiextensions.k8s.io/v1beta1");
  answer = (review) => ({ ...properly(review), apiVersion: "" });
  assert.equal((await send("GET", `${old.v1}/a`)).host, "a:1");
});

test("a service is asked under its own name, and a leaf certificate may be the bundle", async () => {
  const service = { name: "convert", namespace: "default", path: "/by/service", port };
  const { v1, v2, group } = await define(webhook({ url: undefined, service, caBundle: encoded(pki.apiserver.cert) }));
  await send("POST", v1, host("a", { host: "a:1" }));
  const failure = async (why: string) =>
    assert.equal(
      await refusal(send("GET", `${v2}/a`)),
      `500 Unknown: conversion webhook for ${group}/v1, Kind=Host failed: Post "https://convert.default.svc:${port}/by/service?timeout=30s": ${why}`,
    );
  await failure('service "convert" not found');
  const services = "/api/v1/namespaces/default/services";
  const made = await send("POST", services, {
    metadata: { name: "convert" },
    spec: { ports: [{ name: "https", port }] },
  });
  await send("GET", services);
  await failure('no endpoints available for service "convert"');
  const { clusterIP: _, clusterIPs: __, ...spec } = made.spec;
  await send("PUT", `${services}/convert`, {
    ...made,
    spec: { ...spec, type: "ExternalName", externalName: "localhost" },
  });
  await send("GET", services);
  assert.equal((await send("GET", `${v2}/a`)).port, "1");
  assert.equal(asked.at(-1)!.path, "/by/service?timeout=30s");
});

test("without conversion the version is written anew, and what it doesn't know is left out", async () => {
  const { v1, v2, group } = await define(undefined);
  await send("POST", v1, host("a", { host: "a:1", shared: "s" }));
  const { apiVersion, host: left, shared } = await send("GET", `${v2}/a`);
  assert.deepEqual([apiVersion, left, shared], [`${group}/v2`, undefined, "s"]);
  await send("POST", v2, host("b", { hostname: "b", shared: "t" }));
  const { items } = await send("GET", v1);
  assert.deepEqual(
    items.map((item: any) => [item.apiVersion, item.shared, item.hostname]),
    [
      [`${group}/v1`, "s", undefined],
      [`${group}/v1`, "t", undefined],
    ],
  );
});

test("the storage version can change: old objects stay readable, new writes are stored anew, and the status remembers both", async () => {
  const { v1, v2, crd } = await define(webhook());
  await send("POST", v1, host("a", { host: "a:1" }));
  const definition = await send("GET", crd);
  assert.deepEqual(definition.status.storedVersions, ["v1"]);
  const versions = definition.spec.versions.map((one: any) => ({ ...one, storage: one.name === "v2" }));
  const changed = await send("PUT", crd, { ...definition, spec: { ...definition.spec, versions } });
  assert.deepEqual(changed.status.storedVersions, ["v1", "v2"]);
  await send("GET", CRDS);
  assert.equal((await send("GET", `${v2}/a`)).hostname, "a");
  assert.equal((await send("GET", `${v1}/a`)).host, "a:1");
  await send("POST", v1, host("b", { host: "b:1" }));
  const { items } = await send("GET", v2);
  assert.deepEqual(
    items.map(({ hostname }: any) => hostname),
    ["a", "b"],
  );
  // A write that changes nothing rewrites what is stored in another version: that is how a migration goes.
  const before = await send("GET", `${v2}/a`);
  const after = await send("PUT", `${v2}/a`, before);
  assert.notEqual(after.metadata.resourceVersion, before.metadata.resourceVersion);
  assert.equal((await send("PUT", `${v2}/a`, after)).metadata.resourceVersion, after.metadata.resourceVersion);
  const dropped = changed.spec.versions.filter(({ name }: any) => name === "v2");
  const now = await send("GET", crd);
  assert.match(
    await refusal(send("PUT", crd, { ...now, spec: { ...now.spec, versions: dropped } })),
    /status.storedVersions\[0\]: Invalid value: "v1": missing from spec.versions/,
  );
});

test("a selector of fields looks into the converted object, also in a watch", async () => {
  const { v1, v2 } = await define(webhook(), {
    // Where all versions have the same, upstream wants them to have the same schema.
    more: (name) => ({
      selectableFields: [{ jsonPath: ".shared" }, ...(name === "v2" ? [{ jsonPath: ".port" }] : [])],
    }),
  });
  await send("POST", v1, host("a", { host: "a:1", shared: "x" }));
  await send("POST", v1, host("b", { host: "b:1", shared: "y" }));
  const query = { fieldSelector: "shared=x" };
  const { items } = await send("GET", v2, undefined, { query });
  assert.deepEqual(
    items.map(({ hostname }: any) => hostname),
    ["a"],
  );
  const events = transport.watch({ method: "GET", path: v2, query: { ...query, resourceVersion: "0" } });
  const found: string[] = [];
  for await (const { type, object } of events) {
    found.push(`${type} ${(object as any).hostname}`);
    if (found.length === 1)
      await send("PATCH", `${v1}/b`, { shared: "x" }, { patchType: "application/merge-patch+json" });
    if (found.length === 2)
      await send("PATCH", `${v1}/a`, { shared: "z" }, { patchType: "application/merge-patch+json" });
    if (found.length === 3) break;
  }
  assert.deepEqual(found, ["ADDED a", "ADDED b", "DELETED a"]);
});

test("a kind is served as soon as its definition says so", async () => {
  const { v1 } = await define(undefined);
  await send("POST", v1, host("first", { host: "h:1" }));
});

test("a definition whose kind is taken waits until the name is free", async () => {
  const { group, crd } = await define(undefined);
  const second = `${CRDS}/guests.${group}`;
  await send("POST", CRDS, {
    metadata: { name: `guests.${group}` },
    spec: {
      group,
      names: { plural: "guests", kind: "Host", listKind: "GuestList" },
      scope: "Namespaced",
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
    },
  });
  const reasons = async () =>
    ((await send("GET", second)).status.conditions ?? []).map(({ status: now, reason }: any) => `${now} ${reason}`);
  while ((await reasons()).length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await reasons(), ["False KindConflict", "False NotAccepted"]);
  await send("DELETE", crd);
  while ((await reasons())[0] !== "True NoConflicts") await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await reasons(), ["True NoConflicts", "True InitialNamesAccepted"]);
  assert.deepEqual((await send("GET", `/apis/${group}/v1/guests`)).items, []);
});

test("a definition that waits for its objects says so, and holds up no other", async () => {
  const { v1, crd } = await define(undefined);
  await send("POST", v1, { metadata: { name: "held", finalizers: ["example.com/f"] }, host: "h:1" });
  await send("DELETE", crd);
  const terminating = async () =>
    (await send("GET", crd)).status.conditions.find(({ type }: any) => type === "Terminating")?.reason;
  while ((await terminating()) !== "InstanceDeletionInProgress") await new Promise((resolve) => setImmediate(resolve));
  assert.match(
    await refusal(send("POST", v1, host("late", { host: "h:1" }))),
    /^403 Forbidden: .*: create not allowed while custom resource definition is terminating$/,
  );
  await send("POST", (await define(undefined)).v1, host("other", { host: "h:1" }));
  while ((await send("GET", `${v1}/held`)).metadata.deletionTimestamp === undefined)
    await new Promise((resolve) => setImmediate(resolve));
  await send("PATCH", `${v1}/held`, { metadata: { finalizers: [] } }, { patchType: "application/merge-patch+json" });
  for (let tries = 0; ; tries++) {
    const left = await send("GET", crd).catch((error: StatusError) => error);
    if ((left as Partial<StatusError>).reason === "NotFound") break;
    assert.ok(tries < 6000, `it is still there: ${JSON.stringify(left)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test("who applies in one version owns the fields in the others, as far as these know them", async () => {
  const { v1, v2, group } = await define(undefined);
  const apply = (path: string, version: string, fieldManager: string, fields: object, force?: string) =>
    send(
      "PATCH",
      `${path}/a`,
      { apiVersion: `${group}/${version}`, kind: "Host", metadata: { name: "a" }, ...fields },
      { patchType: "application/apply-patch+yaml", query: { fieldManager, force } },
    );
  await apply(v1, "v1", "one", { host: "h:1", shared: "s" });
  assert.match(await refusal(apply(v2, "v2", "two", { shared: "t" })), /^409 Conflict: .*\.shared/s);
  const forced = await apply(v2, "v2", "two", { shared: "t" }, "true");
  assert.equal(forced.shared, "t");
  const owners = forced.metadata.managedFields.map(({ manager, apiVersion, fieldsV1 }: any) => [
    manager,
    apiVersion,
    Object.keys(fieldsV1).join(),
  ]);
  assert.deepEqual(owners.sort(), [
    ["one", `${group}/v1`, "f:host"],
    ["two", `${group}/v2`, "f:shared"],
  ]);
});

test("who owns what is worked out in the version that each wrote in", async () => {
  const { group, v1, v2 } = await define(webhook());
  const apply = (path: string, fieldManager: string, body: object) =>
    send(
      "PATCH",
      `${path}/owned`,
      { kind: "Host", metadata: { name: "owned" }, ...body },
      {
        patchType: "application/apply-patch+yaml",
        query: { fieldManager },
      },
    );
  await apply(v1, "one", { apiVersion: `${group}/v1`, host: "a:1" });
  // The same values in other fields: nothing changes hands.
  await apply(v2, "two", { apiVersion: `${group}/v2`, hostname: "a", shared: "x" });
  assert.match(
    await refusal(apply(v2, "three", { apiVersion: `${group}/v2`, hostname: "b", port: "1" })),
    /^409 Conflict: Apply failed with 2 conflicts: conflicts with "one":\n- \.host\nconflicts with "two":\n- \.hostname$/,
  );
  const before = await send("GET", `${v2}/owned`);
  assert.deepEqual(
    before.metadata.managedFields.map(({ manager, apiVersion, fieldsV1 }: any) => [manager, apiVersion, fieldsV1]),
    [
      ["one", `${group}/v1`, { "f:host": {} }],
      ["two", `${group}/v2`, { "f:hostname": {}, "f:shared": {} }],
    ],
  );
  // A PUT in one version takes from those who wrote in the other.
  const { metadata } = before;
  await send("PUT", `${v2}/owned`, { ...before, metadata, hostname: "c" }, { query: { fieldManager: "four" } });
  const after = await send("GET", `${v1}/owned`);
  assert.equal(after.host, "c:1");
  assert.deepEqual(
    after.metadata.managedFields.map(({ manager, fieldsV1 }: any) => [manager, fieldsV1]),
    [
      ["two", { "f:shared": {} }],
      ["four", { "f:hostname": {} }],
    ],
  );
});

test("a policy gets its parameters in the version that it asks for", async () => {
  const { group, v1 } = await define(webhook());
  await send("POST", v1, host("limits", { host: "allowed:1" }));
  const policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
  const name = `params.${group}`;
  await send("POST", policies, {
    metadata: { name },
    spec: {
      paramKind: { apiVersion: `${group}/v2`, kind: "Host" },
      matchConstraints: {
        resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }],
      },
      validations: [
        { expression: "object.metadata.name == params.hostname", messageExpression: "string(params.hostname)" },
      ],
    },
  });
  await send("POST", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", {
    metadata: { name },
    spec: {
      policyName: name,
      validationActions: ["Deny"],
      paramRef: { name: "limits", parameterNotFoundAction: "Deny" },
    },
  });
  const create = (one: string) => send("POST", "/api/v1/namespaces/default/configmaps", { metadata: { name: one } });
  assert.match(await refusal(create("other")), /denied request: allowed$/);
  await create("allowed");
  await send("DELETE", `${policies}/${name}`);
});
